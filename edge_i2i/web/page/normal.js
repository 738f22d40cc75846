// N(0, 1) as numpy draws it, number for number, so that a seed is the same style in the browser and on the server:
// numpy.random.default_rng(entropy).standard_normal(n, np.float32). SeedSequence, PCG64 (XSL-RR) and the ziggurat.

const MASK64 = (1n << 64n) - 1n;
const MASK128 = (1n << 128n) - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n; // O'Neill, PCG: 128-bit

/** `count` values for `entropy`: whole numbers, each 0 or more. */
export function standardNormal(entropy, count) {
  const next = uint32s(generateState(entropyWords(entropy), 4));
  return Float32Array.from({ length: count }, () => ziggurat(next));
}

function entropyWords(numbers) {
  return numbers.flatMap((number) => {
    const words = [number % 2 ** 32];
    for (let rest = Math.floor(number / 2 ** 32); rest > 0; rest = Math.floor(rest / 2 ** 32)) words.push(rest % 2 ** 32);
    return words;
  });
}

/** numpy's SeedSequence: entropy spread over a pool of four words, and 64-bit words made of that. */
function generateState(entropy, count) {
  const pool = mixedPool(entropy);
  let multiplier = 0x8b51f9dd;
  const words = Array.from({ length: count * 2 }, (_, index) => {
    let value = (pool[index % 4] ^ multiplier) >>> 0;
    multiplier = Math.imul(multiplier, 0x58f38ded) >>> 0;
    value = Math.imul(value, multiplier) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  });
  return Array.from({ length: count }, (_, index) => BigInt(words[2 * index]) | (BigInt(words[2 * index + 1]) << 32n));
}

function mixedPool(entropy) {
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    value = (value ^ constant) >>> 0;
    constant = Math.imul(constant, 0x931e8875) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x, y) => {
    const value = (Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = [0, 1, 2, 3].map((index) => hash(entropy[index] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  }
  for (const word of entropy.slice(4)) for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hash(word));
  return pool;
}

/** A PCG64, of which each 64-bit output is taken in two halves, the lower first. */
function uint32s([stateHigh, stateLow, streamHigh, streamLow]) {
  const increment = ((((streamHigh << 64n) | streamLow) << 1n) | 1n) & MASK128;
  const step = (state) => (state * MULTIPLIER + increment) & MASK128;
  let state = step((increment + ((stateHigh << 64n) | stateLow)) & MASK128);
  let kept = null;
  return () => {
    if (kept !== null) {
      const upper = kept;
      kept = null;
      return upper;
    }
    state = step(state);
    const folded = (state >> 64n) ^ (state & MASK64);
    const turn = state >> 122n;
    const value = ((folded >> turn) | (folded << (64n - turn))) & MASK64;
    kept = Number(value >> 32n);
    return Number(value & 0xffffffffn);
  };
}

// Marsaglia and Tsang (2000), 256 layers; the last one begins at R and each has the area AREA.
const R = 3.6541528853610088;
const AREA = 0.00492867323399;
const SCALE = 2 ** 23;
const TABLES = zigguratTables();

function zigguratTables() {
  const inside = new Uint32Array(256);
  const width = new Float32Array(256);
  const height = new Float32Array(256);
  const density = (x) => Math.exp(-0.5 * x * x);
  const base = AREA / density(R);
  inside[0] = (R / base) * SCALE;
  width[0] = base / SCALE;
  width[255] = R / SCALE;
  height[0] = 1;
  height[255] = density(R);
  let last = R;
  for (let layer = 254; layer >= 1; layer--) {
    const x = Math.sqrt(-2 * Math.log(AREA / last + density(last)));
    inside[layer + 1] = (x / last) * SCALE;
    width[layer] = x / SCALE;
    height[layer] = density(x);
    last = x;
  }
  return { inside, width, height };
}

function ziggurat(next) {
  const single = Math.fround;
  const uniform = () => single((next() >>> 8) / 2 ** 24);
  for (;;) {
    const bits = next();
    const layer = bits & 0xff;
    const magnitude = bits >>> 9;
    const sign = (bits >>> 8) & 1 ? -1 : 1;
    const x = single(single(magnitude * TABLES.width[layer]) * sign);
    if (magnitude < TABLES.inside[layer]) return x;
    if (layer === 0) return tail(uniform, (magnitude >>> 8) & 1);
    const between = single(single(TABLES.height[layer - 1] - TABLES.height[layer]) * uniform());
    if (single(between + TABLES.height[layer]) < Math.exp(-0.5 * x * x)) return x;
  }
}

function tail(uniform, negative) {
  for (;;) {
    const x = Math.fround(-Math.log1p(-uniform()) / R);
    const y = -Math.log1p(-uniform());
    if (y + y > x * x) return Math.fround(negative ? -(R + x) : R + x);
  }
}
