// What calls say of themselves: HTTP, SQL and AWS.
import { record, shown, size } from "./format.js";
import { html } from "./html.js";
import { statusClass } from "./list.js";
import { Facts, Section } from "./panel.js";

/** @param {{ http: any }} props */
export function HttpBlock({ http }) {
  if (!Object.keys(record(http)).length) return null;
  const [request, response] = [record(http.request), record(http.response)];
  const length = Number(response.content_length);
  return html`<${Section} title="HTTP" copy=${() => JSON.stringify(http, null, 2)}>
    ${(request.url || request.method) && html`<p class="request">
    <b>${shown(request.method)}</b> <span class="code">${shown(request.url)}</span></p>`}
    <${Facts} of=${[
      [
        "Status",
        response.status == null
          ? ""
          : html`<b class=${statusClass(Number(response.status))}>${shown(response.status)}</b>`,
      ],
      ["Length", Number.isFinite(length) && length >= 0 && response.content_length != null ? size(length) : ""],
      ["Client", request.client_ip && `${shown(request.client_ip)}${request.x_forwarded_for ? " (forwarded)" : ""}`],
      ["User agent", request.user_agent],
      ["Traced", request.traced ? "the callee sends a segment of its own" : ""],
      ...rest(request, ["method", "url", "client_ip", "x_forwarded_for", "user_agent", "traced"]),
      ...rest(response, ["status", "content_length"]),
    ]} />
  </${Section}>`;
}

/** @param {{ sql: any }} props */
export function SqlBlock({ sql }) {
  if (!Object.keys(record(sql)).length) return null;
  return html`<${Section} title="SQL" copy=${() => shown(sql.sanitized_query ?? sql)}>
    ${sql.sanitized_query && html`<pre class="sql">${highlighted(shown(sql.sanitized_query))}</pre>`}
    <${Facts} of=${[
      ["Database", [sql.database_type, sql.database_version].filter(Boolean).map(shown).join(" ")],
      ["URL", sql.url, "code"],
      ["Connection", sql.connection_string, "code"],
      ["Driver", sql.driver_version],
      ["User", sql.user],
      ["Prepared", sql.preparation],
      ...rest(sql, [
        "sanitized_query",
        "database_type",
        "database_version",
        "url",
        "connection_string",
        "driver_version",
        "user",
        "preparation",
      ]),
    ]} />
  </${Section}>`;
}

const WORDS =
  /\b(select|from|where|and|or|not|insert|into|values|update|set|delete|join|left|right|inner|outer|on|as|group|by|order|having|limit|offset|returning|distinct|union|all|in|is|null|like|between|exists|case|when|then|else|end|with|create|table|index|drop|alter|begin|commit|rollback|count|sum|asc|desc)\b/gi;

/** Words of SQL stand out; all of it stays text. @param {string} query */
function highlighted(query) {
  const parts = query.split(WORDS);
  return parts.map((part, place) => (place % 2 ? html`<b>${part}</b>` : part));
}

const AWS = [
  ["operation", "Operation"],
  ["region", "Region"],
  ["request_id", "Request id"],
  ["id_2", "Extended id"],
  ["table_name", "Table"],
  ["bucket_name", "Bucket"],
  ["key", "Key"],
  ["queue_url", "Queue"],
  ["topic_arn", "Topic"],
  ["function_name", "Function"],
  ["function_arn", "Function ARN"],
  ["account_id", "Account"],
  ["retries", "Retries"],
];

/** @param {{ aws: any }} props */
export function AwsBlock({ aws }) {
  if (!Object.keys(record(aws)).length) return null;
  const named = AWS.map(([key, name]) => /** @type {[string, any]} */ ([name, aws[key]]));
  return html`<${Section} title="AWS" copy=${() => JSON.stringify(aws, null, 2)}><${Facts} of=${[
    ...named,
    ...rest(
      aws,
      AWS.map(([key]) => key),
    ),
  ]} /></${Section}>`;
}

/** All else that is there, under its own name. @param {any} block @param {string[]} known @returns {Array<[string, any]>} */
function rest(block, known) {
  return Object.entries(block)
    .filter(([key]) => !known.includes(key))
    .map(([key, value]) => [key, typeof value === "object" ? html`<span class="code">${shown(value)}</span>` : value]);
}
