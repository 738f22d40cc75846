// From the camera to whatever translates: the newest frame only, one in flight, and what is seen beside it.

import { lay, place } from "./geometry.js";

/** Holds at most one frame that waits: the newest. `figures` counts the others. */
export class Pump {
  constructor(video, size, figures) {
    this.video = video;
    this.figures = figures;
    this.canvas = document.createElement("canvas");
    [this.canvas.height, this.canvas.width] = size;
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.fit = "crop";
    this.way = null;
    this.waiting = null;
    this.sent = 0;
  }

  /** The camera has a new frame. */
  arrived(time) {
    if (this.waiting) this.figures.drop();
    this.waiting = { time };
    this.go();
  }

  /** Send what waits, if the way is free. */
  go() {
    if (!this.waiting || !this.way?.free) return;
    const frame = { id: ++this.sent, time: this.waiting.time };
    this.waiting = null;
    this.draw();
    this.way.send(this.canvas, frame);
  }

  /** Draw the camera's picture as the network sees it. */
  draw() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return;
    this.placement = place({ width, height }, { width: this.canvas.width, height: this.canvas.height }, this.fit);
    lay(this.context, this.video, this.placement);
  }

  /** Forget what waits: another way, another camera. */
  clear() {
    this.waiting = null;
  }
}
