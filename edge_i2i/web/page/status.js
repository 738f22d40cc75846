// What is said of how it goes: "live" only while translated pictures of something that moves come back.

const FRESH = 5000; // ms; no picture for longer, and it is live no more

/**
 * `way`: { state: "waiting", "ready" or "lost", note }. `source`: what pictures come from, or null; then `idle` says why.
 * `since`: ms since the last translated picture of this source over this way; null: there was none yet.
 */
export function status({ way, source, paused, since, idle }) {
  if (way.state !== "ready") return { state: way.state, words: way.note };
  if (!source) return { state: "idle", words: idle };
  if (source.kind === "picture") return since === null ? waiting("translating") : { state: "picture", words: "picture" };
  if (paused) return { state: "paused", words: "paused" };
  if (since === null) return waiting("waiting for the first picture");
  if (since > FRESH) return waiting(`waiting for the ${source.kind}'s next picture`);
  return { state: "live", words: "live" };
}

function waiting(words) {
  return { state: "waiting", words };
}
