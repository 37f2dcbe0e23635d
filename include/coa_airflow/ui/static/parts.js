// Small helpers of both pages. Whatever comes from an org becomes text, never markup.

/** An element: `make("p", {class: "x"}, "text", child)`. Strings become text nodes. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

const drawn = new Map();

/** Draws a section anew, but only when its data changed; the keyboard's focus stays where it was. */
export function section(id, data, draw) {
  const text = JSON.stringify(data);
  if (drawn.get(id) === text) return;
  drawn.set(id, text);
  const place = document.getElementById(id);
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const opened = new Set([...place.querySelectorAll("details[open]")].map((d) => d.dataset.key));
  const children = [draw(data)].flat(Infinity).filter((child) => child);
  place.replaceChildren(...children);
  place.hidden = children.length === 0;
  for (const d of place.querySelectorAll("details")) if (opened.has(d.dataset.key)) d.open = true;
  if (focused) place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** A table that screen readers can walk: `columns` = [{label, number, cell(row), head}]. */
export function table(caption, columns, rows, attributes = {}) {
  const head = make("tr", {}, columns.map((c) => make("th", { scope: "col", class: c.number ? "number" : null }, c.label)));
  const body = rows.map((row) =>
    make("tr", row.rowClass ? { class: row.rowClass } : {}, columns.map((c) => {
      const shape = c.number ? "number" : c.wide ? "wide" : null;
      return c.head
        ? make("th", { scope: "row", class: shape }, c.cell(row))
        : make("td", { class: shape, "data-label": c.label }, c.cell(row));
    })));
  const inner = make("table", attributes, make("caption", { class: "unseen" }, caption), make("thead", {}, head), make("tbody", {}, body));
  return make("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption }, inner);
}

export function title(id, text, extra = null) {
  return make("div", { class: "title" }, make("h2", { id }, text), extra);
}

const whole = new Intl.NumberFormat("en");
export const number = (n) => (n === null || n === undefined ? "–" : whole.format(n));
export const percent = (part, all) => (all > 0 ? Math.min(100, (100 * part) / all) : 0);

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
}

const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const moment = (seconds) => (seconds ? MOMENT.format(new Date(seconds * 1000)) : "–");
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const clock = (seconds) => CLOCK.format(new Date(seconds * 1000));

/** Time left, short enough for a narrow column: `5:57`, `1:05:00`. */
export function remaining(seconds) {
  const s = Math.ceil(seconds);
  if (s < 60) return `${s} s`;
  const parts = [Math.floor(s / 3600), Math.floor((s % 3600) / 60), s % 60];
  return (parts[0] ? parts : parts.slice(1)).map((n, i) => (i ? String(n).padStart(2, "0") : n)).join(":");
}

/** Words and colours of a run's state: never the colour alone. */
const STATES = {
  verified: ["good", "Verified", "Everything in the plan was written and proved equal."],
  canary_verified: ["good", "Canary verified", "Only the canary was written, and it proved equal."],
  dry_run: ["good", "Dry run", "The plan is ready; nothing was written."],
  differences: ["bad", "Differences", "Everything was written; the proof found unexplained differences."],
  rows_rejected: ["bad", "Rows rejected", "The target refused some planned rows."],
  blocked: ["warn", "Blocked", "A finding stopped the run; nothing was written."],
  not_approved: ["warn", "Not approved", "No valid approval; nothing was written."],
  failed: ["bad", "Failed", "The run could not continue. Trigger it again; no record is created twice."],
};
export function stateOf(state, over = false) {
  if (!state && over) return { tone: "bad", label: "No verdict", meaning: "Its Airflow run ended without a verdict: a task was killed, or failed before it could report one. See the logs of the red tasks; trigger a new run, no record is created twice." };
  const [tone, label, meaning] = STATES[state] ?? (state ? ["warn", state.replaceAll("_", " "), ""] : ["live", "Running", ""]);
  return { tone, label, meaning };
}
export function badge(state, over = false) {
  const { tone, label } = stateOf(state, over);
  return make("span", { class: `badge ${tone}` }, label);
}

// ---- data ------------------------------------------------------------------------------------
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const REFUSALS = {
  401: "You are not logged in to Airflow any more. Log in and open this page again.",
  403: "You may not read the runs of this DAG. Ask an Airflow administrator for permission to see it.",
};

/** JSON of one of our endpoints, by a path relative to the page, or of Airflow's; raises `Refused`. */
export async function load(path, { headers = {}, refusals = REFUSALS, ...more } = {}) {
  const answer = await fetch(path, { headers: { Accept: "application/json", ...headers }, credentials: "same-origin", ...more });
  if (answer.ok) return answer.json();
  let detail = "";
  try {
    detail = (await answer.json()).detail;
  } catch {
    detail = ""; // a proxy's own error page is no JSON
  }
  throw new Refused(answer.status, refusals[answer.status] ?? (typeof detail === "string" && detail ? detail : `The server answered ${answer.status}.`));
}

export function notice(text, tone = "") {
  const place = document.getElementById("notice");
  if (place.textContent !== text) place.textContent = text;
  place.className = `notice ${tone}`;
  place.hidden = !text;
}

/** Calls `step()` again and again; it returns the seconds until the next call, or null to end. */
export async function poll(step) {
  let failures = 0;
  for (;;) {
    let pause;
    try {
      pause = await step();
      failures = 0;
    } catch (error) {
      const final = error instanceof Refused && [401, 403, 404, 422].includes(error.status);
      const known = error instanceof Refused;
      const text = known ? error.message : "Airflow cannot be reached.";
      document.getElementById("page").setAttribute("aria-busy", "false");
      if (final) {
        document.getElementById("content").hidden = true;
        notice(text, "bad");
        return;
      }
      failures += 1;
      pause = Math.min(30, 2 ** failures);
      notice(`${text} This page may be out of date; trying again every ${pause} s.`, "bad");
    }
    if (pause === null) return;
    // Nobody looks at a hidden tab: it asks when it is shown again.
    await sleep(document.hidden ? Math.max(pause, 30) : pause);
  }
}

function sleep(seconds) {
  return new Promise((resume) => {
    const wake = () => {
      if (document.hidden) return;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
      resume();
    };
    const timer = setTimeout(() => {
      document.removeEventListener("visibilitychange", wake);
      resume();
    }, seconds * 1000);
    document.addEventListener("visibilitychange", wake);
  });
}

// ---- Airflow around the page -----------------------------------------------------------------
function around() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null; // another origin: shown outside of Airflow
  }
}

