// What was not moved and why, what differs, findings, and runs beside one another.
import { airflowLink, badge, duration, make, moment, number, outsideLink, table, title } from "./parts.js";

const KINDS = { refused: ["bad", "refused"], blocked: ["warn", "blocked"], held: ["calm", "held"] };

function examples(ids, base, key) {
  return make("span", { class: "ids" }, ids.map((id) => make("span", {}, base && /^[A-Za-z0-9]{15,18}$/.test(id) ? outsideLink(`${base}/${id}`, id, { "data-key": `${key}-${id}` }) : id)));
}

export function drawProblems([groups, csv]) {
  const rows = groups.not_moved;
  const columns = [
    { label: "Kind", cell: (g) => make("span", { class: `badge small ${KINDS[g.kind][0]}` }, KINDS[g.kind][1]) },
    { label: "sObject", cell: (g) => g.name },
    { label: "Records", number: true, cell: (g) => number(g.records) },
    { label: "Reason", head: true, cell: (g) => [make("code", {}, g.code), make("p", {}, g.reason)] },
    { label: "What to do", wide: true, cell: (g) => g.next_step },
    { label: "Examples", cell: (g) => examples(g.examples, groups.source_url, `${g.kind}-${g.code}`) },
  ];
  const link = rows.length > 0 && make("a", { href: csv, download: true, "data-key": "rejected-csv" }, "Download all as CSV");
  return [title("problems-title", "Not moved", link), rows.length ? table("Records not moved, by reason", columns, rows, { id: "not-moved" }) : make("p", { class: "empty" }, "Nothing is rejected, blocked or held.")];
}

export function drawDifferences([groups, csv, proved]) {
  const rows = groups.differences;
  if (!rows.length && !proved) return null;
  const columns = [
    { label: "Kind", cell: (d) => make("span", { class: `badge small ${d.kind === "explained" ? "calm" : "bad"}` }, d.kind.replaceAll("_", " ")) },
    { label: "sObject", head: true, cell: (d) => d.name },
    { label: "Field", cell: (d) => make("code", {}, d.field || "–") },
    { label: "Values", number: true, cell: (d) => number(d.records) },
    { label: "Explanation", wide: true, cell: (d) => d.reason || "none" },
    { label: "Examples", cell: (d) => examples(d.examples, groups.source_url, `${d.kind}-${d.name}-${d.field}`) },
  ];
  const link = rows.length > 0 && make("a", { href: csv, download: true, "data-key": "differences-csv" }, "Download as CSV");
  return [title("differences-title", "Differences", link), rows.length ? table("Differences found by the proof", columns, rows) : make("p", { class: "empty" }, "The proof found none.")];
}

export function drawFindings(findings) {
  if (!findings.length) return null;
  const tones = { blocker: "bad", warning: "warn", note: "calm" };
  const item = (f) => make("li", {}, make("span", { class: `badge small ${tones[f.severity]}` }, f.severity),
    make("div", {}, make("p", {}, f.message), f.next_step && make("p", { class: "faint" }, `Next step: ${f.next_step}`)));
  const urgent = findings.filter((f) => f.severity !== "note");
  const notes = findings.filter((f) => f.severity === "note");
  return [title("findings-title", "Findings"),
    urgent.length > 0 && make("ul", { class: "findings" }, urgent.map(item)),
    notes.length > 0 && make("details", { "data-key": "notes" }, make("summary", { "data-key": "notes-summary" }, `${number(notes.length)} notes`), make("ul", { class: "findings" }, notes.map(item)))];
}

const ROLES = { dry: "Last dry run", this: "This run", delta: "Delta since" };
const COUNTS = [["extracted", "extracted"], ["to_insert", "to insert"], ["to_update", "to update"], ["unchanged", "unchanged"], ["matched", "matched"], ["blocked", "blocked"], ["held", "held"],
  ["inserted", "inserted"], ["updated", "updated"], ["rejected", "rejected"], ["verified", "verified"], ["different", "different"], ["missing", "missing"], ["duplicated", "duplicated"]];

export function drawBeside(runs) {
  if (runs.length < 2) return null;
  const dry = runs.find((r) => r.role === "dry");
  const objects = [...new Set(runs.flatMap((r) => Object.keys(r.objects)))];
  const rows = objects.flatMap((object) => COUNTS
    .map(([key, label]) => ({ object, key, label, values: runs.map((r) => r.objects[object]?.[key]) }))
    .filter((row) => row.values.some((v) => v > 0)));
  const link = (r) => `/dags/${encodeURIComponent(r.dag_id)}/runs/${encodeURIComponent(r.airflow_run_id)}/plugin/coa-migration`;
  const column = (r, i) => ({
    label: ROLES[r.role], number: true,
    cell: (row) => {
      const before = r.role === "this" && dry ? row.values[0] : undefined;
      // Only the plan's counts can be compared with a dry run, which writes nothing.
      const planned = !["inserted", "updated", "rejected", "verified", "different", "missing", "duplicated"].includes(row.key);
      const delta = planned && row.values[i] !== undefined && before !== undefined ? row.values[i] - before : 0;
      return [number(row.values[i]), delta !== 0 && make("span", { class: "delta" }, ` ${delta > 0 ? "+" : "−"}${number(Math.abs(delta))}`)];
    },
  });
  const columns = [{ label: "sObject", cell: (row) => row.object }, { label: "Count", head: true, cell: (row) => row.label }, ...runs.map(column)];
  const heads = make("ul", { class: "runs-beside" }, runs.map((r) => make("li", {}, make("strong", {}, ROLES[r.role]), " ", badge(r.state), " ",
    r.role === "this" ? r.run_id : airflowLink(link(r), r.run_id, { "data-key": `beside-${r.run_id}` }), make("span", { class: "faint" }, ` ${moment(r.started)}, ${duration(r.seconds)}`))));
  return [title("beside-title", "Compared with other runs"), heads, table("Counts of this run and of other runs", columns, rows)];
}
