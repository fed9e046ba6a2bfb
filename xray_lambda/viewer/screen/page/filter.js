// The filter box: X-Ray's filter expressions, completed as they are typed, and what is wrong with one said where it is.
import { ask } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { go } from "./place.js";
import { Range } from "./range.js";

const EXAMPLES = [
  "fault",
  "responsetime > 0.5",
  "http.status = 404",
  'service("shop") { error }',
  'annotation.order = "17"',
];
const PAUSE = 400; // ms after the last key, until what is typed counts, unless completions are offered

/**
 * @param {{ place: import("./place.js").Place, fault?: { message: string, position: number } | null, input: { current: HTMLInputElement | null } }} props
 */
export function Filter({ place, fault = null, input }) {
  const [text, write] = useState(place.filter);
  const [typing, setTyping] = useState(false);
  const timer = useRef(/** @type {any} */ (0));
  const offering = useRef(false);
  useEffect(() => {
    if (place.filter !== text.trim()) write(place.filter);
  }, [place.filter]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const apply = (/** @type {string} */ next) => {
    clearTimeout(timer.current);
    setTyping(false);
    go({ filter: next.trim() }, { replace: true });
  };
  const type = (/** @type {string} */ next) => {
    write(next);
    setTyping(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => offering.current || go({ filter: next.trim() }, { replace: true }), PAUSE);
  };
  const choices = useChoices(input, type);
  offering.current = choices.items.length > 0;
  const wrong = fault && !typing ? fault : null;
  return html`<div class="tools-row">
    <div class="filter" role="search">
      <${Icon} name="filter" class="lead" />
      <input class="field" ref=${input} type="text" value=${text} spellcheck=${false} autocomplete="off"
        autocapitalize="off" maxlength="4000"
        placeholder="Filter traces" aria-label="Filter expression" role="combobox"
        aria-expanded=${choices.items.length > 0} aria-controls="choices"
        aria-autocomplete="list" aria-activedescendant=${choices.at >= 0 ? `choice-${choices.at}` : null}
        aria-invalid=${wrong ? "true" : "false"} aria-describedby="filter-hint"
        onInput=${(/** @type {any} */ event) => (type(event.currentTarget.value), choices.ask())}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => keyed(event, choices, () => apply(text), input)}
        onBlur=${() => (choices.close(), apply(text))} />
      <span class="end">${text ? html`<button class="copy" aria-label="Clear the filter" title="Clear"
        onClick=${() => (write(""), apply(""), input.current?.focus())}>
        <${Icon} name="close" /></button>` : html`<kbd>/</kbd>`}</span>
      <${Choices} choices=${choices} />
    </div>
    <${Range} place=${place} />
  </div>
  <div class="hint ${wrong ? "wrong" : ""}" id="filter-hint"
    aria-live="polite">${typing && text.trim() !== place.filter ? html`<kbd>Enter</kbd> applies it` : fault ? html`<${Wrong}
    fault=${fault} text=${place.filter} />` : html`<${Examples}
    use=${(/** @type {string} */ example) => (write(example), apply(example))} />`}</div>`;
}

/** @param {KeyboardEvent} event @param {any} choices @param {() => void} apply @param {{ current: HTMLInputElement | null }} input */
function keyed(event, choices, apply, input) {
  const open = choices.items.length > 0;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    open ? choices.move(event.key === "ArrowDown" ? 1 : -1) : choices.ask();
  } else if ((event.key === "Tab" || event.key === "Enter") && open && choices.at >= 0) {
    event.preventDefault();
    choices.take(choices.at);
  } else if (event.key === "Tab" && open) {
    event.preventDefault();
    choices.take(0);
  } else if (event.key === "Enter") {
    choices.close();
    apply();
  } else if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    open ? choices.close() : input.current?.blur();
  }
}

/** @param {{ choices: any }} props */
function Choices({ choices }) {
  if (!choices.items.length) return html`<ul id="choices" role="listbox" aria-label="Completions" hidden></ul>`;
  return html`<ul id="choices" class="choices" role="listbox" aria-label="Completions">
    ${choices.items.map(
      (
        /** @type {any} */ item,
        /** @type {number} */ place,
      ) => html`<li key=${item.text} id="choice-${place}" role="option" aria-selected=${place === choices.at}
      onMouseDown=${(/** @type {Event} */ event) => (event.preventDefault(), choices.take(place))}>
      <code>${item.text}</code><span class="detail">${item.detail}</span></li>`,
    )}
  </ul>`;
}

/**
 * Completions for where the caret is.
 * @param {{ current: HTMLInputElement | null }} input @param {(text: string) => void} write
 */
function useChoices(input, write) {
  const [{ items, at, asked }, set] = useState({ items: /** @type {any[]} */ ([]), at: -1, asked: "" });
  const turn = useRef(0);
  const close = () => (turn.current++, set({ items: [], at: -1, asked: "" }));
  const look = async () => {
    const mine = ++turn.current;
    const text = /** @type {HTMLInputElement} */ (input.current).value;
    const at = caretOf(/** @type {HTMLInputElement} */ (input.current));
    const query = new URLSearchParams({ text, at: String(at) });
    const answer = await ask(`/api/complete?${query}`).catch(() => ({ items: [] }));
    const items = answer.items.slice(0, 12);
    if (mine === turn.current) set((before) => ({ items, at: placeOf(before, items), asked: text.slice(0, at) }));
  };
  const take = (/** @type {number} */ place) => {
    const field = /** @type {HTMLInputElement} */ (input.current);
    const { text: chosen, from } = items[place];
    const [before, typed, after] = [field.value.slice(0, from), typedSince(field, asked), field.value.slice(caretOf(field))];
    if (typed === null || /[^\w.]/.test(typed)) return void look(); // one typed on, past what this would complete
    field.value = before + chosen + after;
    field.setSelectionRange(from + chosen.length, from + chosen.length);
    write(field.value);
    close();
    look();
  };
  const move = (/** @type {number} */ by) =>
    set((before) => ({
      ...before,
      at: (before.at + by + before.items.length + (before.at < 0 && by < 0 ? 1 : 0)) % before.items.length,
    }));
  return { items, at, ask: look, close, take, move };
}

/** Among new completions, the one that was chosen before. @param {{ items: any[], at: number }} before @param {any[]} items */
const placeOf = ({ items: old, at }, items) => items.findIndex((item) => item.text === old[at]?.text);

/** @param {HTMLInputElement} field */
const caretOf = (field) => field.selectionStart ?? field.value.length;

/** What was typed after the completions were asked for; null where the caret went elsewhere. @param {HTMLInputElement} field @param {string} asked */
function typedSince(field, asked) {
  const now = field.value.slice(0, caretOf(field));
  return now.startsWith(asked) ? now.slice(asked.length) : null;
}

/** The message, and the expression with the place where it stopped making sense. @param {{ fault: any, text: string }} props */
function Wrong({ fault, text }) {
  const at = Math.min(fault.position ?? text.length, text.length);
  const before = text.slice(Math.max(0, at - 24), at);
  return html`<${Icon} name="fault" /><span class="where" aria-hidden="true">${at > 24 ? "…" : ""}${before}
    <mark>${text.slice(at, at + 16) || "\u00a0\u00a0"}</mark></span>
    <span class="cut" title=${fault.message}>${fault.message}</span>`;
}

/** @param {{ use: (text: string) => void }} props */
function Examples({ use }) {
  return html`<span>Try</span>${EXAMPLES.map((example) => html`<button key=${example}
    onClick=${() => use(example)}>${example}</button>`)}`;
}
