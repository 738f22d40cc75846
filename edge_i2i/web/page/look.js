// What a look is in this page, and how the server is told.
//
// A look: { now, before, mix, attributes }. `now` and `before` (the look at mix 0, or null) are choices:
// { kind: "style", id, title }, { kind: "seed", seed, title } or { kind: "exemplar", file, title }.

/** Makes the `look` messages of a connection; pictures are uploaded once, when they are first needed. */
export class LookMessages {
  constructor() {
    this.uploads = new Map();
  }

  /** Another connection: the server may not know the uploads any more. */
  forget() {
    this.uploads.clear();
  }

  async message({ now, before, mix, attributes }) {
    const message = { ...(now && (await this.#choice(now))) };
    if (before && mix < 1) Object.assign(message, { from: await this.#choice(before), mix });
    else if (now && before) message.mix = 1;
    if (attributes) message.attributes = attributes;
    return message;
  }

  async #choice(choice) {
    if (choice.kind === "style") return { style: choice.id };
    if (choice.kind === "seed") return { style_seed: choice.seed };
    if (!this.uploads.has(choice.file)) this.uploads.set(choice.file, upload(choice.file));
    try {
      return { exemplar: await this.uploads.get(choice.file) };
    } catch (error) {
      this.uploads.delete(choice.file);
      throw error;
    }
  }
}

async function upload(file) {
  const answer = await fetch("exemplar", { method: "POST", body: file, headers: { "Content-Type": file.type } });
  const said = await answer.json();
  if (!answer.ok) throw new Error(`${said.what} ${said.remedy ?? ""}`.trim());
  return said.id;
}
