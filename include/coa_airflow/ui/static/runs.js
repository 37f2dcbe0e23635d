// All migrations, by pair of orgs, newest first.
import { airflowLink, badge, duration, followTheme, load, make, moment, notice, number, poll, section, table } from "./parts.js";
import { drawCases } from "./cases.js";
import { drawStanding } from "./standing.js";

const NAMES = { preflight: "Preflight", migrate: "Migration", sync: "Sync", verify: "Verification", rollback: "Roll-back", relink: "Re-linking" };

followTheme();
poll(step);

async function step() {
  const { runs } = await load("api/runs");
  document.getElementById("page").setAttribute("aria-busy", "false");
  document.getElementById("content").hidden = false;
  notice(runs.length ? "" : "No migration has run yet. Trigger coa_migrate with dry_run to see what one would do.");
  section("content", runs, draw);
  const { grants } = await load("api/standing");
  section("standing", grants, drawStanding);
  const { pairs } = await load("api/cases");
  section("cases", pairs, drawCases);
  return runs.some((r) => !r.over) ? 5 : 30;
}

function draw(runs) {
  const pairs = Map.groupBy ? Map.groupBy(runs, (r) => r.pair ?? 0) : group(runs);
  return [...pairs].map(([pair, own], i) => {
    const named = own.find((r) => r.source && r.target);
    const name = pair && named ? `${named.source} → ${named.target}` : "Stopped before the orgs were known";
    return make("section", { "aria-labelledby": `pair-${i}` }, make("h2", { id: `pair-${i}` }, name), table(`Runs: ${name}`, columns(), own));
  });
}

function group(runs) {
  const found = new Map();
  for (const r of runs) found.set(r.pair ?? 0, [...(found.get(r.pair ?? 0) ?? []), r]);
  return found;
}

function columns() {
  const total = (name) => (r) => number(r.totals?.[name] ?? null);
  return [
    { label: "Run", head: true, cell: link },
    { label: "Kind", cell: (r) => `${NAMES[r.kind] ?? r.dag_id}${r.dry_run && r.kind === "migrate" ? ", dry run" : r.mode === "delta" ? ", delta" : ""}${r.headless ? ", headless" : ""}` },
    { label: "Verdict", cell: (r) => (r.over ? badge(r.state, true) : [badge(null), make("span", { class: "faint" }, ` ${r.stage.replaceAll("_", " ")}`)]) },
    { label: "Started", time: true, cell: (r) => make("span", { class: "time" }, moment(r.started)) },
    { label: "Took", number: true, cell: (r) => duration(r.seconds) },
    { label: "Planned", number: true, cell: total("planned") },
    { label: "Written", number: true, cell: total("written") },
    { label: "Rejected", number: true, cell: total("rejected") },
    { label: "Left out", number: true, cell: total("left_out") },
    { label: "Verified", number: true, cell: total("verified") },
    { label: "Different", number: true, cell: total("different") },
  ];
}

function link(r) {
  const attributes = { "data-key": r.run_id, title: r.message || null };
  if (r.in_airflow) {
    return airflowLink(`/dags/${encodeURIComponent(r.dag_id)}/runs/${encodeURIComponent(r.airflow_run_id)}/plugin/coa-migration`, r.run_id, attributes);
  }
  // A run of a terminal: this Airflow has no page for it, ours has.
  const query = new URLSearchParams({ dag_id: r.dag_id, run_id: r.airflow_run_id });
  return make("a", { href: `run?${query}`, ...attributes }, r.run_id);
}
