// The page: one camera, one of three ways to translate, one view.

import { BrowserWay } from "./browser.js";
import { Camera } from "./camera.js";
import { Figures, FiguresCard } from "./figures.js";
import { Looks } from "./looks.js";
import { CAMERA_ENDED, cameraRefused, insecure, serverLost } from "./messages.js";
import { Pump } from "./pump.js";
import { View, download } from "./view.js";
import { WebRtcWay } from "./webrtc.js";
import { WebSocketWay } from "./websocket.js";

const $ = (id) => document.getElementById(id);
const KEYS = { c: "compare", m: "mirror", s: "snapshot", f: "full" };

class Page {
  constructor(bundle) {
    this.bundle = bundle;
    this.figures = new Figures();
    this.pump = new Pump($("camera"), bundle.size, this.figures);
    this.pump.fit = $("fit").value; // browsers keep what was chosen before a page was loaded again
    this.camera = new Camera($("camera"), () => this.#cameraFailed(CAMERA_ENDED));
    this.view = new View({ view: $("view"), before: $("before"), after: $("after"), split: $("split"), stale: $("stale") });
    new FiguresCard({ fps: $("fps"), p50: $("age-p50"), p99: $("age-p99"), drops: $("drops"), trace: $("trace") }, this.figures);
    this.looks = new Looks({ card: $("look"), parts: $("look-parts"), problem: $("look-problem") }, bundle, (look) => this.way?.setLook(look));
    this.running = false;
    this.state = "idle";
    this.#introduce();
    this.#listen();
    this.#chooseWay();
  }

  #introduce() {
    const { name, model, weights, size, webrtc, browser } = this.bundle;
    const [height, width] = size;
    document.title = `${name} · edge-i2i live`;
    $("network").textContent = name;
    $("about").textContent = `${model}, ${weights === "checkpoint" ? "imported weights" : `${weights} weights`}, ${width} × ${height} pixels.`;
    $("way-webrtc").hidden = !webrtc;
    $("way-browser").hidden = browser === null;
    $("full").hidden = !document.fullscreenEnabled;
    this.view.moveTo(50);
  }

  #listen() {
    $("start").addEventListener("click", () => (this.retry ?? (() => this.#start()))());
    $("stop").addEventListener("click", () => this.#stop());
    $("compare").addEventListener("click", () => this.#toggle("compare"));
    $("mirror").addEventListener("click", () => {
      this.mirrorChosen = true; // from now on it does not follow the camera's facing
      this.#toggle("mirror");
    });
    $("snapshot").addEventListener("click", () => this.#snapshot());
    $("full").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen()));
    $("ways").addEventListener("change", () => this.#chooseWay());
    $("fit").addEventListener("change", ({ target }) => (this.pump.fit = target.value));
    $("device").addEventListener("change", () => this.#start());
    $("facing").addEventListener("change", () => this.#start({ byFacing: true }));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.running && this.#listDevices());
    addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, select, [contenteditable]");
      if (KEYS[event.key] && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) $(KEYS[event.key]).click();
    });
    addEventListener("pagehide", () => {
      this.camera.close();
      this.way?.close();
    });
    addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  }

  // The camera ------------------------------------------------------------------------------------------------------

  async #start({ byFacing = false } = {}) {
    const [height, width] = this.bundle.size;
    const wanted = { width: Math.max(640, width), height: Math.max(480, height) };
    try {
      const deviceId = byFacing || $("device").disabled ? "" : $("device").value;
      const settings = await this.camera.open({ deviceId, facing: $("facing").value, wanted });
      if (!this.mirrorChosen) this.#setPressed("mirror", (this.view.mirror = settings.facingMode !== "environment"));
      await this.#listDevices(settings.deviceId);
    } catch (error) {
      return this.#cameraFailed(cameraRefused(error));
    }
    this.running = true;
    this.retry = null;
    this.camera.watchFrames((time) => this.#frameArrived(time));
    $("stop").disabled = false;
    $("cover").hidden = true;
    if (this.problem) this.#lost(...this.problem);
  }

  #stop() {
    this.running = false;
    this.camera.close();
    this.pump.clear();
    this.figures.clear();
    this.view.clear();
    $("stop").disabled = $("snapshot").disabled = true;
    this.#cover({ title: "Stopped", text: "The camera is off." }, "Start the camera", () => this.#start(), "i-camera");
  }

  #cameraFailed(message) {
    this.#stop();
    this.#cover(message, "Try again", () => this.#start());
  }

  async #listDevices(current = $("device").value) {
    const devices = await Camera.devices();
    const options = devices.map(({ deviceId, label }, index) => new Option(label || `Camera ${index + 1}`, deviceId, false, deviceId === current));
    if (options.length) $("device").replaceChildren(...options);
    $("device").disabled = !options.length;
    $("facing-row").hidden = !(matchMedia("(pointer: coarse)").matches && devices.length > 1);
  }

  #frameArrived(time) {
    this.pump.arrived(time);
    if (this.state === "waiting" && this.running) this.#passThrough();
  }

