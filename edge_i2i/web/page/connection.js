// A tab's WebSocket: opened again with back-off when it is lost, and the tab's look, of which only the newest waits.

const FIRST_WAIT = 250; // ms; doubled up to the longest
const LONGEST_WAIT = 5000;
const SILENCE = 6000; // ms; the server says something every second
const TOKEN_NEEDED = {
  title: "This address needs its token",
  text: "Open the whole address that the server printed when it started, with ?token=… at its end.",
};

/**
 * `events`: loading(note), ready(message), message(message), picture(buffer), lost(seconds), problem({title, text}),
 * lookDone(problem or null).
 */
export class Connection {
  constructor(events) {
    this.events = events;
    this.wait = FIRST_WAIT;
    this.ready = null;
    this.look = null;
    this.#open();
  }

  /** Send what is a frame; only while `ready`. */
  send(data) {
    this.socket.send(data);
  }

  /** Ask for a look; `message()` makes what is sent, when its turn comes. The newest replaces one that waits. */
  setLook(message) {
    this.look = message;
    this.lookWaits = true;
    this.#sendLook();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.#drop();
  }

  #open() {
    const address = new URL("ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(address));
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => this.#lost(code);
    this.#heard();
  }

  #heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.#lost(0), SILENCE);
  }

  #receive(data) {
    this.#heard();
    if (typeof data !== "string") return this.events.picture(data);
    const message = JSON.parse(data);
    if (message.type === "loading") this.events.loading(message.note);
    else if (message.type === "ready") this.#begin(message);
    else if (message.type === "look") this.#lookAnswered(null);
    else if (message.type === "error" && message.id === undefined && this.lookAsked) this.#lookAnswered(message);
    else if (message.type === "error" && message.id === undefined) this.#failed(message);
    else this.events.message(message);
  }

  #begin(message) {
    this.ready = message;
    this.wait = FIRST_WAIT;
    this.lookWaits = this.look !== null;
    this.#sendLook();
    this.events.ready(message);
  }

  /** One look is asked for at a time, so that dragging a slider makes no queue. */
  async #sendLook() {
    if (!this.ready || this.lookAsked || !this.lookWaits) return;
    this.lookWaits = false;
    this.lookAsked = true;
    const socket = this.socket;
    try {
      const message = await this.look(this.ready.tab);
      if (socket === this.socket && this.ready) socket.send(JSON.stringify({ type: "look", ...message }));
    } catch (error) {
      this.#lookAnswered({ what: error.message, remedy: "" });
    }
  }

  #lookAnswered(problem) {
    this.lookAsked = false;
    if (!this.lookWaits) this.events.lookDone(problem);
    this.#sendLook();
  }

  #failed(message) {
    this.failure = { title: message.what, text: message.remedy ?? "" };
  }

  async #lost(code) {
    this.#drop();
    if (this.closed) return;
    const failure = this.failure ?? (code === 1006 ? await refusal() : null);
    this.failure = null;
    if (this.closed) return;
    const wait = failure ? LONGEST_WAIT : this.wait;
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    if (failure) this.events.problem(failure);
    else this.events.lost(wait / 1e3);
    this.timer = setTimeout(() => this.#open(), wait);
  }

  #drop() {
    clearTimeout(this.silence);
    this.ready = null;
    this.lookAsked = false;
    if (!this.socket) return;
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }
}

/** A WebSocket that is refused does not say why; a plain request does. */
async function refusal() {
  try {
    const answer = await fetch("healthz", { cache: "no-store" });
    if (answer.status === 401) return TOKEN_NEEDED;
    if (answer.ok || answer.status === 503) return null;
    const { what, remedy } = await answer.json();
    return { title: what, text: remedy };
  } catch {
    return null; // it is not there at all: tried again
  }
}
