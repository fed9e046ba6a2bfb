// A button that copies, and says that it has.
import { Icon } from "./icons.js";
import { html, useRef, useState } from "./html.js";

/**
 * @param {{ text: string | (() => string), label: string }} props
 */
export function Copy({ text, label }) {
  const [done, set] = useState(false);
  const timer = useRef(/** @type {any} */ (0));
  const copy = async (/** @type {Event} */ event) => {
    event.stopPropagation();
    await put(typeof text === "function" ? text() : text);
    set(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(false), 1500);
  };
  return html`<button type="button" class="copy ${done ? "done" : ""}" title=${label}
    aria-label=${done ? `${label}: copied` : label} onClick=${copy}>
    <${Icon} name=${done ? "ok" : "copy"} />
  </button>`;
}

/** Browsers give the clipboard to safe origins alone, and 127.0.0.1 is one; a name on the local network is not. @param {string} text */
async function put(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text).catch(() => select(text));
  } else select(text);
}

/** @param {string} text */
function select(text) {
  const field = document.body.appendChild(document.createElement("textarea"));
  field.value = text;
  field.select();
  document.execCommand("copy");
  field.remove();
}
