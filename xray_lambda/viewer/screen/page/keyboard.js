// Keys: a table for each part of the page that has some, the latest first. What is typed into a field is the field's, but for Escape.
import { useLayoutEffect, useRef } from "./html.js";

/** @type {Array<{ current: Record<string, (event: KeyboardEvent) => void> }>} */
const tables = [];

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (
    event.defaultPrevented ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    document.querySelector("dialog[open]")
  )
    return;
  if (event.key !== "Escape" && typing(event.target)) return;
  for (const table of tables.toReversed()) {
    const action = table.current[event.key];
    if (!action) continue;
    event.preventDefault();
    action(event);
    return;
  }
}

/** @param {EventTarget | null} target */
function typing(target) {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

addEventListener("keydown", pressed);

/** @param {Record<string, (event: KeyboardEvent) => void>} table what a key does while the component stands */
export function useKeys(table) {
  const latest = useRef(table);
  latest.current = table;
  useLayoutEffect(() => {
    tables.push(latest);
    return () => void tables.splice(tables.indexOf(latest), 1);
  }, []);
}

/** Enter and Space are a click only where the browser says so itself. @param {EventTarget | null} target */
export function isControl(target) {
  return target instanceof Element && target.closest("a, button, input, select, textarea, summary") !== null;
}

export const SHORTCUTS = [
  [["j", "k"], "next and previous trace, or row of the timeline"],
  [["Enter"], "open what is selected"],
  [["←", "→"], "close and open a branch of the timeline"],
  [["/"], "filter the list, search in a trace"],
  [["n", "N"], "next and previous hit of the search"],
  [["e"], "next fault or error in the timeline"],
  [["c"], "compare the selected trace with another"],
  [["r"], "raw JSON of what is selected"],
  [["t", "m"], "list of traces, service map"],
  [["p"], "pause and go on with live traces"],
  [["d"], "light or dark"],
  [["Esc"], "back, step by step"],
  [["?"], "this list"],
];
