// How long the traces in view took, on a logarithmic axis, with a brush that keeps those of some durations.
import { queryOf, useAnswer, viewKey } from "./api.js";
import { count, counted, duration, tick } from "./format.js";
import { html, useMemo, useRef, useState } from "./html.js";
import { useTraceClock } from "./live.js";
import { go } from "./place.js";

const HEIGHT = 68;
const MARKS = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000, 1e4];

/**
 * The brush itself is no part of what it draws, so the bars stay where they are while it moves.
 * @param {{ place: import("./place.js").Place, fresh: number }} props
 */
export function Histogram({ place, fresh }) {
  const version = useTraceClock(1500);
  const path = useMemo(
    () => `/api/histogram?${queryOf(place, { brushed: false })}`,
    [viewKey({ ...place, slower: "", faster: "" }), fresh, version],
  );
  const { data } = useAnswer(path, `${fresh} ${version}`);
  const buckets = data?.buckets ?? [];
  const axis = useAxis(buckets);
  const brushed = Boolean(place.slower || place.faster);
  const inside = buckets.filter((/** @type {any} */ bucket) => within(bucket, place));
  const total = sum(brushed ? inside : buckets, "count");
  return html`<section class="histogram" aria-label="Durations">
    <div class="said"><span class="count">${count(total)}</span>
      <span class="muted">${brushed ? `of ${counted(sum(buckets, "count"), "trace")}` : total === 1 ? "trace" : "traces"}</span>
      ${brushed ? html`<button
      onClick=${() => go({ slower: "", faster: "" })}>all durations</button>` : html`<${Percentiles} data=${data} />`}
    </div>
    <${Plot} place=${place} buckets=${buckets} axis=${axis} />
  </section>`;
}

/** @param {{ data: any }} props */
function Percentiles({ data }) {
  if (data?.p50 == null) return null;
  return html`<span class="faint"
    title="Half were faster than the first, 99 of 100 than the second">p50 ${duration(data.p50)}</span>
    <span class="faint">p99 ${duration(data.p99)}</span>`;
}

/** @param {{ place: import("./place.js").Place, buckets: any[], axis: Axis }} props */
function Plot({ place, buckets, axis }) {
  const plot = useRef(/** @type {HTMLElement | null} */ (null));
  const [drag, setDrag] = useState(/** @type {[number, number] | null} */ (null));
  const [over, hover] = useState(/** @type {any} */ (null));
  const shareAt = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (plot.current).getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const chosen = drag
    ? [...drag].sort((a, b) => a - b)
    : place.slower || place.faster
      ? [axis.share(Number(place.slower) || axis.from), axis.share(Number(place.faster) || axis.to)]
      : null;
  const begin = (/** @type {PointerEvent} */ event) => {
    if (event.button || buckets.length === 0) return;
    /** @type {HTMLElement} */ (plot.current).setPointerCapture(event.pointerId);
    setDrag([shareAt(event), shareAt(event)]);
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (drag) setDrag([drag[0], shareAt(event)]);
    hover(bucketAt(buckets, axis.value(shareAt(event))));
  };
  const end = (/** @type {PointerEvent} */ event) => {
    if (!drag) return;
    const [low, high] = [drag[0], shareAt(event)].sort((a, b) => a - b);
    setDrag(null);
    // A click keeps the bar under it; a drag keeps the bars that it touches.
    const touched =
      high - low < 0.004
        ? [bucketAt(buckets, axis.value(high))]
        : buckets.filter((bucket) => axis.share(bucket.to) > low && axis.share(bucket.from) < high);
    keep(touched.filter(Boolean));
  };
  const slowerHalf = () => keep(buckets.slice(-Math.ceil(buckets.length / 2)));
  return html`<div class="plot" ref=${plot} onPointerDown=${begin} onPointerMove=${move} onPointerUp=${end}
    onPointerCancel=${() => setDrag(null)} onPointerLeave=${() => hover(null)}>
    <svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${described(buckets)}>
      <${Bars} buckets=${buckets} axis=${axis} place=${place} dragging=${drag !== null} />
      <line x1="0" x2="1000" y1=${HEIGHT} y2=${HEIGHT} />
    </svg>
    <div class="ticks" aria-hidden="true">
      ${axis.ticks.map((value) => html`<span key=${value} style=${{ left: percent(axis.share(value)) }}>${tick(value)}</span>`)}
    </div>
    ${chosen && html`<div class="brush" style=${{ left: percent(chosen[0]), width: percent(chosen[1] - chosen[0]) }}></div>`}
    ${chosen && !drag && html`<${Handle} side="slower" at=${chosen[0]} place=${place} buckets=${buckets} />
      <${Handle} side="faster" at=${chosen[1]} place=${place} buckets=${buckets} />`}
    ${over && !drag && html`<${Tip} of=${over} at=${axis.share(over.from)} />`}
    ${!chosen && buckets.length > 0 && html`<button class="hidden" onClick=${slowerHalf}>Keep the slower half of the bars</button>`}
  </div>`;
}

/** @param {number} share */
const percent = (share) => `${share * 100}%`;

