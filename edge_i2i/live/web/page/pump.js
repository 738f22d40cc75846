// From the camera to whatever translates: the newest frame only, one in flight, and what is seen beside it.

import { lay, place } from "./geometry.js";

const CANVASES = 3; // of a frame that waits, of one in flight, of one whose answer is being decoded

/**
 * Holds at most one frame that waits: the newest. `figures` counts the others.
 *
 * A frame is {time, id, canvas, placement, picture}. A way that has `encode` gets the newest one's `picture` made while
 * the one before is under way, so that neither waits for the other.
 */
export class Pump {
  constructor(video, size, figures) {
    Object.assign(this, { video, figures, fit: "crop", way: null, waiting: null, sent: 0 });
    this.contexts = Array.from({ length: CANVASES }, () => contextOf(size));
  }

  /** Where the next frame is drawn; always the same one for a way without `encode`. */
  get canvas() {
    return this.contexts[0].canvas;
  }

  /** The camera has a new frame. */
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

  /** The camera's picture as the network sees it: {canvas, placement}; null before the camera gives one. */
  draw() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return null;
    const { canvas } = this;
    const placement = place({ width, height }, { width: canvas.width, height: canvas.height }, this.fit);
    lay(this.contexts[0], this.video, placement);
    return { canvas, placement };
  }

  /** Forget what waits: another way, another camera. */
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
    if (this.way.encode) this.contexts.push(this.contexts.shift());
  }
}

function contextOf([height, width]) {
  const canvas = Object.assign(document.createElement("canvas"), { height, width });
  return canvas.getContext("2d", { willReadFrequently: true });
}
