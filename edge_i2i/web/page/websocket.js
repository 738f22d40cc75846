// Server-side translation over a WebSocket: one frame in flight, as JPEG, and the next one encoded meanwhile.

import { Connection } from "./connection.js";
import { LookMessages } from "./look.js";

const QUALITY = 0.87; // of frames that are sent; what comes back is the server's own choice
const HEADER = { sent: 13, received: 20 };
const JPEG = 0;

/** A way to translate: `free`, `encode`, `send`, `setLook`, `close`, and what `events` says (see main.js). */
export class WebSocketWay {
  constructor(events) {
    this.events = events;
    this.looks = new LookMessages();
    this.flight = null;
    this.shown = 0;
    this.connection = new Connection({
      loading: events.loading,
      ready: (message) => this.#ready(message),
      message: (message) => this.#message(message),
      picture: (buffer) => this.#picture(buffer),
      lost: (seconds) => this.#gone(() => events.lost(seconds)),
      problem: (problem) => this.#gone(() => events.problem(problem)),
      lookDone: events.lookDone,
    });
  }

  /** Whether it takes a frame now. */
  get free() {
    return this.connection.ready !== null && this.flight === null;
  }

  /** What is on a canvas now, as it is sent. */
  encode(canvas) {
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  }

  /** Send a frame of the pump. */
  send(frame) {
    this.flight = frame;
    frame.picture ??= this.encode(frame.canvas);
    frame.picture.then((blob) => this.#sendBlob(blob, frame));
  }

  setLook(look) {
    this.connection.setLook(() => this.looks.message(look));
  }

  close() {
    this.closed = true;
    this.connection.close();
  }

  async #sendBlob(blob, frame) {
    if (!blob) return this.#skip(frame); // browsers give none where they lack memory
    const data = new Uint8Array(HEADER.sent + blob.size);
    const view = new DataView(data.buffer);
    view.setUint32(0, frame.id, true);
    view.setFloat64(4, frame.time, true);
    view.setUint8(12, JPEG);
    data.set(new Uint8Array(await blob.arrayBuffer()), HEADER.sent);
    if (this.flight === frame && this.connection.ready) this.connection.send(data);
  }

  #skip(frame) {
    if (this.flight === frame) this.flight = null;
  }

  #ready(message) {
    this.flight = null;
    this.looks.forget();
    this.events.ready({ engine: message.engine, precision: message.effective_precision, variant: message.variant });
  }

  #message(message) {
    if (message.type === "stats") this.events.stats(message);
    if (message.type !== "error" || message.id !== this.flight?.id) return;
    this.flight = null;
    this.events.failed(message);
  }

  async #picture(buffer) {
    const view = new DataView(buffer);
    const frame = this.flight;
    if (frame?.id !== view.getUint32(0, true)) return;
    this.flight = null;
    this.events.free();
    const seconds = { queue: view.getUint32(12, true) / 1e6, model: view.getUint32(16, true) / 1e6 };
    const picture = await createImageBitmap(new Blob([buffer.slice(HEADER.received)]));
    if (!this.closed && this.connection.ready && frame.id > this.shown) {
      this.shown = frame.id;
      this.events.picture(picture, frame, seconds);
    }
    picture.close();
  }

  #gone(say) {
    this.flight = null;
    say();
  }
}
