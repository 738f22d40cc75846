// What is seen, recorded into a film that the browser saves.

const KINDS = [
  ["mp4", "video/mp4;codecs=avc1.640028"], // plays everywhere; where the browser may not make it, the next
  ["mp4", "video/mp4;codecs=avc1.42E01E"],
  ["webm", "video/webm;codecs=vp9"],
  ["webm", "video/webm;codecs=vp8"],
  ["webm", "video/webm"],
  ["mp4", "video/mp4"],
];
const PART = 1000; // ms; so that the browser need not hold the whole film in one piece
const BITS_PER_PIXEL = 6; // and second: much, for translated pictures have fine grain
const BITS = { least: 1_500_000, most: 24_000_000 }; // a second

/** What this browser records: [suffix, type], or null. */
export function recordable() {
  if (typeof MediaRecorder === "undefined" || !HTMLCanvasElement.prototype.captureStream) return null;
  return KINDS.find(([, type]) => MediaRecorder.isTypeSupported(type)) ?? null;
}

/** The button that records what a view shows, and what it says. `save(film, suffix)` is given what was recorded. */
export class Recorder {
  constructor(view, button, save) {
    Object.assign(this, { view, button, save, running: null });
    button.hidden = recordable() === null;
    button.addEventListener("click", () => (this.running ? this.end() : this.#begin()));
    view.onShown = () => this.#shown();
    this.#say();
  }

  /** End what is being recorded, and save it; nothing where nothing is. */
  async end() {
    const ended = this.running;
    if (!ended) return;
    this.running = null;
    this.#say();
    const film = await ended.finish();
    if (film.size) this.save(film, ended.suffix);
  }

  #begin() {
    if (this.view.empty) return;
    this.running = new Recording(this.view.size, (canvas) => this.view.paint(canvas));
    this.#say();
  }

  #shown() {
    if (!this.running) return;
    if (this.running.fits(this.view.size)) this.running.take();
    else this.end();
  }

  #say() {
    const on = this.running !== null;
    this.button.setAttribute("aria-pressed", String(on));
    this.button.title = on ? "End the recording and save it (R)" : "Record what is seen, into a film (R)";
    this.button.querySelector("span").textContent = on ? "End, save" : "Record";
  }
}

/** `paint(canvas)` draws what is seen. It begins at once, in the size that is given, rounded down to whole pairs. */
export class Recording {
  constructor({ width, height }, paint) {
    const [suffix, mimeType] = recordable();
    const even = { width: Math.max(2, width & ~1), height: Math.max(2, height & ~1) };
    this.suffix = suffix;
    this.paint = paint;
    this.parts = [];
    this.canvas = Object.assign(document.createElement("canvas"), even);
    paint(this.canvas);
    const stream = this.canvas.captureStream();
    const wanted = even.width * even.height * BITS_PER_PIXEL;
    const videoBitsPerSecond = Math.min(BITS.most, Math.max(BITS.least, wanted));
    this.recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond });
    this.recorder.ondataavailable = ({ data }) => data.size && this.parts.push(data);
    this.ended = new Promise((resolve) => (this.recorder.onstop = resolve));
    this.recorder.start(PART);
  }

  /** Whether pictures of this size fit into the film without being distorted. */
  fits({ width, height }) {
    return Math.abs(width / height - this.canvas.width / this.canvas.height) < 0.02;
  }

  /** Another picture is seen. */
  take() {
    this.paint(this.canvas);
  }

  /** End it; the film, with all that was recorded. */
  async finish() {
    this.paint(this.canvas); // some browsers give the last picture only when another comes
    if (this.recorder.state !== "inactive") this.recorder.stop();
    await this.ended;
    for (const track of this.recorder.stream.getTracks()) track.stop();
    return new Blob(this.parts, { type: this.recorder.mimeType.split(";")[0] });
  }
}
