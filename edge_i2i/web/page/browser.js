// Translation in the browser itself: the bundle's own ONNX files, run by worker.js.

const NAMES = { wasm: "WebAssembly", webgpu: "WebGPU" };

/** As WebSocketWay. `provider`: auto, webgpu or wasm; one that is asked for is the one that runs, or it is an error. */
export class BrowserWay {
  constructor(events, { bundle, provider }) {
    Object.assign(this, { events, flight: null, ready: false, looks: 0 });
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#receive[data.type](data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      events.problem({ title: "The browser's runtime did not start", text: event.message ?? "" });
    };
    const styles = bundle.styles.map((style) => style.given);
    this.worker.postMessage({ type: "load", browser: bundle.browser, styles, provider });
    events.loading("fetching the runtime");
  }

  get free() {
    return this.ready && this.flight === null;
  }

  send(frame) {
    const { canvas } = frame;
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    this.flight = frame;
    this.worker.postMessage({ type: "frame", id: frame.id, pixels: data.buffer, width, height }, [data.buffer]);
  }

  /** The newest look is in force after those that were asked for before it; while one is computed, only one waits. */
  setLook(look) {
    this.waiting = look;
    if (!this.asked) this.#sendLook();
  }

  close() {
    this.worker?.terminate();
    this.ready = false;
  }

  #sendLook() {
    if (!this.worker || !this.waiting) return;
    const { now, before, mix, attributes } = this.waiting;
    this.waiting = null;
    try {
      const look = { now: given(now), before: given(before), mix, attributes };
      this.worker.postMessage({ type: "look", look });
      this.asked = true;
    } catch (error) {
      this.events.lookDone({ what: error.message, remedy: "" });
    }
  }

  #lookAnswered(problem) {
    this.asked = false;
    if (this.waiting) this.#sendLook();
    else this.events.lookDone(problem);
  }

  #receive = {
    loading: ({ note }) => this.events.loading(note),
    look: () => this.#lookAnswered(null),
    ready: ({ backend, threads, why }) => {
      this.ready = true;
      const detail = threads === null ? "" : `, ${threads} ${threads === 1 ? "thread" : "threads"}`;
      this.events.ready({ engine: `${NAMES[backend]}${detail}`, precision: "fp32", note: why });
    },
    picture: async ({ id, pixels, width, height, seconds }) => {
      const frame = this.flight;
      if (frame?.id !== id) return;
      const picture = await createImageBitmap(new ImageData(new Uint8ClampedArray(pixels), width, height));
      this.flight = null;
      if (this.ready) this.events.picture(picture, frame, { model: seconds });
      picture.close();
    },
    error: ({ what, about }) => {
      if (about === "look") return this.#lookAnswered({ what, remedy: "" });
      if (about === "load") return this.events.problem({ title: "The network does not run in this browser", text: what });
      this.flight = null;
      this.events.failed({ what, remedy: "" });
    },
  };
}

/** What a choice gives to the graphs, with a key by which it is told from others. */
function given(choice) {
  if (!choice) return null;
  if (choice.kind === "seed") return { key: `seed ${choice.seed}`, style_seed: choice.seed };
  if (choice.kind === "exemplar") return { key: `file ${choice.number}`, exemplar: choice.file };
  if (choice.given) return { key: `style ${choice.id}`, ...choice.given };
  throw new Error(`'${choice.title}' is a style that only the server has.`);
}
