// Starts the page: which view stands for which place.
import { ColdStarts } from "./coldstarts.js";
import { Compare } from "./compare.js";
import { Daemon } from "./daemon.js";
import { html, render, useEffect, useRef } from "./html.js";
import { List } from "./list.js";
import { listen } from "./live.js";
import { MapView } from "./map.js";
import { follow, usePlace } from "./place.js";
import { Rules } from "./rules.js";
import { Bar } from "./shell.js";
import { Trace } from "./trace.js";

const VIEWS = { map: MapView, cold: ColdStarts, rules: Rules, daemon: Daemon };

function App() {
  const place = usePlace();
  const view = useRef(/** @type {HTMLElement | null} */ (null));
  const [View, key] = viewFor(place);
  useEffect(() => {
    document.title = [titleOf(place), "xray-lambda"].filter(Boolean).join(" · ");
  }, [key]);
  return html`<div class="shell" onClick=${follow}>
    <a class="button skip" href="#view"
      onClick=${(/** @type {Event} */ event) => (event.preventDefault(), view.current?.focus())}>Skip to the content</a>
    <${Bar} place=${place} />
    <main class="view" id="view" tabindex="-1" ref=${view}><${View} key=${key} place=${place} /></main>
  </div>`;
}

/** @param {import("./place.js").Place} place @returns {[any, string]} the view, and what makes it another one */
function viewFor(place) {
  if (place.trace && place.versus) return [Compare, `compare ${place.trace} ${place.versus}`];
  if (place.trace) return [Trace, `trace ${place.trace}`];
  return [VIEWS[/** @type {keyof typeof VIEWS} */ (place.view)] ?? List, place.view || "list"];
}

/** @param {import("./place.js").Place} place */
function titleOf(place) {
  if (place.versus) return "Comparison";
  if (place.trace) return `Trace …${place.trace.slice(-6)}`;
  return { map: "Service map", cold: "Cold starts", rules: "Sampling rules", daemon: "Daemon" }[place.view] ?? "Traces";
}

listen();
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
