// Standing approvals: what scheduled runs may do without a person, and the button that ends it.
import { Refused, load, make, moment, number, table, title } from "./parts.js";

const STATES = {
  in_force: ["good", "In force"], expired: ["calm", "Expired"], withdrawn: ["calm", "Withdrawn"],
  invalid: ["warn", "Not valid: granted before approvals were bound to params, mapping and orgs"],
};

export function drawStanding(grants) {
  if (!grants.length) return null;
  const columns = [
    { label: "Orgs", head: true, cell: (g) => `${g.source} → ${g.target}` },
    { label: "State", cell: (g) => make("span", { class: `badge small ${STATES[g.state][0]}` }, STATES[g.state][1]) },
    { label: "Records a run", number: true, cell: (g) => `at most ${number(g.max_records)}` },
    { label: "Actions", cell: (g) => g.actions.join(", ") },
    { label: "Until", time: true, cell: (g) => make("span", { class: "time" }, moment(g.expires_at)) },
    { label: "Granted", cell: (g) => [`${g.granted_by}, ${moment(g.granted_at)}`, make("span", { class: "faint" }, ` in ${g.granted_in}`)] },
    { label: "Under", cell: (g) => [g.policies.join(", ") || "default policies", g.mapping && `, mapping ${g.mapping}`] },
    { label: "", cell: withdrawal },
  ];
  return [title("standing-title", "Standing approvals"), table("Standing approvals, newest first", columns, grants)];
}

/** A button that asks once more before it acts; nothing where the user may not. */
function withdrawal(grant) {
  if (!grant.may_withdraw) return grant.withdrawn_at ? make("span", { class: "faint" }, moment(grant.withdrawn_at)) : "";
  const said = make("span", { class: "faint" });
  const button = make("button", { type: "button", class: "button", "data-key": `withdraw-${grant.id}` }, "Withdraw");
  let sure = false;
  button.addEventListener("click", async () => {
    if (!sure) {
      sure = true;
      button.textContent = "Withdraw it now";
      said.textContent = " Scheduled runs of these orgs will write nothing from then on.";
      return;
    }
    button.disabled = true;
    try {
      await load(`api/standing/${grant.id}/withdraw`, { method: "POST", headers: { "X-COA-Page": "1" }, refusals: {} });
      said.textContent = " Withdrawn.";
      document.getElementById("spoken").textContent = "The standing approval is withdrawn.";
    } catch (error) {
      button.disabled = false;
      said.textContent = ` ${error instanceof Refused ? error.message : "Airflow cannot be reached."}`;
    }
  });
  return [button, said];
}