  /** While the network loads, the camera's own picture is shown, and said to be it. */
  #passThrough() {
    if (!this.view.empty && !this.untranslated) return;
    const drawn = this.pump.draw();
    if (!drawn) return;
    this.untranslated = true;
    this.view.show(drawn.canvas, drawn.canvas, drawn.placement.held);
  }

  // The way -----------------------------------------------------------------------------------------------------------

  #chooseWay() {
    const name = chosenWay();
    if (this.running) $("cover").hidden = true;
    this.way?.close();
    this.pump.clear();
    this.figures.clear();
    this.problem = null;
    $("engine").textContent = "–";
    $("provider-row").hidden = name !== "browser";
    $("way-hint").textContent = this.#hint(name);
    const events = this.#events();
    this.#setState("waiting", "connecting");
    this.way = this.pump.way = this.#make(name, events);
    if (!this.looks.isPlain) this.way.setLook(this.looks.look);
  }

  #make(name, events) {
    if (name === "browser") return new BrowserWay(events, { bundle: this.bundle, provider: $("provider").value });
    if (name === "webrtc") return new WebRtcWay(events, { canvas: this.pump.canvas, remote: $("remote"), ice: this.bundle.ice });
    return new WebSocketWay(events);
  }

  /** What a way reports; a way that was left says nothing any more. */
  #events() {
    const turn = (this.turn = {});
    const handlers = {
      loading: (note) => this.#setState("waiting", note),
      ready: (info) => this.#ready(info),
      free: () => this.pump.go(),
      picture: (picture, frame) => this.#picture(picture, frame),
      failed: ({ what, remedy }) => this.#failed(`${what} ${remedy ?? ""}`),
      stats: ({ tabs }) => ($("way-hint").textContent = this.#hint() + (tabs > 1 ? ` ${tabs} tabs share the model.` : "")),
      lost: (seconds) => this.#lost(serverLost(seconds)),
      problem: (message) => this.#lost(message, true),
      lookDone: (problem) => this.looks.answered(problem),
    };
    return Object.fromEntries(Object.entries(handlers).map(([name, handle]) => [name, (...given) => turn === this.turn && handle(...given)]));
  }

  #hint(name = chosenWay()) {
    if (name === "browser") return "Pictures stay in this browser; the network is fetched once.";
    if (name === "webrtc") return "A video call with the server. WebRTC does not say how old its pictures are.";
    return "Each picture goes to the server as JPEG, one at a time.";
  }

  #ready({ engine, precision, note }) {
    this.problem = null;
    $("engine").textContent = [engine, precision].filter(Boolean).join(" · ") || "–";
    if (note) $("way-hint").textContent = `${this.#hint()} On the CPU: ${note}.`;
    if (this.running) $("cover").hidden = true;
    this.figures.clear();
    this.#setState("live", "live");
    this.pump.go();
  }

  #picture(picture, frame) {
    if (!this.running) return this.pump.clear();
    if (!frame.placement) return;
    this.untranslated = false;
    this.view.show(picture, frame.canvas, frame.placement.held);
    this.figures.shown(frame.time === null ? null : performance.now() - frame.time);
    $("snapshot").disabled = false;
    if (this.state !== "live") this.#setState("live", "live");
    this.pump.go();
  }

  #failed(what) {
    this.#setState("lost", what.trim());
    this.figures.drop();
    this.pump.go();
  }

  /** Nothing comes any more: the last picture stays and says so; where there is none, the reason takes its place. */
  #lost(message, stays = false) {
    this.problem = [message, stays];
    this.#setState("lost", stays ? message.title : `${message.title.toLowerCase()}: ${message.text.toLowerCase()}`);
    if (!this.view.empty && !this.untranslated) this.view.setStale(true);
    if (this.running && (stays || this.view.empty)) this.#cover(message, "Try again", () => this.#again());
  }

  #again() {
    $("cover").hidden = true;
    this.#chooseWay();
  }

  // What is said and kept ---------------------------------------------------------------------------------------------

  #setState(state, note) {
    this.state = state;
    $("state").dataset.state = state;
    $("state").textContent = note;
  }

  #cover({ title, text }, button, retry, icon = "i-warn") {
    $("cover").hidden = false;
    $("cover").dataset.kind = icon === "i-warn" ? "problem" : "";
    $("cover").dataset.over = String(!this.view.empty);
    $("cover-icon").setAttribute("href", `#${icon}`);
    $("cover-title").textContent = title;
    $("cover-text").textContent = text;
    $("start").textContent = button;
    this.retry = retry;
  }

  #toggle(what) {
    this.view[what] = !this.view[what];
    this.#setPressed(what, this.view[what]);
  }

  #setPressed(id, on) {
    $(id).setAttribute("aria-pressed", String(on));
  }

  async #snapshot() {
    const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    download(await this.view.snapshot(), `${this.bundle.name}-${time}.png`);
    $("stage").classList.add("flash");
    setTimeout(() => $("stage").classList.remove("flash"), 400);
  }
}

function chosenWay() {
  return document.querySelector("input[name=way]:checked").value;
}

async function begin() {
  const url = new URL(location.href);
  if (url.searchParams.has("token")) history.replaceState(null, "", url.pathname); // the cookie has it
  const problem = insecure(window);
  if (problem) return refuse(problem);
  try {
    const answer = await fetch("bundle.json");
    const said = await answer.json();
    if (!answer.ok) return refuse({ title: said.what, text: said.remedy });
    new Page(said);
  } catch {
    refuse({ title: "The server is gone", text: "Start it again, then reload this page." });
  }
}

function refuse({ title, text }) {
  $("state").dataset.state = "lost";
  $("state").textContent = "not running";
  $("cover").dataset.kind = "problem";
  $("cover-icon").setAttribute("href", "#i-warn");
  $("cover-title").textContent = title;
  $("cover-text").textContent = text;
  $("start").hidden = true;
}

begin();
