// What is seen: the translated picture, the camera's beside it along a line that can be dragged, and snapshots.

const STEP = 2; // percent, for arrow keys
const BIG_STEP = 10; // percent, for page keys and with shift

/** Two canvases of one size on top of each other, and a line between them. */
export class View {
  constructor({ view, before, after, split, stale }) {
    Object.assign(this, { view, before, after, split, stale });
    this.position = 50;
    this.#listen();
  }

  /** Show a picture and the frame that it was made from; `part` is what is cut out of both. */
  show(picture, source, part) {
    this.#draw(this.after, picture, scaled(part, picture, source));
    this.#draw(this.before, source, part);
    this.view.dataset.empty = "false";
    this.setStale(false);
  }

  /** Whether what is seen is the last picture before the server went away. */
  setStale(stale) {
    this.view.dataset.stale = String(stale);
    this.stale.hidden = !stale;
  }

  clear() {
    this.view.dataset.empty = "true";
    this.setStale(false);
  }

  get empty() {
    return this.view.dataset.empty === "true";
  }

  set compare(on) {
    this.view.dataset.compare = String(on);
    this.split.hidden = !on;
  }

  get compare() {
    return this.view.dataset.compare === "true";
  }

  set mirror(on) {
    this.view.dataset.mirror = String(on);
  }

  get mirror() {
    return this.view.dataset.mirror === "true";
  }

  /** Where the line is, in percent from the left. */
  moveTo(percent) {
    this.position = Math.min(100, Math.max(0, percent));
    this.view.style.setProperty("--split", `${this.position}%`);
    const whole = Math.round(this.position);
    this.split.setAttribute("aria-valuenow", String(whole));
    this.split.setAttribute("aria-valuetext", `${whole} percent camera`);
  }

  /** What is seen, as a PNG: mirrored and split as on the screen, in the picture's own size. */
  async snapshot() {
    const { width, height } = this.after;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    if (this.mirror) context.setTransform(-1, 0, 0, 1, width, 0);
    context.drawImage(this.after, 0, 0);
    if (this.compare) {
      context.resetTransform();
      context.beginPath();
      context.rect(0, 0, (width * this.position) / 100, height);
      context.clip();
      if (this.mirror) context.setTransform(-1, 0, 0, 1, width, 0);
      context.drawImage(this.before, 0, 0, width, height);
    }
    return canvas.convertToBlob({ type: "image/png" });
  }

  #draw(canvas, image, part) {
    if (canvas.width !== part.width || canvas.height !== part.height) {
      canvas.width = part.width;
      canvas.height = part.height;
      this.view.style.setProperty("--aspect", String(part.width / part.height));
    }
    canvas.getContext("2d").drawImage(image, part.x, part.y, part.width, part.height, 0, 0, part.width, part.height);
  }

  #listen() {
    this.view.addEventListener("pointerdown", (event) => {
      if (!this.compare || event.button !== 0) return;
      this.view.setPointerCapture(event.pointerId);
      this.split.focus({ preventScroll: true });
      this.#follow(event);
      event.preventDefault();
    });
    this.view.addEventListener("pointermove", (event) => {
      if (this.view.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
    this.split.addEventListener("keydown", (event) => {
      const target = keyTarget(event, this.position);
      if (target === null) return;
      this.moveTo(target);
      event.preventDefault();
    });
  }

  #follow(event) {
    const box = this.view.getBoundingClientRect();
    this.moveTo(((event.clientX - box.left) / box.width) * 100);
  }
}

/** Where a key moves the line to, or null: the keys of a slider. */
export function keyTarget({ key, shiftKey }, position) {
  const step = shiftKey ? BIG_STEP : STEP;
  const targets = {
    ArrowLeft: position - step,
    ArrowDown: position - step,
    ArrowRight: position + step,
    ArrowUp: position + step,
    PageDown: position - BIG_STEP,
    PageUp: position + BIG_STEP,
    Home: 0,
    End: 100,
  };
  return targets[key] ?? null;
}

/** The same part in a picture of another size. */
function scaled(part, picture, source) {
  const across = (picture.videoWidth ?? picture.width) / source.width;
  const down = (picture.videoHeight ?? picture.height) / source.height;
  return {
    x: Math.round(part.x * across),
    y: Math.round(part.y * down),
    width: Math.round(part.width * across),
    height: Math.round(part.height * down),
  };
}

/** Have the browser save a file. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