/** What the bar under the pointer stands for. @param {{ of: any, at: number }} props */
function Tip({ of: { from, to, count: all, faults, errors }, at }) {
  const parts = [counted(all, "trace"), faults && counted(faults, "fault"), errors && counted(errors, "error")];
  const style = at < 0.7 ? { left: percent(at) } : { right: percent(1 - at) };
  return html`<div class="tip" style=${style}>${duration(from)} – ${duration(to)}: ${parts.filter(Boolean).join(", ")}</div>`;
}

/**
 * An edge of the brush, moved bar by bar with the arrow keys.
 * @param {{ side: "slower" | "faster", at: number, place: any, buckets: any[] }} props
 */
function Handle({ side, at, place, buckets }) {
  const edges = [...new Set(buckets.flatMap((bucket) => [bucket.from, bucket.to]))].sort((a, b) => a - b);
  const value = Number(place[side]) || (side === "slower" ? edges[0] : edges.at(-1));
  const step = (/** @type {number} */ by) => {
    const next = edges[nearest(edges, value) + by];
    const other = Number(place[side === "slower" ? "faster" : "slower"]);
    if (next == null || (other && (side === "slower" ? next >= other : next <= other))) return;
    go({ [side]: String(next) }, { replace: true });
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) (event.preventDefault(), event.stopPropagation(), step(by));
  };
  return html`<div class="handle" role="slider" tabindex="0"
    aria-label=${side === "slower" ? "Shortest duration" : "Longest duration"} aria-valuenow=${value}
    aria-valuemin=${edges[0]} aria-valuemax=${edges.at(-1)}
    aria-valuetext=${duration(value)} style=${{ left: `${at * 100}%` }} onKeyDown=${key}
    onPointerDown=${(/** @type {Event} */ event) => event.stopPropagation()}></div>`;
}

/** @param {number[]} edges @param {number} value */
const nearest = (edges, value) =>
  edges.reduce((best, edge, place) => (Math.abs(edge - value) < Math.abs(edges[best] - value) ? place : best), 0);

/** @param {any[]} buckets */
function keep(buckets) {
  if (buckets.length === 0) return;
  go({ slower: String(buckets[0].from), faster: String(buckets.at(-1).to) });
}

/** @param {{ buckets: any[], axis: Axis, place: any, dragging: boolean }} props */
function Bars({ buckets, axis, place, dragging }) {
  const highest = Math.max(1, ...buckets.map((bucket) => bucket.count));
  return buckets.map((bucket) => {
    const x = axis.share(bucket.from) * 1000;
    const width = Math.max(1, axis.share(bucket.to) * 1000 - x - 1.5);
    const scale = (HEIGHT - 4) / highest;
    const parts = [
      ["faults", bucket.faults],
      ["errors", bucket.errors],
      ["ok", bucket.count - bucket.faults - bucket.errors],
    ];
    let y = HEIGHT;
    return html`<g key=${bucket.from} class=${dragging || within(bucket, place) ? "" : "out"}>${parts.map(
      ([name, value]) => {
        if (value <= 0) return null;
        const height = Math.max(1.5, value * scale);
        return html`<rect class=${name} x=${x} width=${width} y=${(y -= height)} height=${height} />`;
      },
    )}</g>`;
  });
}

/**
 * @typedef {object} Axis
 * @property {number} from seconds
 * @property {number} to seconds
 * @property {number[]} ticks
 * @property {(value: number) => number} share where on the axis a duration is, 0 to 1
 * @property {(share: number) => number} value which duration is there
 */

/** @param {any[]} buckets @returns {Axis} */
function useAxis(buckets) {
  const from = buckets[0]?.from || 0.001;
  const to = buckets.at(-1)?.to || 10;
  return useMemo(() => {
    const [low, high] = [Math.log(from), Math.log(to)];
    const share = (/** @type {number} */ value) => Math.max(0, Math.min(1, (Math.log(value) - low) / (high - low)));
    const wide = to / from > 1000 ? [1] : [1, 2, 5];
    const ticks = MARKS.flatMap((mark) => wide.map((step) => Number((mark * step).toPrecision(3)))).filter(
      (mark) => mark >= from * 0.999 && share(mark) < 0.97,
    );
    return { from, to, share, value: (place) => Math.exp(low + place * (high - low)), ticks };
  }, [from, to]);
}

/** @param {any[]} buckets @param {number} value */
const bucketAt = (buckets, value) => buckets.find((bucket) => bucket.from <= value && value < bucket.to);

/** @param {any} bucket @param {any} place */
function within(bucket, { slower, faster }) {
  return (!slower || bucket.from >= Number(slower) * 0.9999) && (!faster || bucket.to <= Number(faster) * 1.0001);
}

/** @param {any[]} buckets @param {string} field */
const sum = (buckets, field) => buckets.reduce((total, bucket) => total + bucket[field], 0);

/** @param {any[]} buckets */
function described(buckets) {
  const used = buckets.filter((bucket) => bucket.count);
  if (!used.length) return "No durations";
  const parts = used.map((bucket) => `${counted(bucket.count, "trace")} under ${duration(bucket.to)}`);
  return `Durations from ${duration(used[0].from)} to ${duration(used.at(-1).to)}: ${parts.join(", ")}`;
}
