// The page of one run: polls the cheap data, asks for the groups of problems when they may have changed.
import { airflowLink, badge, clock, duration, followTheme, load, make, moment, notice, number, outsideLink, poll, section, stateOf, table, title } from "./parts.js";
import { drawChecklist } from "./cases.js";
import { decision } from "./decide.js";
import { drawSteps } from "./steps.js";
import { drawBeside, drawDifferences, drawFindings, drawProblems } from "./problems.js";

const asked = new URLSearchParams(location.search);
const dag = encodeURIComponent(asked.get("dag_id") ?? "");
const query = `run_id=${encodeURIComponent(asked.get("run_id") ?? "")}`;
const api = (name) => `api/dags/${dag}/${name}?${query}`;
const file = (name, more = "") => `files/${dag}/${name}?${query}${more}`;
const LIVE_SECONDS = 2;
const ENDED_SECONDS = 20;

const STAGE_WORDS = { waiting: "waiting", running: "running", asking: "waiting for an answer", done: "done", failed: "failed", skipped: "not reached" };
const MARKS = { waiting: "", running: "", asking: "?", done: "✓", failed: "✕", skipped: "–" };

let spoken = "";
let problemsFor = "";
let problemsAt = 0;

followTheme();
poll(step);

async function step() {
  const data = await load(api("run"));
  document.getElementById("page").setAttribute("aria-busy", "false");
  if (data.page !== "run") return nothing(data);
  notice("");
  document.getElementById("content").hidden = false;
  draw(data);
  await drawGroups(data);
  return data.settled ? ENDED_SECONDS : LIVE_SECONDS;
}

function nothing({ page, over }) {
  document.getElementById("content").hidden = true;
  if (page === "foreign") {
    notice("Nothing to show here: this DAG does not move Channel Order App orders.");
    return null;
  }
  if (over) {
    notice("This run ended before its migration began: see the log of its task start.");
    return ENDED_SECONDS;
  }
  notice("The migration of this run has not started yet. This page will update as soon as it does.");
  return LIVE_SECONDS;
}

function draw(data) {
  section("head", headData(data), drawHead);
  // Seconds of what runs now change with each poll: whole ones are enough.
  section("stages", data.stages.map((s) => ({ ...s, seconds: s.seconds === null ? null : s.seconds < 10 && s.state === "done" ? s.seconds : Math.round(s.seconds) })), drawStages);
  section("approval", [data.approval, data.run, waitsFor(data)].map((x, i) => (i === 1 ? { dag: x.dag_id, run: x.airflow_run_id, hash: x.plan_hash, dry: x.dry_run, policies: x.policies, mapping: x.mapping } : x)), drawApproval);
  section("objects", data.objects, drawObjects);
  section("amounts", data.amounts, drawAmounts);
  drawSteps(data);
  section("jobs", [data.jobs, Boolean(data.run.target)], drawJobs);
  section("api", data.api, drawApi);
  section("findings", data.findings, drawFindings);
  section("cases", data.cases, drawChecklist);
  section("files", [data.run.has_report, data.run.plan_hash !== null], drawFiles);
  speak(data);
}

function speak(data) {
  const running = data.stages.filter((s) => s.state === "running" || s.state === "asking").map((s) => `${s.label}: ${STAGE_WORDS[s.state]}`);
  const words = data.over ? `The run ended: ${stateOf(data.run.state, true).label}.` : running.join(", ");
  if (words !== spoken) document.getElementById("spoken").textContent = spoken = words;
}

const waitsFor = (data) => data.approval.state === "asked";

// ---- head ------------------------------------------------------------------------------------
function headData({ run, proof, over }) {
  // Of a run that left no verdict nobody knows when it stopped.
  const seconds = run.ended ? run.seconds : over ? null : Math.round(run.seconds);
  return { ...run, seconds, proof, over };
}

function drawHead(run) {
  const { meaning } = stateOf(run.state, run.over);
  const words = run.message || meaning;
  const org = (name, o) => o && make("div", {}, make("dt", {}, name), make("dd", {}, o.url ? outsideLink(o.url, o.name, { "data-key": `org-${name}` }) : o.name, make("span", { class: "faint" }, ` ${o.id}${o.sandbox ? ", sandbox" : ""}`)));
  const fact = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
  return [
    make("div", { class: "verdict" }, badge(run.state, run.over), make("span", { class: "kind" }, `${run.dry_run ? "dry run" : "migration"}, ${run.mode}`), make("code", {}, run.run_id)),
    words && make("p", { class: "message" }, words),
    run.proof?.on_purpose.values > 0 && make("p", { class: "message" }, `In addition, ${number(run.proof.on_purpose.values)} values differ on purpose: ${run.proof.on_purpose.reasons}.`),
    make("dl", { class: "facts" },
      org("Source", run.source), org("Target", run.target),
      fact("Started", moment(run.started), run.triggered_by && make("span", { class: "faint" }, ` by ${run.triggered_by}`)),
      run.seconds !== null && fact(run.ended ? "Took" : "Runs for", duration(run.seconds)),
      run.proof?.received_dates && fact("Received dates kept", `${number(run.proof.received_dates.equal)} of ${number(run.proof.received_dates.expected)}`),
      run.proof?.draft_exposure && fact("Longest as Draft", duration(run.proof.draft_exposure.max_seconds), run.proof.draft_exposure.left_draft > 0 && make("strong", { class: "bad" }, ` ${number(run.proof.draft_exposure.left_draft)} still are`))),
  ];
}

