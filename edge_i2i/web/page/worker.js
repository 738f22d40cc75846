// The network in the browser: onnxruntime-web in a thread of its own, so that the page stays responsive.

import { Conditions } from "./conditions.js";
import { lay, place } from "./geometry.js";

const RUNTIME = new URL("./ort/", import.meta.url).href;
const MOST_THREADS = 8;

let ort, sessions, conditions, frameGraph;
let once = null; // what the frame graph reads besides the frame
let queue = Promise.resolve(); // sessions take one call at a time

self.onmessage = ({ data }) => {
  queue = queue.then(() => HANDLERS[data.type](data)).catch((error) => tell("error", { what: explain(error), about: data.type, id: data.id }));
};

const HANDLERS = { load, look, frame };

function tell(type, content, transfer = []) {
  self.postMessage({ type, ...content }, transfer);
}

async function load({ browser, styles, provider }) {
  const { backend, why } = await chooseBackend(provider);
  try {
    await open(browser, styles, backend);
  } catch (error) {
    if (provider !== "auto" || backend !== "webgpu") throw error;
    await open(browser, styles, "wasm");
    return ready("wasm", `WebGPU failed: ${explain(error)}`);
  }
  ready(backend, why);
}

function ready(backend, why) {
  tell("ready", { backend, why, threads: backend === "wasm" ? ort.env.wasm.numThreads : null });
}

/** WebGPU where it is and is more than a CPU in disguise. */
async function chooseBackend(provider) {
  if (provider === "wasm") return { backend: "wasm", why: "" };
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const software = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter;
  if (adapter && !software) return { backend: "webgpu", why: "" };
  const why = software ? "WebGPU here is computed by the CPU" : "this browser offers no WebGPU here";
  if (provider === "webgpu") throw new Error(`WebGPU is not to be had: ${why}.`);
  return { backend: "wasm", why };
}

async function open(browser, styles, backend) {
  ort = await import(`${RUNTIME}ort.${backend}.min.mjs`);
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = RUNTIME;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  sessions = new Map();
  frameGraph = { name: "frame", ...browser };
  conditions = new Conditions(browser, styles, (graph, inputs) => run(graph, inputs, "wasm"), pictureTensor);
  await session(frameGraph, backend);
}

/** A graph is fetched and prepared when it is first run. */
async function session({ name, graph, bytes }, backend) {
  if (!sessions.has(name)) {
    const data = await download(graph, bytes, name);
    tell("loading", { note: "preparing the network" });
    sessions.set(name, await ort.InferenceSession.create(data, { executionProviders: [backend], logSeverityLevel: 3 }));
  }
  return sessions.get(name);
}

async function download(address, bytes, name) {
  const answer = await fetch(new URL(`../${address}`, import.meta.url));
  if (!answer.ok) throw new Error(`The graph '${name}' could not be fetched (${answer.status}).`);
  const data = new Uint8Array(bytes);
  let at = 0;
  for (let reader = answer.body.getReader(), part; !(part = await reader.read()).done; at += part.value.length) {
    if (at + part.value.length > bytes) throw new Error(`The graph '${name}' is longer than it should be.`);
    data.set(part.value, at);
    tell("loading", { note: `fetching the network, ${Math.round((at / bytes) * 100)} %` });
  }
  return data.subarray(0, at);
}

async function run(graph, inputs, backend) {
  const made = await session(graph, backend);
  const tensors = Object.entries(inputs).map(([name, { type, data, dims }]) => [name, new ort.Tensor(type, data, dims)]);
  return made.run(Object.fromEntries(tensors));
}

async function look({ look: wanted, number }) {
  once = await conditions.frameInputs(wanted);
  tell("look", { number });
}

async function frame({ id, pixels, width, height }) {
  once ??= await conditions.frameInputs({ now: null, before: null, mix: 1, attributes: null });
  const [spec] = frameGraph.inputs;
  const input = { type: "uint8", dims: [height, width, 3], data: withoutAlpha(new Uint8Array(pixels)) };
  const began = performance.now();
  const results = await run(frameGraph, { ...once, [spec.name]: input }, null);
  const seconds = (performance.now() - began) / 1e3;
  const image = results[frameGraph.outputs[0].name];
  const picture = withAlpha(image.data);
  tell("picture", { id, pixels: picture.buffer, width: image.dims[1], height: image.dims[0], seconds }, [picture.buffer]);
}

/** An exemplar as the graph takes it. */
async function pictureTensor(file, spec) {
  const bitmap = await createImageBitmap(file);
  const [height, width] = spec.shape;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  lay(context, bitmap, place(bitmap, { width, height }, "letterbox"));
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  return { type: "uint8", dims: spec.shape, data: withoutAlpha(pixels) };
}

function withoutAlpha(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}

function withAlpha(rgb) {
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    rgba[to] = rgb[from];
    rgba[to + 1] = rgb[from + 1];
    rgba[to + 2] = rgb[from + 2];
    rgba[to + 3] = 255;
  }
  return rgba;
}

function explain(error) {
  return String(error?.message ?? error);
}
