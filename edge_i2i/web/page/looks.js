// The card in which a look is chosen: styles, own pictures, drawn styles, attributes, and the way between two looks.

const OWN_SHOWN = 4; // the visitor's own pictures that stay as tiles
const PICTURES = ["image/jpeg", "image/png", "image/webp"];
const LARGEST_SEED = 2 ** 31;
const RETRIES = 20; // of a thumbnail, while the model loads

/** `onChange(look)`: the whole look, whenever it changes (see look.js). */
export class Looks {
  constructor({ card, parts, problem }, bundle, onChange) {
    Object.assign(this, { card, parts, problem, bundle, onChange, files: 0 });
    this.look = { now: null, before: null, mix: 1, attributes: null };
    const { looks, styles } = bundle;
    const choices = styles.filter((style) => style.id !== "plain").map((style) => ({ kind: "style", ...style }));
    this.choices = choices.filter((choice) => !isAttribute(choice.given)); // those have their own tiles
    if (this.choices.length || looks.exemplar) this.parts.append((this.grid = element("div", "thumbs", { role: "group", ariaLabel: "Styles" })));
    for (const choice of this.choices) this.grid.append(this.#tile(choice, choice.thumbnail));
    if (looks.exemplar) this.parts.append(this.#dropZone());
    if (looks.style_seed) this.parts.append(this.#dice());
    if (looks.mix) this.parts.append(this.#slider());
    if (looks.attributes.length) this.parts.append(this.#checkboxes(looks.attributes));
    this.card.hidden = !this.parts.childElementCount;
    const [first] = this.choices;
    if (first) this.#mark((this.look.now = first));
  }

  /** Whether there is anything to ask for. */
  get isPlain() {
    return this.look.now === null && this.look.attributes === null;
  }

  /** Say that a look was refused; null: it is in force. */
  answered(problem) {
    this.problem.hidden = problem === null;
    if (problem) this.problem.textContent = `${problem.what} ${problem.remedy ?? ""}`.trim();
  }

  #choose(choice) {
    this.look = { ...this.look, now: choice, before: this.look.now, mix: 1 };
    this.#mark(choice);
    this.#showSlider();
    this.#changed();
  }

  #changed() {
    this.onChange(this.look);
  }

  #mark(choice) {
    for (const tile of this.grid?.children ?? []) tile.setAttribute("aria-pressed", String(tile.choice === choice));
  }

  #tile(choice, address) {
    const tile = element("button", "thumb", { type: "button", title: choice.title }, thumbnail(address), element("span", "", { textContent: choice.title }));
    tile.choice = choice;
    tile.setAttribute("aria-pressed", "false");
    tile.addEventListener("click", () => this.#choose(choice));
    return tile;
  }

  #dropZone() {
    const input = element("input", "", { type: "file", id: "exemplar", accept: PICTURES.join(), ariaLabel: "Your own picture as a look" });
    const zone = element("div", "drop", {}, element("strong", "", { textContent: "Use your own picture" }), element("span", "", { textContent: "choose one, or drop it here" }), input);
    input.addEventListener("change", () => {
      if (input.files[0]) this.#take(input.files[0]);
      input.value = "";
    });
    for (const kind of ["dragover", "dragleave", "drop"]) {
      zone.addEventListener(kind, (event) => {
        event.preventDefault();
        zone.dataset.over = String(kind === "dragover");
        if (kind === "drop" && event.dataTransfer.files[0]) this.#take(event.dataTransfer.files[0]);
      });
    }
    return zone;
  }

  #take(file) {
    const problem = unfit(file, this.bundle.limits);
    this.answered(problem);
    if (problem) return;
    const choice = { kind: "exemplar", file, number: this.files++, title: file.name };
    const tile = this.#tile(choice, URL.createObjectURL(file));
    this.grid.prepend(tile);
    const own = [...this.grid.children].filter((other) => other.choice.kind === "exemplar");
    for (const old of own.slice(OWN_SHOWN)) {
      URL.revokeObjectURL(old.querySelector("img").src);
      old.remove();
    }
    this.#choose(choice);
  }

  #dice() {
    const said = element("output", "", { id: "seed" });
    const button = element("button", "plain", { type: "button", id: "dice" }, icon("i-dice"), element("span", "", { textContent: "Roll a style" }));
    button.addEventListener("click", () => {
      const seed = Math.floor(Math.random() * LARGEST_SEED);
      said.value = `seed ${seed}`;
      this.#choose({ kind: "seed", seed, title: `Seed ${seed}` });
    });
    return element("div", "row", {}, button, said);
  }

  #slider() {
    this.mix = element("input", "", { type: "range", id: "mix", min: "0", max: "1", step: "0.02", value: "1", ariaLabel: "From the look before to this one" });
    this.ends = [element("span"), element("span")];
    this.mix.addEventListener("input", () => {
      this.look = { ...this.look, mix: Number(this.mix.value) };
      this.#changed();
    });
    const box = element("div", "mix", {}, element("div", "ends", {}, ...this.ends), this.mix);
    this.#showSlider();
    return box;
  }

  #showSlider() {
    if (!this.mix) return;
    const { now, before, mix } = this.look;
    this.mix.disabled = !before;
    this.mix.value = String(mix);
    this.ends[0].textContent = before?.title ?? "Pick two looks to mix them";
    this.ends[1].textContent = before ? now.title : "";
  }

  #checkboxes(names) {
    const boxes = names.map((name) => {
      const box = element("input", "", { type: "checkbox", value: name });
      box.addEventListener("change", () => {
        this.look = { ...this.look, attributes: { ...this.look.attributes, [name]: Number(box.checked) } };
        this.#changed();
      });
      const label = element("label", "", {}, box, element("span", "", { textContent: name.replaceAll("_", " ") }));
      const shown = this.bundle.styles.find(({ given }) => isAttribute(given) && given.attributes[name]);
      if (shown) label.prepend(thumbnail(shown.thumbnail));
      return label;
    });
    return element("div", "attributes", { role: "group", ariaLabel: "Attributes" }, ...boxes);
  }
}

function unfit(file, limits) {
  if (!PICTURES.includes(file.type)) return { what: `'${file.name}' is no JPEG, PNG or WebP picture.` };
  if (file.size <= limits.exemplar_bytes) return null;
  return { what: `'${file.name}' is too large.`, remedy: `At most ${Math.floor(limits.exemplar_bytes / 2 ** 20)} MiB.` };
}

function isAttribute(given) {
  return given?.attributes !== undefined && Object.keys(given).length === 1;
}

/** Thumbnails are made by the model, which may still be loading. */
function thumbnail(address) {
  const picture = element("img", "", { alt: "", src: address, loading: "lazy" });
  let left = RETRIES;
  picture.addEventListener("error", () => {
    const address = picture.src.replace(/\?.*/, "");
    if (left-- > 0 && !address.startsWith("blob:")) setTimeout(() => (picture.src = `${address}?again=${left}`), 1500);
  });
  return picture;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

function element(tag, className = "", properties = {}, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}