/** Light or dark, as Airflow has it, and again whenever it changes. */
export function followTheme() {
  const outer = around();
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const classes = outer?.document.documentElement.classList;
    const isDark = classes?.contains("dark") || (!classes?.contains("light") && dark.matches);
    document.documentElement.classList.toggle("dark", Boolean(isDark));
  };
  apply();
  dark.addEventListener("change", apply);
  if (outer) new MutationObserver(apply).observe(outer.document.documentElement, { attributes: true, attributeFilter: ["class"] });
}

/** Path before the mount: Airflow may live below a path of its own. */
const prefix = location.pathname.replace(/\/coa\/[^/]*$/, "");
export const airflowPath = (path) => `${prefix}${path}`;

/** A link to a page of Airflow: its router takes it, without loading the whole UI anew. */
export function airflowLink(path, text, attributes = {}) {
  const address = airflowPath(path);
  const outer = around();
  const go = (event) => {
    if (!outer) return; // outside of Airflow the link works as it is
    event.preventDefault();
    outer.history.pushState({}, "", address);
    outer.dispatchEvent(new PopStateEvent("popstate"));
  };
  return make("a", { href: address, onclick: go, ...attributes }, text);
}

/** A link to another site, in a new tab. The frame may open none itself, Airflow's page may: an anchor of
 *  that page, clicked while the user's click counts, opens it, without a way back to us. */
export function outsideLink(address, text, attributes = {}) {
  if (!/^https?:\/\//.test(address)) return make("span", attributes, text);
  const go = (event) => {
    const outer = around();
    if (!outer) return;
    event.preventDefault();
    const anchor = outer.document.createElement("a");
    anchor.href = address;
    anchor.target = "_blank";
    anchor.rel = "noopener noreferrer";
    anchor.click();
  };
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer", onclick: go, class: "outside", ...attributes },
    text, make("span", { class: "unseen" }, " (opens in a new tab)"));
}
