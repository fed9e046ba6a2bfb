// Where the user is. All of it stands in the address, so that a link shows the same to whoever opens it.
import { useEffect, useState } from "./html.js";

/**
 * @typedef {object} Place
 * @property {string} view traces, map, cold, rules or daemon; a trace when `trace` is set
 * @property {string} trace the trace that is shown
 * @property {string} at the segment or subsegment that the panel shows
 * @property {string} versus the trace beside it
 * @property {string} pick the trace that is waiting for another one to be compared with
 * @property {string} filter a filter expression of X-Ray's
 * @property {string} last seconds back from now
 * @property {string} since epoch seconds
 * @property {string} until epoch seconds
 * @property {string} slower shortest duration in view, seconds
 * @property {string} faster longest duration in view, seconds
 */

const EMPTY = Object.freeze({
  view: "",
  trace: "",
  at: "",
  versus: "",
  pick: "",
  filter: "",
  last: "",
  since: "",
  until: "",
  slower: "",
  faster: "",
});
/** What goes with the list, and is dropped where one trace is looked at only to be found again by "back". */
const ABOUT_ONE = { trace: "", at: "", versus: "" };

/** @type {Set<(place: Place) => void>} */
const listeners = new Set();
let current = read();

/** @returns {Place} */
function read() {
  const query = new URLSearchParams(location.search);
  return /** @type {Place} */ (Object.fromEntries(Object.keys(EMPTY).map((key) => [key, query.get(key) ?? ""])));
}

/** @param {Partial<Place>} changes @returns {string} the address that has them */
export function addressOf(changes) {
  const next = { ...current, ...changes };
  const query = new URLSearchParams(Object.entries(next).filter(([, value]) => value !== ""));
  return query.size ? `/?${query}` : "/";
}

/**
 * Go somewhere: what is not named stays.
 * @param {Partial<Place>} changes
 * @param {{ replace?: boolean }} how replace: typing is not a step to go back to
 */
export function go(changes, { replace = false } = {}) {
  const address = addressOf(changes);
  if (address !== `${location.pathname}${location.search}`)
    history[replace ? "replaceState" : "pushState"](null, "", address);
  tell();
}

/** @param {string} view */
export const toView = (view) => ({ ...ABOUT_ONE, pick: "", view });

function tell() {
  current = read();
  for (const listener of listeners) listener(current);
}

addEventListener("popstate", tell);

/** @returns {Place} */
export function usePlace() {
  const [place, set] = useState(current);
  useEffect(() => {
    listeners.add(set);
    set(current);
    return () => void listeners.delete(set);
  }, []);
  return place;
}

/**
 * Follow a link without loading the page again; new tabs and the like stay the browser's.
 * @param {MouseEvent} event
 */
export function follow(event) {
  const link = /** @type {Element} */ (event.target).closest?.("a[href^='/?'], a[href='/']");
  if (
    !link ||
    event.defaultPrevented ||
    event.button ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  event.preventDefault();
  const address = link.getAttribute("href") ?? "/";
  if (address !== `${location.pathname}${location.search}`) history.pushState(null, "", address);
  tell();
}
