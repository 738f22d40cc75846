// The page: one source of pictures, one of three ways to translate, one view.

import { BrowserWay } from "./browser.js";
import { offerBundles } from "./bundles.js";
import { Camera } from "./camera.js";
import { openFile } from "./disk.js";
import { watchDrops } from "./drop.js";
import { Figures, FiguresCard } from "./figures.js";
import { Looks } from "./looks.js";
import { CAMERA_ENDED, READY, STOPPED, cameraRefused, fileRefused, noBrowserWay, noCamera, serverLost } from "./messages.js";
import { Pump } from "./pump.js";
import { Recorder } from "./recording.js";
import { status } from "./status.js";
import { View, download } from "./view.js";
import { WebRtcWay } from "./webrtc.js";
import { WebSocketWay } from "./websocket.js";

const $ = (id) => document.getElementById(id);
const KEYS = { c: "compare", m: "mirror", s: "snapshot", r: "record", p: "pause", f: "full" };
const LOOK_EVERY = 500; // ms, at what is said of how it goes

class Page {
  constructor(bundle) {
    this.bundle = bundle;
    this.figures = new Figures();
    this.pump = new Pump(null, bundle.size, this.figures);
    const tags = { before: $("tag-before"), after: $("tag-after") };
    this.view = new View({ view: $("view"), before: $("before"), after: $("after"), split: $("split"), stale: $("stale"), tags });
    this.recorder = new Recorder(this.view, $("record"), (film, suffix) => download(film, this.#fileName(), suffix));
    new FiguresCard({ fps: $("fps"), p50: $("age-p50"), p99: $("age-p99"), drops: $("drops"), trace: $("trace") }, this.figures);
    this.looks = new Looks({ card: $("look"), parts: $("look-parts"), problem: $("look-problem") }, bundle, (look) => this.way?.setLook(look));
    this.source = this.shownAt = null;
    this.idle = "ready";
    this.cameraProblem = noCamera(window);
    this.#introduce();
    this.#listen();
    this.#chooseWay();
    setInterval(() => this.#look(), LOOK_EVERY);
  }

  #introduce() {
    const { name, model, weights, size, webrtc, bundles } = this.bundle;
    const [height, width] = size;
    document.title = `${name} · edge-i2i live`;
    $("network").textContent = name;
    offerBundles($("bundle"), $("network"), bundles);
    $("about").textContent = `${model}, ${weights === "checkpoint" ? "imported weights" : `${weights} weights`}, ${width} × ${height} pixels.`;
    $("way-webrtc").hidden = !webrtc;
    this.#introduceBrowser(noBrowserWay(this.bundle));
    $("full").hidden = !document.fullscreenEnabled;
    this.view.moveTo(50);
    this.#cover(this.cameraProblem ?? READY, "Start the camera", () => this.#start(), this.cameraProblem ? "i-warn" : "i-camera");
  }

  /** Where the network cannot run in the browser, that way is not to be had, and the page says why. */
  #introduceBrowser(why) {
    const [choice, first] = ["browser", "websocket"].map((name) => document.querySelector(`input[name=way][value=${name}]`));
    choice.disabled = why !== null;
    if (why && choice.checked) first.checked = true; // browsers keep what was chosen before
    $("way-missing").hidden = why === null;
    $("way-missing").textContent = why ?? "";
  }

  #listen() {
    $("start").addEventListener("click", () => this.retry());
    $("stop").addEventListener("click", () => this.#stop(STOPPED, "stopped"));
    $("pause").addEventListener("click", () => this.#pause());
    $("compare").addEventListener("click", () => this.#compare());
    $("mirror").addEventListener("click", () => {
      this.mirrorChosen = true; // from now on it does not follow the source
      this.#toggle("mirror");
    });
    $("snapshot").addEventListener("click", () => this.#snapshot());
    $("full").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen()));
    $("ways").addEventListener("change", () => this.#chooseWay());
    $("fit").addEventListener("change", () => this.#frame());
    $("device").addEventListener("change", () => this.#start());
    $("facing").addEventListener("change", () => this.#start({ byFacing: true }));
    for (const button of [$("choose"), $("open")]) button.addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", ({ target }) => {
      if (target.files[0]) this.#openFile(target.files[0]);
      target.value = "";
    });
    watchDrops(document, (file) => this.#openFile(file), (over) => ($("stage").dataset.over = String(over)));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.source && this.#listDevices());
    addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, select, [contenteditable]");
      if (KEYS[event.key] && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) $(KEYS[event.key]).click();
    });
    addEventListener("pagehide", () => {
      this.source?.close();
      this.way?.close();
    });
    addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  }

  // The source --------------------------------------------------------------------------------------------------------

  async #start({ byFacing = false } = {}) {
    const [height, width] = this.bundle.size;
    const wanted = { width: Math.max(640, width), height: Math.max(480, height) };
    const deviceId = byFacing || $("device").disabled ? "" : $("device").value;
    const camera = new Camera($("camera"), () => this.#stop(CAMERA_ENDED, "no camera"));
    this.#leave();
    try {
      await camera.open({ deviceId, facing: $("facing").value, wanted });
    } catch (error) {
      camera.close();
      return this.#stop(cameraRefused(error), "no camera");
    }
    this.#take(camera);
    await this.#listDevices(camera.settings.deviceId);
  }

  async #openFile(file) {
    try {
      const source = await openFile(file, (error) => this.#stop(fileRefused(error), "stopped"));
      this.#leave();
      this.#take(source);
    } catch (error) {
      $("source-problem").hidden = false;
      $("source-problem").textContent = error.message;
      if (!this.source) this.#cover(fileRefused(error), $("start").textContent, this.retry);
    }
  }

  #take(source) {
    this.#leave(); // two may have been opened at once
    this.source = source;
    this.paused = false;
    this.pump.source = source.drawable;
    if (!this.mirrorChosen) this.#setPressed("mirror", (this.view.mirror = source.mirrored));
    this.view.label = source.label;
    $("stop").disabled = false;
    $("pause").disabled = $("record").disabled = source.kind === "picture";
    $("source-problem").hidden = $("cover").hidden = true;
    $("stage").dataset.source = source.kind;
    this.#frame();
    source.watchFrames((time) => this.#frameArrived(time));
    if (this.problem) this.#lost(...this.problem);
    this.#look();
  }

  #leave() {
    this.recorder.end();
    this.source?.close();
    this.source = this.pump.source = this.shownAt = null;
    this.pump.clear();
    this.figures.clear();
    this.view.clear();
    for (const id of ["stop", "snapshot", "pause", "record"]) $(id).disabled = true;
    this.#say("pause", false, "Pause");
  }

  /** Let the source go; `idle` is what the pill says from now on. */
  #stop(message, idle) {
    this.#leave();
    this.idle = idle;
    const problem = message !== STOPPED;
    this.#cover(message, problem ? "Try again" : "Start the camera", () => this.#start(), problem ? "i-warn" : "i-camera");
    this.#look();
  }

  async #pause() {
    if (this.paused) await this.source.resume();
    else this.source.pause();
    this.paused = !this.paused;
    this.#say("pause", this.paused, this.paused ? "Go on" : "Pause");
    this.shownAt = null;
    this.#look();
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
    if (this.wayState.state === "waiting") this.#passThrough();
  }

