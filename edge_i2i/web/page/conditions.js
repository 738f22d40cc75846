// What is set once and kept over many frames; as edge_i2i/translate/conditions.py. Tensors are { type, dims, data }.

import { standardNormal } from "./normal.js";

const ARRAYS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array };
const PER_FRAME = new Set(["frame", "label_map", "instance_map", "mask", "boxes"]);

/**
 * The once-only inputs of a frame graph. `styles`: what the page offers, of which the first stand in where the network
 * needs a look and none was chosen. `run(graph, inputs)` computes a condition graph, `picture(file, spec)` a tensor.
 */
export class Conditions {
  constructor({ inputs, conditions }, styles, run, picture) {
    Object.assign(this, { inputs, conditions, styles, run, picture, cache: new Map() });
    const declared = conditions.flatMap((graph) => [...graph.outputs, ...graph.inputs]);
    this.specs = new Map([...declared, ...inputs].map((spec) => [spec.name, spec]));
  }

  /** What the frame graph reads besides the frame, for a look (see look.js); `choices` resolve to `given`s. */
  async frameInputs({ now, before, mix, attributes }) {
    const known = before && mix < 1 ? await this.#between(before, now, mix, attributes) : await this.#known(now, attributes);
    return Object.fromEntries(this.#once().map((spec) => [spec.name, this.#value(spec, known) ?? missing(spec)]));
  }

  async #between(before, now, share, attributes) {
    const slider = this.inputs.find((spec) => spec.role === "mix");
    const second = this.inputs.find((spec) => spec.second_of);
    const name = second?.second_of ?? this.inputs.find((spec) => spec.mixable)?.name;
    if (name === undefined) throw new Error("This bundle cannot mix two looks.");
    const spec = this.specs.get(name);
    const known = await this.#known(now, attributes);
    const [from, to] = [this.#value(spec, await this.#known(before, attributes)), this.#value(spec, known)];
    if (slider && second) {
      const shared = filled(slider, share);
      return new Map([...known, [name, from], [second.name, to], [slider.name, shared]]);
    }
    const data = from.data.map((value, index) => (1 - share) * value + share * to.data[index]);
    return new Map([...known, [name, { ...from, data }]]);
  }

  /** Every tensor that is known under a choice; the last few are kept, for sliders go back and forth. */
  async #known(choice, attributes) {
    const key = JSON.stringify([choice?.key, attributes]);
    if (!this.cache.has(key)) {
      if (this.cache.size >= 8) this.cache.delete(this.cache.keys().next().value);
      const computed = this.#given(choice, attributes).then((given) => this.#computed(given));
      this.cache.set(key, computed);
      computed.catch(() => this.cache.delete(key));
    }
    return this.cache.get(key);
  }

  async #computed(known) {
    for (const graph of this.conditions) {
      if (graph.outputs.some((spec) => known.has(spec.name))) continue;
      const inputs = graph.inputs.map((spec) => [spec.name, this.#value(spec, known)]);
      if (inputs.some(([, tensor]) => tensor === undefined)) continue;
      const results = await this.run(graph, Object.fromEntries(inputs));
      for (const spec of graph.outputs) known.set(spec.name, results[spec.name]);
    }
    return known;
  }

  async #given(choice, attributes) {
    this.starting ??= this.#startingLook();
    const start = await this.starting;
    const isLook = choice?.style_seed !== undefined || choice?.exemplar !== undefined;
    return this.#tensors({ ...(isLook ? choice : start), attributes: choice?.attributes ?? attributes ?? start.attributes });
  }

  /** What the network does without being told: with the first styles, as far as it needs them. */
  async #startingLook() {
    let given = {};
    for (const style of [{}, ...this.styles.filter(Boolean)]) {
      given = { ...given, ...style };
      const known = await this.#computed(await this.#tensors(given));
      if (this.#once().every((spec) => this.#value(spec, known))) break;
    }
    return given;
  }

  async #tensors({ style_seed, exemplar, attributes }) {
    const known = new Map();
    if (style_seed !== undefined) this.#draw(style_seed, known);
    if (exemplar !== undefined) {
      const spec = this.#withRole("exemplar");
      known.set(spec.name, await this.picture(exemplar, spec));
    }
    if (attributes) this.#describe(attributes, known);
    return known;
  }

  #once() {
    return this.inputs.filter((spec) => spec.role !== "frame");
  }

  #draw(seed, known) {
    for (const spec of this.specs.values()) {
      if (!spec.drawn || spec.stack_of) continue;
      const entropy = [seed, ...new TextEncoder().encode(spec.name)];
      known.set(spec.name, { type: spec.dtype, dims: spec.shape, data: standardNormal(entropy, size(spec)) });
    }
  }

  /** Of two vectors of attributes, the wanted one is that which takes after what the frame shows. */
  #describe(named, known) {
    const vectors = [...this.specs.values()].filter((spec) => spec.role === "attributes");
    const spec = vectors.find((vector) => vector.fallback) ?? vectors[0];
    const otherwise = this.#value(spec, known) ?? filled(spec, 0);
    const data = otherwise.data.slice();
    for (const [label, value] of Object.entries(named)) data[spec.labels.indexOf(label)] = value;
    known.set(spec.name, { ...otherwise, data });
  }

  #withRole(role) {
    const found = [...this.specs.values()].find((spec) => spec.role === role);
    if (!found) throw new Error(`This bundle takes no ${role}.`);
    return found;
  }

  #value(spec, known) {
    if (known.has(spec.name)) return known.get(spec.name);
    const origin = this.specs.get(spec.second_of ?? spec.stack_of ?? spec.fallback);
    const base = origin && this.#value(origin, known);
    if (base) return repeated(base, spec);
    return spec.default === null || spec.default === undefined ? undefined : filled(spec, spec.default);
  }
}

function size(spec) {
  return spec.shape.reduce((product, side) => product * side, 1);
}

function filled(spec, value) {
  return { type: spec.dtype, dims: spec.shape, data: new ARRAYS[spec.dtype](size(spec)).fill(value) };
}

function repeated(base, spec) {
  const data = new ARRAYS[spec.dtype](size(spec));
  for (let at = 0; at < data.length; at += base.data.length) data.set(base.data, at);
  return { type: spec.dtype, dims: spec.shape, data };
}

function missing(spec) {
  if (PER_FRAME.has(spec.role)) throw new Error(`This network needs a ${spec.role.replace("_", " ")} with every frame.`);
  throw new Error(`Choose a look first: this network needs ${spec.meaning || spec.name}.`);
}
