// The stream of what happens in the viewer: traces that came or changed, documents refused, counters.
import { useEffect, useRef, useState } from "./html.js";

/** @type {Set<(kind: string, data: any) => void>} */
const listeners = new Set();
/** @type {EventSource | null} */
let source = null;
let state = "connecting";
let paused = false;

/** @param {string} kind @param {any} data */
function tell(kind, data) {
  for (const listener of listeners) listener(kind, data);
}

/**
 * Open the stream; the browser itself comes back to it when it breaks. A tab that nobody sees has none: browsers open
 * six connections to a host, and a seventh tab would wait for ever.
 */
export function listen() {
  open();
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
}

function open() {
  source?.close();
  source = new EventSource("/api/events");
  source.onopen = () => become("live");
  source.onerror = () => become("lost");
  for (const kind of ["traces", "rejected", "status", "cleared"]) {
    source.addEventListener(kind, (event) => tell(kind, JSON.parse(event.data)));
  }
}

function close() {
  source?.close();
  source = null;
  state = "away";
}

/** @param {string} next */
function become(next) {
  const back = ["lost", "away"].includes(state) && next === "live";
  state = next;
  tell("state", next);
  if (back) tell("back", null); // what happened meanwhile has to be asked for
}

/** Stop or go on showing what arrives; nothing is lost meanwhile. */
export function togglePause() {
  paused = !paused;
  tell("state", state);
  if (!paused) tell("back", null);
}

/** @returns {"connecting" | "live" | "lost" | "paused"} */
export function useConnection() {
  const [shown, show] = useState(paused ? "paused" : state);
  useEvents((kind) => kind === "state" && show(paused ? "paused" : state));
  return /** @type {any} */ (shown);
}

/** @param {(kind: string, data: any) => void} react called for each event while the component stands */
export function useEvents(react) {
  const latest = useRef(react);
  latest.current = react;
  useEffect(() => {
    const listener = (/** @type {string} */ kind, /** @type {any} */ data) => {
      if (!paused || kind === "state") latest.current(kind, data);
    };
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
}

/**
 * A number that grows when traces changed, at most once in `pause` milliseconds: for what is dear to ask again.
 * @param {number} pause
 */
export function useTraceClock(pause) {
  const [version, set] = useState(0);
  const timer = useRef(/** @type {any} */ (null));
  useEvents((kind) => {
    if (!["traces", "back", "cleared"].includes(kind) || timer.current) return;
    timer.current = setTimeout(
      () => {
        timer.current = null;
        set((before) => before + 1);
      },
      kind === "traces" ? pause : 0,
    );
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  return version;
}
