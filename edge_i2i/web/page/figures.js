// Live figures: frames a second, age, frames passed over; and how the age went.

const SHOWN_SECONDS = 5;
const TRACE_POINTS = 120;

/** Counts over the last seconds. Times in ms. */
export class Figures {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.clear();
  }

  /** Forget everything: another way, another network. */
  clear() {
    this.results = [];
    this.dropped = 0;
    this.total = 0;
  }

  /** A picture was shown, whose frame is `age` ms old (null: not known). */
  shown(age) {
    const time = this.now();
    this.results.push({ time, age });
    this.total++;
    while (this.results.length && time - this.results[0].time > SHOWN_SECONDS * 1e3) this.results.shift();
  }

  /** Frames were passed over for newer ones. */
  drop(count = 1) {
    this.dropped += count;
  }

  snapshot() {
    const time = this.now();
    const recent = this.results.filter((result) => time - result.time <= SHOWN_SECONDS * 1e3);
    const span = recent.length > 1 ? time - recent[0].time : 0;
    const ages = recent.map((result) => result.age).filter((age) => age !== null);
    return {
      fps: span > 250 ? ((recent.length - 1) * 1e3) / span : null,
      p50: quantile(ages, 0.5),
      p99: quantile(ages, 0.99),
      dropped: this.dropped,
      total: this.total,
      ages: ages.slice(-TRACE_POINTS),
    };
  }
}

/** The nearest-rank quantile, or null of nothing. */
export function quantile(values, share) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Writes figures into the page, twice a second. */
export class FiguresCard {
  constructor(elements, figures) {
    this.elements = elements;
    this.figures = figures;
    setInterval(() => this.show(), 500);
  }

  show() {
    const { fps, p50, p99, dropped, total, ages } = this.figures.snapshot();
    const { elements } = this;
    Object.assign(elements.fps.dataset, { shown: total, dropped, at: this.figures.now() }); // for programs
    elements.fps.value = fps === null ? "–" : fps < 10 ? fps.toFixed(1) : fps.toFixed(0);
    elements.p50.textContent = milliseconds(p50);
    elements.p99.textContent = milliseconds(p99);
    elements.drops.textContent = total || dropped ? `${dropped} of ${total + dropped}` : "–";
    drawTrace(elements.trace, ages);
  }
}

function milliseconds(value) {
  return value === null ? "–" : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

function drawTrace(canvas, ages) {
  const context = canvas.getContext("2d");
  const ratio = devicePixelRatio || 1;
  const width = (canvas.width = canvas.clientWidth * ratio);
  const height = (canvas.height = canvas.clientHeight * ratio);
  if (ages.length < 2) return;
  const top = Math.max(40, ...ages) * 1.1;
  const point = (age, index) => [(index / (ages.length - 1)) * width, height - (age / top) * height];
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
  context.lineWidth = 1.6 * ratio;
  context.lineJoin = "round";
  context.beginPath();
  ages.forEach((age, index) => context.lineTo(...point(age, index)));
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(0, height);
  context.globalAlpha = 0.14;
  context.fill();
}
