// The bars of the steps. Rows are updated in place: a bar moves, nothing jumps, the reader keeps its place.
import { make, number, percent, remaining, section, table, title } from "./parts.js";

const PHASES = [["read", "Reading"], ["write", "Writing"], ["prove", "Proving"]];
const WINDOW_SECONDS = 60;
const samples = new Map();

/** Rows a second: over the last minute as far as it was watched, else since the step began. */
export function rate(key, row, now, live) {
  const settled = row.accepted + row.rejected;
  const seen = (samples.get(key) ?? []).filter((s) => now - s.at <= WINDOW_SECONDS);
  seen.push({ at: now, settled });
  samples.set(key, seen);
  const first = seen[0];
  if (live && settled > first.settled && now - first.at >= 4) return (settled - first.settled) / (now - first.at);
  const end = settled >= row.planned || !live ? row.updated : now;
  const seconds = end - row.started;
  return seconds > 0.05 && settled > 0 ? settled / seconds : null;
}

export function drawSteps(data) {
  const rows = data.steps;
  const live = (row) => !data.over && row.accepted + row.rejected < row.planned;
  const shape = rows.map((r) => [r.step, r.name, live(r)]);
  section("steps", shape, () => skeleton(rows, live));
  section("overall", data.overall, drawOverall);
  for (const row of rows) fill(row, data.now, !data.over);
}

const keyOf = (row) => `${row.step}|${row.name}`;

/** What works now stands first; what is done below it, phase by phase. */
function skeleton(rows, live) {
  const block = (name, own) => own.length > 0 && [make("h3", {}, name), table(`${name}: rows by step and sObject`, columns(), own, { class: "steps" })];
  const blocks = [
    block("Under way", rows.filter(live)),
    ...PHASES.map(([phase, name]) => block(name, rows.filter((r) => r.phase === phase && !live(r)))),
  ];
  return [title("steps-title", "Steps"), rows.length ? blocks : make("p", { class: "empty" }, "No step has moved a row yet.")];
}

/** One bar for the phase that works now, and how long it will take at its pace so far. */
function drawOverall(overall) {
  if (!overall) return null;
  const [, name] = PHASES.find(([phase]) => phase === overall.phase);
  const words = `${number(overall.settled)} of ${number(overall.planned)} rows${overall.seconds_left === null ? "" : `, about ${remaining(overall.seconds_left)} left`}`;
  const share = percent(overall.settled, overall.planned);
  const done = make("span", { class: "done" });
  done.style.width = `${share}%`;
  const bar = make("div", { class: "bar", role: "progressbar", "aria-label": `${name}, all steps`, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.floor(share), "aria-valuetext": words }, done);
  return make("div", { class: "meter" }, make("span", {}, name), bar, make("span", { class: "number" }, words));
}

function columns() {
  const cell = (name) => (row) => make("span", { "data-cell": `${keyOf(row)}|${name}` });
  return [
    { label: "Step", head: true, cell: (row) => row.label },
    { label: "sObject", cell: (row) => row.name },
    { label: "Progress", wide: true, cell: (row) => bar(row) },
    { label: "Planned", number: true, cell: cell("planned") },
    { label: "Sent", number: true, cell: cell("sent") },
    { label: "Accepted", number: true, cell: cell("accepted") },
    { label: "Rejected", number: true, cell: cell("rejected") },
    { label: "Rows/s", number: true, cell: cell("rate") },
    { label: "Left", number: true, cell: cell("left") },
  ];
}

function bar(row) {
  return make("div", { class: "bar", role: "progressbar", "data-cell": `${keyOf(row)}|bar`, "aria-label": `${row.label}, ${row.name}`, "aria-valuemin": 0, "aria-valuemax": 100 },
    make("span", { class: "done" }), make("span", { class: "bad" }));
}

function fill(row, now, live) {
  const find = (name) => document.querySelector(`[data-cell="${CSS.escape(`${keyOf(row)}|${name}`)}"]`);
  const settled = row.accepted + row.rejected;
  const over = settled >= row.planned;
  const speed = rate(keyOf(row), row, now, live);
  const left = !over && live && speed ? (row.planned - settled) / speed : null;
  const texts = {
    planned: number(row.planned), sent: row.sent === null ? "–" : number(row.sent),
    accepted: number(row.accepted), rejected: number(row.rejected),
    rate: speed === null ? "–" : number(speed < 10 ? Math.round(speed * 10) / 10 : Math.round(speed)),
    left: over ? "done" : left === null ? "–" : remaining(left),
  };
  for (const [name, text] of Object.entries(texts)) {
    const cell = find(name);
    if (cell.textContent !== text) cell.textContent = text;
  }
  find("rejected").classList.toggle("bad", row.rejected > 0);
  const place = find("bar");
  const share = row.planned ? percent(settled, row.planned) : 100;
  place.setAttribute("aria-valuenow", Math.floor(share));
  place.setAttribute("aria-valuetext", `${texts.accepted} of ${texts.planned} accepted, ${texts.rejected} rejected`);
  place.classList.toggle("over", over);
  const [good, bad] = place.children;
  good.style.width = `${row.planned ? percent(row.accepted, row.planned) : 100}%`;
  bad.style.width = `${percent(row.rejected, row.planned)}%`;
}
