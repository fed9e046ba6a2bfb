// The daemon itself: what it received, refused and lost, where it listens, what it keeps.
import { ask, useAnswer } from "./api.js";
import { Copy } from "./copy.js";
import { count, counted, exactTime, moment, size } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { useKeys } from "./keyboard.js";
import { useEvents } from "./live.js";
import { go, toView } from "./place.js";

/** @type {Array<[string, string, string, string]>} counter, name, what it means, its class where it is not zero */
const COUNTERS = [
  ["received", "received", "documents that came in", ""],
  ["rejected", "rejected", "refused, as X-Ray would; the reasons stand below", "is-error"],
  ["dropped", "dropped", "lost before they were read: more came than this machine could take", "is-fault"],
  ["unstored", "not stored", "lost because the store took none: see the log", "is-fault"],
  ["forwarded", "forwarded", "passed on", ""],
  ["unforwarded", "not forwarded", "that the other side did not take", "is-fault"],
];

export function Daemon() {
  const status = useAnswer("/api/status");
  const [told, tell] = useState(/** @type {any} */ (null));
  const refused = useAnswer("/api/rejections");
  const [more, add] = useState(/** @type {any[]} */ ([]));
  useEffect(() => add([]), [refused.data]);
  useEvents((kind, data) => {
    if (kind === "status") tell(data);
    if (kind === "rejected") add((before) => [data, ...before].slice(0, 100));
  });
  useKeys({ Escape: () => go(toView("")) });
  const now = status.data && { ...status.data, ...told };
  const rejections = [...more, ...(refused.data?.rejections ?? [])].slice(0, 100);
  return html`<div class="page"><div class="inner">
    <h1>Daemon</h1>
    ${now?.problem && html`<p class="notice bad"><${Icon} name="fault" class="is-fault" />
      ${moment(now.problem.at).time} ${now.problem.text}</p>`}
    ${now && html`<${Counters} now=${now} /><${Facts} now=${now} />`}
    <h2>Rejected documents</h2>
    ${rejections.length === 0 && html`<p class="muted">None since the start.</p>`}
    <ol class="rejections">
      ${rejections.map((each, place) => html`<${Rejection} key=${rejections.length - place} rejection=${each} />`)}</ol>
  </div></div>`;
}

/** @param {{ now: any }} props */
function Counters({ now }) {
  const shown = COUNTERS.filter(([key]) => !key.endsWith("forwarded") || now.forwarded || now.unforwarded);
  const cards = shown.map(
    ([key, name, means, bad]) => html`<div class="figure-card" key=${key}>
      <dd class="figure ${now[key] ? bad : ""}">${count(now[key])}</dd>
      <dt>${name}</dt><dd class="faint">${means}</dd></div>`,
  );
  return html`<dl class="figures">${cards}</dl>`;
}

/** Where programs reach it: what listens everywhere is nearest at 127.0.0.1. @param {any} status */
export function addressOfDaemon({ host = "127.0.0.1", port = 2000 }) {
  const near = { "0.0.0.0": "127.0.0.1", "::": "::1", localhost: "127.0.0.1" }[String(host)] ?? host;
  return `${near.includes(":") ? `[${near}]` : near}:${port}`;
}

/** @param {{ now: any }} props */
function Facts({ now }) {
  const since = moment(now.started);
  const address = addressOfDaemon(now);
  return html`<dl class="facts-list daemon-facts">
    <dt>Daemon</dt><dd class="with-copy"><code>${address}</code>
    <${Copy} text="AWS_XRAY_DAEMON_ADDRESS=${address}" label="Copy as a setting" /></dd>
    <dt>Store</dt>
    <dd><span class="code">${now.store ?? "in memory"}</span>, ${size(now.bytes)}, ${counted(now.traces ?? 0, "trace")}</dd>
    <dt>Running since</dt><dd title=${exactTime(now.started)}>${since.date} ${since.time}</dd>
    ${now.forward && html`<dt>Forwards to</dt><dd class="code">${now.forward}</dd>`}
    <dt>Version</dt><dd>${now.version}</dd>
    <dt>Forget</dt><dd><${Forget} /></dd>
  </dl>`;
}

/** Asks once more before it forgets. */
function Forget() {
  const [sure, ask_] = useState(false);
  const forget = () => ask("/api/clear", { method: "POST" }).then(() => go(toView("")));
  return sure
    ? html`<span class="with-copy"><button class="button main" onClick=${forget}>Forget all traces</button>
      <button class="button" onClick=${() => ask_(false)}>Keep them</button></span>`
    : html`<button class="button" onClick=${() => ask_(true)}>Forget all traces …</button>`;
}

/** @param {{ rejection: any }} props */
function Rejection({ rejection }) {
  const { time, millis, date } = moment(rejection.at);
  return html`<li>
    <p><span class="muted">${date} ${time}${millis}</span><span class="faint">${rejection.source}</span></p>
    <p class="reason"><${Icon} name="error" class="is-error" />${rejection.reason}</p>
    ${rejection.beginning && html`<pre>${rejection.beginning}</pre>`}</li>`;
}
