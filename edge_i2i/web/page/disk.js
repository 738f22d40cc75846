// Pictures and films of the visitor's own disk, in the camera's place.

import { Playing } from "./video.js";

const LONGEST_SIDE = 4096; // pixels; larger pictures are reduced, for canvases have an end

/** What a file holds, played or shown; `onEnded(message)`: it goes no further. Raises where this browser reads it not. */
export async function openFile(file, onEnded) {
  if (!file.type.startsWith("video/")) {
    const picture = await Picture.open(file);
    if (picture) return picture;
  }
  if (!file.type.startsWith("image/")) {
    const film = await Film.open(file, onEnded);
    if (film) return film;
  }
  throw new Error(`'${file.name}' is no picture and no film that this browser can read.`);
}

/** A film, over and over, without its sound. */
class Film extends Playing {
  kind = "film";
  label = "original";
  fit = "letterbox";
  mirrored = false;

  /** Null: it is none, or none that this browser plays. */
  static async open(file, onEnded) {
    const src = URL.createObjectURL(file);
    const video = Object.assign(document.createElement("video"), { className: "unseen", loop: true, muted: true, playsInline: true, src });
    video.setAttribute("aria-hidden", "true");
    document.body.append(video); // some browsers play no others
    const film = Object.assign(new Film(video), { name: file.name });
    try {
      await video.play();
    } catch {
      film.close();
      return null;
    }
    if (!video.videoWidth) {
      film.close(); // it is a sound
      return null;
    }
    video.onerror = () => onEnded(new Error(`'${file.name}' breaks off: ${video.error?.message || "it is damaged"}.`));
    return film;
  }

  close() {
    this.video.onerror = null;
    super.close();
    URL.revokeObjectURL(this.video.src);
    this.video.removeAttribute("src");
    this.video.load(); // lets go of the file
    this.video.remove();
  }
}

/** A picture: one frame, and again whenever something about its translation changes. */
class Picture {
  kind = "picture";
  label = "original";
  fit = "letterbox";
  mirrored = false;

  constructor(name, drawable) {
    Object.assign(this, { name, drawable, take: null });
  }

  /** Null: it is none that this browser reads. */
  static async open(file) {
    try {
      const bitmap = await createImageBitmap(file);
      const picture = new Picture(file.name, overWhite(bitmap));
      bitmap.close();
      return picture;
    } catch {
      return null;
    }
  }

  watchFrames(take) {
    this.take = take;
    this.again();
  }

  again() {
    this.take?.(performance.now());
  }

  close() {
    this.take = null;
  }
}

/** Without transparency, as edge_i2i/media/pictures.py reads it, and no larger than canvases are. */
function overWhite(bitmap) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}