function drawStages(stages) {
  return make("ol", { class: "stages" }, stages.map((s) =>
    make("li", { class: s.state, "aria-current": s.state === "running" || s.state === "asking" ? "step" : null },
      make("span", { class: "stage" }, s.label),
      make("span", { class: "faint" }, make("span", { class: "mark", "aria-hidden": "true" }, MARKS[s.state]), s.seconds === null ? STAGE_WORDS[s.state] : duration(s.seconds)),
      s.seconds !== null && make("span", { class: "unseen" }, `, ${STAGE_WORDS[s.state]}`))));
}

// ---- plan ------------------------------------------------------------------------------------
function drawApproval([approval, run, waits]) {
  if (!run.hash) return null;
  const hash = make("p", { class: "faint" }, "Plan ", make("code", { title: run.hash }, run.hash.slice(0, 12)), run.dry ? ": nothing is written in a dry run." : "");
  const page = `/dags/${encodeURIComponent(run.dag)}/runs/${encodeURIComponent(run.run)}/tasks/approve/required_actions`;
  if (waits) {
    return make("div", { class: "call" },
      make("p", {}, make("strong", {}, "The plan waits for an answer."), " Nothing is written to the target before it is approved."),
      make("p", {}, `Policies: ${run.policies.join(", ") || "all by default"}. Mapping file: ${run.mapping || "none"}.`),
      decision(run.dag, run.run), hash,
      airflowLink(page, "Airflow's page for the plan, with cases and standing approval", { "data-key": "answer" }));
  }
  const words = {
    approved: `Approved by ${approval.by}, ${moment(approval.at)}.`,
    waived: approval.kind === "standing" ? `Covered by a standing approval of ${approval.by}.` : `No approval asked for: waived by ${approval.by || "the user who triggered the run"}, ${moment(approval.at)}.`,
    refused: `Not approved${approval.by ? ` (${approval.by})` : ""}.`,
  }[approval.state];
  if (!words) return hash;
  const other = approval.plan_hash && approval.plan_hash !== run.hash;
  return make("div", { class: "line" },
    make("p", {}, words, approval.reason && make("span", { class: "faint" }, ` ${approval.reason}`)),
    other && make("p", { class: "bad" }, "The plan has changed since then: the load refuses it."),
    hash, approval.kind === "approval" && airflowLink(page, "See the answer", { "data-key": "answer" }));
}

// ---- objects ---------------------------------------------------------------------------------
const SHARES = [["verified", "good", "verified"], ["unproved", "live", "written"], ["rejected", "bad", "rejected"], ["blocked", "warn", "blocked"], ["held", "held", "held"], ["same", "calm", "unchanged or matched"]];

function drawObjects(objects) {
  const columns = [
    { label: "sObject", head: true, cell: (o) => o.name },
    { label: "Extracted", number: true, cell: (o) => number(o.extracted) },
    { label: "To insert", number: true, cell: (o) => number(o.insert) },
    { label: "To update", number: true, cell: (o) => number(o.update) },
    { label: "Unchanged", number: true, cell: (o) => number(o.unchanged) },
    { label: "Matched", number: true, cell: (o) => number(o.match) },
    { label: "Blocked", number: true, cell: (o) => number(o.blocked) },
    { label: "Held", number: true, cell: (o) => number(o.held) },
    { label: "Written", number: true, cell: (o) => number(o.written) },
    { label: "Rejected", number: true, cell: (o) => number(o.rejected) },
    { label: "Verified", number: true, cell: (o) => number(o.verified) },
    { label: "Different", number: true, cell: (o) => number(o.different) },
    { label: "Share", wide: true, cell: shareBar },
  ];
  const known = objects.some((o) => o.extracted !== null || o.insert !== null);
  return [title("objects-title", "Records"), known ? table("Records by sObject, from reading to proof", columns, objects, { id: "records" }) : make("p", { class: "empty" }, "Nothing has been read yet.")];
}

function shareBar(o) {
  const parts = { ...o, unproved: Math.max(0, (o.written ?? 0) - (o.verified ?? 0)), same: (o.unchanged ?? 0) + (o.match ?? 0) };
  const shown = SHARES.filter(([key]) => parts[key] > 0);
  const bar = make("div", { class: "bar stacked", role: "img", "aria-label": `${o.name}: ${shown.map(([key, , label]) => `${number(parts[key])} ${label}`).join(", ") || "nothing yet"}` });
  for (const [key, tone, label] of shown) {
    const piece = make("span", { class: tone, title: `${number(parts[key])} ${label}` });
    piece.style.flexGrow = parts[key];
    bar.append(piece);
  }
  const rest = Math.max(0, (o.extracted ?? 0) - shown.reduce((sum, [key]) => sum + parts[key], 0));
  if (rest > 0 || !shown.length) {
    const piece = make("span", {});
    piece.style.flexGrow = rest || 1;
    bar.append(piece);
  }
  return bar;
}

