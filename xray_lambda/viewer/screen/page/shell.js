// The bar on top: where one can go, whether traces are arriving, light or dark, the list of keys.
import { useAnswer } from "./api.js";
import { count } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { SHORTCUTS, useKeys } from "./keyboard.js";
import { togglePause, useConnection, useEvents } from "./live.js";
import { addressOf, go, toView } from "./place.js";

const TABS = [
  ["", "Traces"],
  ["map", "Map"],
  ["cold", "Cold starts"],
  ["rules", "Sampling"],
  ["daemon", "Daemon"],
];
const STATES = { connecting: "Connecting", live: "Live", paused: "Paused", lost: "No connection" };

/** @param {{ place: import("./place.js").Place }} props */
export function Bar({ place }) {
  const [helping, help] = useState(false);
  const [theme, switchTheme] = useTheme();
  const tabs = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(
    () => tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }),
    [place.view],
  );
  useKeys({
    "?": () => help(true),
    d: switchTheme,
    p: togglePause,
    t: () => go(toView("")),
    m: () => go(toView("map")),
  });
  return html`<header class="bar">
    <a class="brand" href=${addressOf(toView(""))} aria-label="xray-lambda: traces"><${Brand} />
    <span>xray-lambda</span></a>
    <nav class="tabs" ref=${tabs} aria-label="Views">
      ${TABS.map(([view, name]) => html`<a key=${view} href=${addressOf(toView(view))}
      aria-current=${isCurrent(place, view) ? "page" : null}>${name}</a>`)}
    </nav>
    <span class="push"></span>
    <${Losses} />
    <${Live} />
    <button class="button bare" title="Light or dark (d)"
      aria-label="Switch to the ${theme === "dark" ? "light" : "dark"} theme" onClick=${switchTheme}>
      <${Icon} name=${theme === "dark" ? "sun" : "moon"} />
    </button>
    <button class="button bare" title="Keys (?)" aria-label="Keyboard shortcuts" onClick=${() => help(true)}>
    <${Icon} name="help" /></button>
    ${helping && html`<${Help} close=${() => help(false)} />`}
  </header>`;
}

/** @param {import("./place.js").Place} place @param {string} view */
const isCurrent = (place, view) => (place.trace ? view === "" : place.view === view);

function Brand() {
  return html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="var(--accent)" />
    <g fill="none" stroke="var(--on-accent)" stroke-width="3" stroke-linecap="round"><path d="M7 9h18" />
    <path d="M7 16h8" opacity=".8" /><path d="M15 23h10" opacity=".8" /></g></svg>`;
}

function Live() {
  const state = useConnection();
  return html`<button class="live" data-state=${state} aria-pressed=${state === "paused"} onClick=${togglePause}
    title=${state === "paused" ? "Show what arrives again (p)" : "Stop showing what arrives (p)"}
    aria-label="Live traces: ${STATES[state]}">
    <span class="dot" aria-hidden="true"></span><span class="label" role="status">${STATES[state]}</span>
  </button>`;
}

/** What went wrong on the way in is said on every view, in plain numbers. */
function Losses() {
  const { data } = useAnswer("/api/status");
  const [told, tell] = useState(/** @type {any} */ (null));
  const [more, add] = useState(0);
  useEvents((kind, event) => {
    if (kind === "status") (tell(event), add(0));
    if (kind === "rejected") add((before) => before + 1);
  });
  const status = told ?? data;
  if (!status) return null;
  const rejected = status.rejected + more;
  const lost = status.dropped + status.unstored;
  return html`<span class="counters">
    ${status.problem && html`<a class="chip fault" href=${addressOf(toView("daemon"))} title=${status.problem.text}>
    <${Icon} name="fault" /><span class="label">problem</span></a>`}
    ${
      rejected > 0 &&
      html`<a class="chip error" href=${addressOf(toView("daemon"))} title="Documents that were refused, and why">
      <${Icon} name="error" />${count(rejected)} <span class="label">rejected</span></a>`
    }
    ${
      lost > 0 &&
      html`<a class="chip fault" href=${addressOf(toView("daemon"))} title="Documents that were lost">
      <${Icon} name="fault" />${count(lost)} <span class="label">dropped</span></a>`
    }
  </span>`;
}

/** @returns {["light" | "dark", () => void]} */
function useTheme() {
  const system = useRef(matchMedia("(prefers-color-scheme: dark)"));
  const now = () => document.documentElement.dataset.theme ?? (system.current.matches ? "dark" : "light");
  const [theme, set] = useState(now);
  useEffect(() => {
    const look = () => set(now());
    system.current.addEventListener("change", look);
    return () => system.current.removeEventListener("change", look);
  }, []);
  const change = () => {
    const next = now() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("xray-lambda.theme", next);
    } catch {
      // storage is switched off: it lasts as long as the page
    }
    set(next);
  };
  return [/** @type {any} */ (theme), change];
}

/** @param {{ close: () => void }} props */
function Help({ close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="keys-title">
    <h2 id="keys-title">Keys</h2>
    <button class="button bare close" aria-label="Close" onClick=${() => dialog.current?.close()}>
    <${Icon} name="close" /></button>
    <dl class="keys">${SHORTCUTS.map(([keys, what]) => html`<dt
      key=${what}>${/** @type {string[]} */ (keys).map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${what}</dd>`)}</dl>
  </dialog>`;
}
