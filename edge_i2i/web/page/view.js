// What is seen: the translated picture, the camera's beside it along a line that can be dragged, and snapshots.

import { sizeOf } from "./geometry.js";

const STEP = 2; // percent, for arrow keys
const BIG_STEP = 10; // percent, for page keys and with shift
const LINE = 2; // pixels
const NARROW = 15; // percent: a side that has no room for its name

/** Two canvases on top of each other, and a line between them. `tags` name the two. */
export class View {
  constructor({ view, before, after, split, stale, tags }) {
    Object.assign(this, { view, before, after, split, stale, tags });
    this.position = 50;
    this.onShown = () => {};
    this.#listen();
  }

  /** Show a picture and the frame of the pump that it was made from. */
  show(picture, { canvas, placement, own }) {
    const part = placement.held;
    draw(this.after, picture, scaled(part, picture, canvas));
    if (own) draw(this.before, own, { x: 0, y: 0, ...sizeOf(own) });
    else draw(this.before, canvas, part);
    this.view.style.setProperty("--aspect", String(part.width / part.height));
    this.view.dataset.empty = "false";
    this.setStale(false);
    this.onShown();
  }

  /** What the source's own picture is called. */
  set label(text) {
    this.tags.before.textContent = text;
    this.moveTo(this.position);
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
    this.split.setAttribute("aria-valuetext", `${whole} percent ${this.tags.before.textContent}`);
    this.view.dataset.sides = sides(this.position);
  }

  /** The size of what is seen: while compared the camera's own, else the network's. */
  get size() {
    return sizeOf(this.compare ? this.before : this.after);
  }

  /** Draw what is seen, mirrored, split and named as on the screen, into a canvas of any size. */
  paint(canvas) {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    this.#paintSide(context, this.after, canvas, width);
    if (!this.compare) return;
    const line = Math.round((width * this.position) / 100);
    this.#paintSide(context, this.before, canvas, line);
    context.fillStyle = "#fff";
    context.fillRect(line - LINE / 2, 0, LINE, height);
    const shown = sides(this.position);
    if (shown !== "after") paintTag(context, this.tags.before.textContent, "left", canvas);
    if (shown !== "before") paintTag(context, this.tags.after.textContent, "right", canvas);
  }

  /** What is seen, as a PNG. */
  async snapshot() {
    const { width, height } = this.size;
    const canvas = new OffscreenCanvas(width, height);
    this.paint(canvas);
    return canvas.convertToBlob({ type: "image/png" });
  }

  /** One side's picture, up to so many pixels from the left. */
  #paintSide(context, image, { width, height }, end) {
    context.save();
    context.beginPath();
    context.rect(0, 0, end, height);
    context.clip();
    if (this.mirror) context.transform(-1, 0, 0, 1, width, 0);
    context.drawImage(image, 0, 0, width, height);
    context.restore();
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

/** Which sides have room for their names: before, after or both. */
export function sides(position) {
  if (position < NARROW) return "after";
  return position > 100 - NARROW ? "before" : "both";
}

/** The same part in a picture of another size. */
function scaled(part, picture, source) {
  const { width, height } = sizeOf(picture);
  const [across, down] = [width / source.width, height / source.height];
  return {
    x: Math.round(part.x * across),
    y: Math.round(part.y * down),
    width: Math.round(part.width * across),
    height: Math.round(part.height * down),
  };
}

function draw(canvas, image, { x, y, width, height }) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
}

/** A name in an upper corner, white on dark. */
function paintTag(context, text, side, { width, height }) {
  const size = Math.max(9, Math.round(Math.min(width, height) / 28));
  context.font = `${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const box = { width: context.measureText(text).width + size * 1.4, height: size * 1.7 };
  const left = side === "left" ? size * 0.7 : width - box.width - size * 0.7;
  context.fillStyle = "rgb(10 8 12 / 62%)";
  context.beginPath();
  context.roundRect(left, size * 0.7, box.width, box.height, box.height / 2);
  context.fill();
  context.fillStyle = "#fff";
  context.fillText(text, left + size * 0.7, size * 0.7 + box.height / 2);
}

/** Have the browser save a file; `name` of a stranger's, too. */
export function download(blob, name, suffix) {
  const link = document.createElement("a");
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\p{L}\p{N}_-]+/gu, "-").slice(0, 60)}-${time}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