  /** While the network loads, the source's own picture is shown, and the pill says what is waited for. */
  #passThrough() {
    if (!this.view.empty && !this.untranslated) return;
    const drawn = this.pump.draw();
    if (!drawn) return;
    this.untranslated = true;
    this.view.show(drawn.canvas, drawn);
  }

  /** How pictures are laid into the network's size: as was chosen, else as fits the source. */
  #frame() {
    const chosen = $("fit").value;
    this.pump.fit = chosen === "auto" ? (this.source?.fit ?? "crop") : chosen;
    this.source?.again?.();
  }

  // The way -----------------------------------------------------------------------------------------------------------

  #chooseWay() {
    const name = chosenWay();
    if (this.source) $("cover").hidden = true;
    this.way?.close();
    this.pump.clear();
    this.figures.clear();
    this.problem = null;
    $("engine").textContent = "–";
    $("provider-row").hidden = name !== "browser";
    $("way-hint").textContent = this.#hint(name);
    const events = this.#events();
    this.#setWay("waiting", "connecting");
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
      loading: (note) => this.#setWay("waiting", note),
      ready: (info) => this.#ready(info),
      free: () => this.pump.go(),
      picture: (picture, frame) => this.#picture(picture, frame),
      failed: ({ what, remedy }) => this.#failed(`${what} ${remedy ?? ""}`),
      stats: ({ tabs }) => ($("way-hint").textContent = this.#hint() + (tabs > 1 ? ` ${tabs} tabs share the model.` : "")),
      lost: (seconds) => this.#lost(serverLost(seconds)),
      problem: (message) => this.#lost(message, true),
      lookDone: (problem) => {
        this.looks.answered(problem);
        this.source?.again?.();
      },
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
    if (this.source) $("cover").hidden = true;
    this.figures.clear();
    this.shownAt = null;
    this.#setWay("ready");
    if (this.source?.again) this.source.again();
    else this.pump.go();
  }

  #picture(picture, frame) {
    if (!this.source) return this.pump.clear();
    if (frame.source !== this.source.drawable) return this.pump.go(); // of the source before
    this.untranslated = false;
    this.view.show(picture, frame);
    this.figures.shown(frame.time === null ? null : performance.now() - frame.time);
    $("snapshot").disabled = false;
    this.shownAt = performance.now();
    this.#setWay("ready");
    this.pump.go();
  }

  #failed(what) {
    this.#setWay("lost", what.trim());
    this.figures.drop();
    this.pump.go();
  }

  /** Nothing comes any more: the last picture stays and says so; where there is none, the reason takes its place. */
  #lost(message, stays = false) {
    this.problem = [message, stays];
    this.#setWay("lost", stays ? message.title : `${message.title.toLowerCase()}: ${message.text.toLowerCase()}`);
    if (!this.view.empty && !this.untranslated) this.view.setStale(true);
    if (this.source && (stays || this.view.empty)) this.#cover(message, "Try again", () => this.#again());
  }

  #again() {
    $("cover").hidden = true;
    this.#chooseWay();
  }

  // What is said and kept ---------------------------------------------------------------------------------------------

  #setWay(state, note = "") {
    this.wayState = { state, note };
    this.#look();
  }

  /** See how it goes, and say it. */
  #look() {
    const { wayState: way, source, paused, idle, shownAt } = this;
    const { state, words } = status({ way, source, paused, idle, since: shownAt === null ? null : performance.now() - shownAt });
    if (way.state === "ready" && this.way?.streams) source?.again?.(); // a picture among moving ones is lost easily
    $("state").dataset.state = state;
    if ($("state").textContent !== words) $("state").textContent = words; // it is read out whenever it is set
  }

  #cover({ title, text }, button, retry, icon = "i-warn") {
    $("cover").hidden = false;
    $("start").hidden = this.source === null && this.cameraProblem !== null;
    $("cover").dataset.kind = icon === "i-warn" ? "problem" : "";
    $("cover").dataset.over = String(!this.view.empty);
    $("cover-icon").setAttribute("href", `#${icon}`);
    $("cover-title").textContent = title;
    $("cover-text").textContent = text;
    $("start").textContent = button;
    $("choose").hidden = this.source !== null;
    this.retry = retry;
  }

  #compare() {
    this.#toggle("compare");
    this.pump.keepsOwn = this.view.compare;
    this.source?.again?.();
  }

  #toggle(what) {
    this.view[what] = !this.view[what];
    this.#setPressed(what, this.view[what]);
  }

  #setPressed(id, on) {
    $(id).setAttribute("aria-pressed", String(on));
  }

  #say(id, pressed, words) {
    this.#setPressed(id, pressed);
    $(id).querySelector("span").textContent = words;
  }

  #fileName() {
    return this.source?.name ? `${this.source.name.replace(/\.[^.]*$/, "")}-${this.bundle.name}` : this.bundle.name;
  }

  async #snapshot() {
    download(await this.view.snapshot(), this.#fileName(), "png");
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
  $("start").hidden = $("choose").hidden = true;
}

begin();
