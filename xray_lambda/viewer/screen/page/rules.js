// The sampling rules that the viewer answers with, as X-Ray would: seen, changed, put in order, saved.
import { ask, useAnswer } from "./api.js";
import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { useKeys } from "./keyboard.js";
import { go, toView } from "./place.js";

/** @type {Array<[string, string, string, object]>} field, heading, how it is written, attributes */
const FIELDS = [
  ["RuleName", "Name", "text", { maxlength: 32 }],
  ["Priority", "Priority", "whole", { min: 1, max: 9999 }],
  ["ReservoirSize", "Per second", "whole", { min: 0 }],
  ["FixedRate", "Then %", "percent", { min: 0, max: 100, step: "any" }],
  ["ServiceName", "Service", "text", { maxlength: 64 }],
  ["ServiceType", "Type", "text", { maxlength: 64 }],
  ["Host", "Host", "text", { maxlength: 64 }],
  ["HTTPMethod", "Method", "text", { maxlength: 10 }],
  ["URLPath", "Path", "text", { maxlength: 128 }],
];
const NEW = {
  RuleName: "",
  Priority: 100,
  ReservoirSize: 1,
  FixedRate: 0.05,
  ServiceName: "*",
  ServiceType: "*",
  Host: "*",
  HTTPMethod: "*",
  URLPath: "*",
  ResourceARN: "*",
  Version: 1,
};

export function Rules() {
  const { data, fault } = useAnswer("/api/rules");
  const [rules, set] = useState(/** @type {any[] | null} */ (null));
  const [said, say] = useState(/** @type {{ good: boolean, text: string, errors: any[] } | null} */ (null));
  useEffect(() => {
    if (data) set(data.rules);
  }, [data]);
  useKeys({ Escape: () => go(toView("")) });
  const change = (/** @type {any[]} */ next) => (set(next), say(null));
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const answer = await ask("/api/rules", {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ rules }),
      });
      if (answer.errors) return say({ good: false, text: "Not saved:", errors: answer.errors });
      set(answer.rules);
      say({
        good: true,
        text: "Saved. Programs ask for the rules every five minutes, and when they start.",
        errors: [],
      });
    } catch (fault) {
      say({ good: false, text: /** @type {Error} */ (fault).message, errors: [] });
    }
  };
  return html`<div class="page"><form class="inner wide" onSubmit=${save} novalidate>
    <h1>Sampling rules</h1>
    <p class="muted">What a program is told when it asks this daemon which requests to record. The rule with the lowest${" "}
      priority that matches counts; <code>*</code> stands for anything, <code>?</code> for one character.${" "}
      ${data?.file ? html`Kept in <code>${data.file}</code>.` : ""}</p>
    ${fault && html`<p class="is-fault">${fault.message}</p>`}
    ${data?.problem && html`<p class="remark"><${Icon} name="error" />The file was edited, and not taken: ${data.problem}</p>`}
    ${rules && html`<${Table} rules=${rules} errors=${said?.errors ?? []} change=${change} />`}
    ${rules && html`<${Actions} said=${said} add=${() => change([{ ...NEW, Priority: freePriority(rules) }, ...rules])} />`}
  </form></div>`;
}

/** @param {{ rules: any[], errors: any[], change: (rules: any[]) => void }} props */
function Table({ rules, errors, change }) {
  const heads = FIELDS.map(
    ([field, name, how]) => html`<th key=${field} scope="col" class=${how === "text" ? "" : "number"}>${name}</th>`,
  );
  const rows = rules.map(
    (rule, place) => html`<${Rule} key=${place} rule=${rule} place=${place} errors=${errors}
      change=${(/** @type {any} */ next) => change(rules.with(place, next))}
      remove=${() => change(rules.toSpliced(place, 1))} />`,
  );
  return html`<div class="table-frame rules" tabindex="0" role="group" aria-label="Rules"><table class="table">
    <thead><tr>${heads}<th><span class="hidden">Remove</span></th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** @param {{ said: { good: boolean, text: string, errors: any[] } | null, add: () => void }} props */
function Actions({ said, add }) {
  const errors = said?.errors.map(
    (error, at) => html`<li key=${at}><b>${error.rule || "Rules"}</b>${error.field && `, ${headingOf(error.field)}`}:${" "}
      ${error.field === "FixedRate" ? "expected 0 to 100" : error.message}</li>`,
  );
  return html`<div class="actions">
    <button type="button" class="button" onClick=${add}><${Icon} name="plus" />Add a rule</button>
    <button class="button main" type="submit">Save</button>
    <div role="status" class=${said ? (said.good ? "said-good" : "is-fault") : ""}>${said?.text}<ul>${errors}</ul></div>
  </div>`;
}

/** @param {string} field */
const headingOf = (field) => FIELDS.find(([name]) => name === field)?.[1] ?? field;

/** @param {any[]} rules */
function freePriority(rules) {
  const taken = new Set(rules.map((rule) => Number(rule.Priority)));
  let priority = 100;
  while (taken.has(priority)) priority++;
  return priority;
}

/** @param {{ rule: any, place: number, errors: any[], change: (rule: any) => void, remove: () => void }} props */
function Rule({ rule, place, errors, change, remove }) {
  const standard = rule.RuleName === "Default";
  const wrong = (/** @type {string} */ field) =>
    errors.some((error) => error.field === field && error.rule === (rule.RuleName || `rule ${place + 1}`));
  const fields = FIELDS.map(
    ([field, name, how, limits]) => html`<td key=${field}>
      <input class="field ${how}" ...${limits} type=${how === "text" ? "text" : "number"} value=${written(rule[field], how)}
        readonly=${standard && !["ReservoirSize", "FixedRate"].includes(field)} aria-invalid=${wrong(field)}
        aria-label="${name} of ${rule.RuleName || "the new rule"}" spellcheck=${false}
        onInput=${(/** @type {any} */ event) => change({ ...rule, [field]: read(event.currentTarget.value, how) })} /></td>`,
  );
  const last = standard
    ? html`<span class="faint" title="The default rule stays: something has to match">always</span>`
    : html`<button type="button" class="copy" aria-label="Remove ${rule.RuleName || "the new rule"}" onClick=${remove}>
        <${Icon} name="close" /></button>`;
  return html`<tr>${fields}<td>${last}</td></tr>`;
}

/** @param {any} value @param {string} how */
const written = (value, how) =>
  how === "percent" && typeof value === "number" ? String(Number((value * 100).toPrecision(12))) : String(value ?? "");

/** What is no number is sent as it stands, for the viewer to say so. @param {string} text @param {string} how */
function read(text, how) {
  if (how === "text" || text.trim() === "" || Number.isNaN(Number(text))) return text;
  return how === "percent" ? Number((Number(text) / 100).toPrecision(12)) : Number(text);
}