// ---- money -----------------------------------------------------------------------------------
function drawAmounts(amounts) {
  if (!amounts?.orders.length) return null;
  const outcomes = amounts.outcomes.map(([key, label]) => ({ label, number: true, cell: (row) => row[key] }));
  const status = { label: "Status", head: true, cell: (row) => row.status || "(empty)" };
  const currency = { label: "Currency", head: true, cell: (row) => row.currency || "(none)" };
  return [
    title("amounts-title", "Orders and their value"),
    table("Order value by currency", [currency, ...outcomes, { label: amounts.deleted, number: true, cell: (row) => row.deleted }], amounts.currencies, { id: "order-value" }),
    table("Orders by status", [status, ...outcomes], amounts.orders),
    table("Order value by status", [status, { ...currency, head: false }, ...outcomes], amounts.statuses),
  ];
}

// ---- jobs, API, files ------------------------------------------------------------------------
function drawJobs([jobs]) {
  const shown = jobs.open.length;
  const columns = [
    { label: "Bulk job", head: true, cell: (j) => (j.url ? outsideLink(j.url, j.id, { "data-key": `job-${j.key}` }) : j.id || "not created yet") },
    { label: "Step", cell: (j) => `${j.step}, ${j.name}` },
    { label: "Rows", number: true, cell: (j) => number(j.rows) },
    { label: "State", cell: (j) => j.state },
    { label: "Since", number: true, cell: (j) => clock(j.since) },
  ];
  const count = make("span", { class: "faint" }, `${number(jobs.total)} in all`);
  return [title("jobs-title", "Bulk jobs in flight", count), shown ? table("Jobs in flight by step", columns, jobs.open) : make("p", { class: "empty" }, "No job is in flight.")];
}

function drawApi(orgs) {
  const rows = orgs.map((o) => {
    const before = o.allowed && o.remaining !== null ? o.allowed - o.remaining : 0;
    const words = o.allowed ? `${number(o.used)} of ${number(o.allowed)} a day` : number(o.used);
    const bar = make("div", { class: "bar stacked", role: "img", "aria-label": `${o.org}: ${words}, ${number(before)} used before the run` });
    for (const [tone, value] of [["calm", before], ["live", o.used], ["", Math.max(0, (o.allowed ?? 1) - before - o.used)]]) {
      const piece = make("span", { class: tone || null });
      piece.style.flexGrow = value;
      bar.append(piece);
    }
    return make("div", { class: "meter" }, make("span", {}, o.org), bar, make("span", { class: "number" }, words));
  });
  return [title("api-title", "API calls"), rows.length ? rows : make("p", { class: "empty" }, "None yet."), rows.length > 0 && make("p", { class: "faint" }, "Counted as each step ends; grey was used before the run.")];
}

function drawFiles([report, plan]) {
  if (!plan && !report) return null;
  const download = (name, text) => make("li", {}, make("a", { href: name, download: true, "data-key": text }, text));
  return [title("files-title", "Files"), make("ul", { class: "files" },
    report && make("li", {}, outsideLink(new URL(file("report.html"), location.href).href, "Report", { "data-key": "report" })),
    report && download(file("report.html", "&download=1"), "Report as a file"),
    download(file("rejected_rows.csv"), "Records not moved (CSV)"),
    download(file("differences.csv"), "Differences (CSV)"),
    report && download(file("casework.md"), "Case work for people (Markdown)"),
    report && download(file("id_map.csv"), "Old and new ids (CSV)"),
    report && download(file("relink.csv"), "Lookups to relink (CSV)"),
    report && download(file("license_coverage.csv"), "License coverage (CSV)"),
    report && download(file("license_gaps.csv"), "Licenses without a counterpart (CSV)"),
    report && download(file("gtm_readiness.csv"), "Readiness for the Go-To-Market app (CSV)"))];
}

// ---- groups ----------------------------------------------------------------------------------
async function drawGroups(data) {
  // Counters tell whether anything may have changed; else the dearer groups are asked for seldom.
  const mark = JSON.stringify([data.run.state, data.settled, data.run.stage, data.run.plan_hash, data.steps.map((s) => s.rejected)]);
  const now = Date.now();
  if (mark === problemsFor && (data.over || now - problemsAt < 15000)) return;
  const [groups, others] = await Promise.all([load(api("problems")), load(api("beside"))]);
  problemsFor = mark;
  problemsAt = now;
  section("problems", [groups, file("rejected_rows.csv")], drawProblems);
  section("differences", [groups, file("differences.csv"), data.stages.some((s) => s.key === "verify" && s.state === "done")], drawDifferences);
  section("beside", others.runs, drawBeside);
}
