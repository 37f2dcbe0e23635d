// The cases with Salesforce: how far each is, by pair of orgs; and the form that changes one.
import { Refused, load, make, moment, table, title } from "./parts.js";

const STATES = { open: ["warn", "Open"], logged: ["live", "Logged"], done: ["good", "Done"], not_needed: ["calm", "Not needed"] };

const columns = () => [
  { label: "Case", head: true, cell: (c) => c.title },
  { label: "State", cell: (c) => make("span", { class: `badge small ${STATES[c.state][0]}` }, STATES[c.state][1]) },
  { label: "Number", cell: (c) => c.case_number || "–" },
  { label: "Owner", cell: (c) => c.owner || "nobody yet" },
  { label: "When it is late", wide: true, cell: (c) => c.late },
];

/** The checklist of one run's orgs, to read. */
export function drawChecklist(cases) {
  if (!cases.length) return null;
  return [title("cases-title", "Cases with Salesforce"), table("Cases with Salesforce", columns(), cases)];
}

/** The checklists of all pairs of orgs, to change where the user may. */
export function drawCases(pairs) {
  if (!pairs.length) return null;
  return [title("cases-title", "Cases with Salesforce"), pairs.map((pair) => {
    const name = `${pair.source} → ${pair.target}`;
    const last = { label: "", cell: (c) => (pair.may_edit ? change(pair, c) : c.changed_at ? make("span", { class: "faint" }, `${c.changed_by}, ${moment(c.changed_at)}`) : "") };
    return [make("h3", {}, name), table(`Cases: ${name}`, [...columns(), last], pair.cases)];
  })];
}

function change(pair, one) {
  const key = `case-${pair.pair}-${one.topic}`;
  const field = (name, text, control) => make("label", {}, make("span", { class: "faint" }, text), " ", Object.assign(control, { name }));
  const options = (choices, chosen) => make("select", {}, choices.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  const controls = [
    field("state", "State", options(pair.states.map((s) => [s, STATES[s][1]]), one.state)),
    field("case_number", "Number", make("input", { value: one.case_number, maxlength: 40, autocomplete: "off" })),
    field("owner", "Owner", make("input", { value: one.owner, maxlength: 80, autocomplete: "off" })),
    one.topic === "consolidation" && field("scenario", "Scenario", options([["", "not said"], ...Object.entries(pair.scenarios)], one.scenario)),
  ];
  const said = make("span", { class: "faint", role: "status" });
  const button = make("button", { type: "button", class: "button" }, "Save");
  const form = make("div", {}, controls, button, said);
  button.addEventListener("click", async () => {
    const values = Object.fromEntries([...form.querySelectorAll("input, select")].map((c) => [c.name, c.value]));
    button.disabled = true;
    try {
      await load(`api/cases/${pair.pair}/${one.topic}`, { method: "POST", headers: { "X-COA-Page": "1", "Content-Type": "application/json" }, body: JSON.stringify(values), refusals: {} });
      said.textContent = " Saved.";
    } catch (error) {
      said.textContent = ` ${error instanceof Refused ? error.message : "Airflow cannot be reached."}`;
    }
    button.disabled = false;
  });
  return make("details", { "data-key": key }, make("summary", { "data-key": `${key}-open`, "aria-label": `Change: ${one.title}` }, "Change"), form);
}
