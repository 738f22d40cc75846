// From the source to whatever translates: the newest frame only, one in flight, and what is seen beside it.

import { lay, place, sizeOf } from "./geometry.js";

const CANVASES = 3; // of a frame that waits, of one in flight, of one whose answer is being decoded

/**
 * Holds at most one frame that waits: the newest. `figures` counts the others. `source`: what is drawn (a video, a
 * canvas), or null.
 *
 * A frame is {time, id, source, canvas, placement, own, picture}; `own` is what `canvas` holds of the source in the source's own
 * size, and null unless `keepsOwn`. A way that has `encode` gets the newest one's `picture` made while the one before is
 * under way, so that neither waits for the other.
 */
export class Pump {
  constructor(source, size, figures) {
    Object.assign(this, { source, figures, fit: "crop", keepsOwn: false, way: null, waiting: null, sent: 0 });
    this.places = Array.from({ length: CANVASES }, () => ({ context: contextOf(size), own: document.createElement("canvas") }));
  }

  /** Where the next frame is drawn; always the same one for a way without `encode`. */
  get canvas() {
    return this.places[0].context.canvas;
  }

  /** The source has a new frame. */
  arrived(time) {
    if (this.waiting) this.figures.drop();
    this.waiting = { time };
    this.go();
  }

  /** Send what waits, if the way is free; else have it ready, where the way wants that. */
  go() {
    const frame = this.waiting;
    if (!frame || !this.way) return;
    if (this.way.free) this.#send(frame);
    else if (this.way.encode && !frame.picture && this.#draw(frame)) frame.picture = this.way.encode(frame.canvas);
  }

  /** The source's picture as the network sees it: {source, canvas, placement, own}; null before the source gives one. */
  draw() {
    const size = this.source && sizeOf(this.source);
    if (!size?.width) return null;
    const { canvas } = this;
    const [{ context, own }] = this.places;
    const placement = place(size, { width: canvas.width, height: canvas.height }, this.fit);
    lay(context, this.source, placement);
    return { source: this.source, canvas, placement, own: this.keepsOwn ? copied(this.source, placement.taken, own) : null };
  }

  /** Forget what waits: another way, another source. */
  clear() {
    this.waiting = null;
  }

  #draw(frame) {
    return Object.assign(frame, this.draw()).canvas;
  }

  #send(frame) {
    this.waiting = null;
    if (!frame.canvas && !this.#draw(frame)) return;
    frame.id = ++this.sent;
    this.way.send(frame);
    if (this.way.encode) this.places.push(this.places.shift());
  }
}

function contextOf([height, width]) {
  const canvas = Object.assign(document.createElement("canvas"), { height, width });
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** A part of a picture as it is, in a canvas of that part's size. */
function copied(image, { x, y, width, height }, canvas) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
  return canvas;
}
