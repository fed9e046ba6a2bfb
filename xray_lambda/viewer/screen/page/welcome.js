// The first visit: three ways to send a trace. The list takes its place when the first one arrives.
import { useAnswer } from "./api.js";
import { Copy } from "./copy.js";
import { addressOfDaemon } from "./daemon.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";

export function Welcome() {
  const { data } = useAnswer("/api/status");
  const address = addressOfDaemon(data ?? {});
  const port = Number(data?.port ?? 2000) === 2000 ? "" : ` --port ${data.port}`;
  return html`<div class="page welcome"><div class="inner">
    <h1>Send the first trace</h1>
    <p class="muted">Listening on <code>${address}</code>. This page turns into the list when something arrives.</p>
    <ol>
      <${Step} command="xray-lambda demo --view${port}">See one now: the sample, a Lambda handler with its calls</${Step}>
      <${Step} command="xray-lambda invoke app.handler --event event.json --json | xray-lambda traces import -${port}">Run a handler of yours</${Step}>
      <${Step} command="export AWS_XRAY_DAEMON_ADDRESS=${address}">Or point a program at it, with any X-Ray SDK in any language</${Step}>
    </ol>
    <p class="waiting muted" role="status"><span class="dot" aria-hidden="true"></span>Waiting for the first trace …</p>
  </div></div>`;
}

/** @param {{ command: string, children?: any }} props */
function Step({ command, children }) {
  return html`<li><span>${children}</span><span class="command"><${Icon} name="right" /><code>${command}</code>
    <${Copy} text=${command} label="Copy the command" /></span></li>`;
}
