// The answer to a plan, given here: by Airflow's own call, so by the same rights and into the same record.
import { Refused, airflowPath, load, make } from "./parts.js";

const REFUSALS = {
  401: "You are not logged in to Airflow any more. Log in and open this page again.",
  403: "You may not answer this plan.",
  404: "The question is no longer open.",
  409: "Somebody has answered already.",
};

/** Reason and two buttons; each asks once more before it answers. */
export function decision(dag, run) {
  const address = airflowPath(`/api/v2/dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(run)}/taskInstances/approve/-1/hitlDetails`);
  const reason = make("textarea", { id: "reason", rows: 2, maxlength: 1000, "data-key": "reason" });
  const said = make("p", { role: "status" });
  const buttons = [["Approve", "Approve this plan now"], ["Reject", "Reject this plan now"]].map(([option, again]) => {
    const button = make("button", { type: "button", class: option === "Approve" ? "button" : "button plain", "data-key": `answer-${option}` }, option);
    button.addEventListener("click", () => {
      if (button.textContent === again) return answer(option);
      for (const other of buttons) other.textContent = other.dataset.key.replace("answer-", "");
      button.textContent = again;
    });
    return button;
  });

  async function answer(option) {
    for (const button of buttons) button.disabled = true;
    said.textContent = "Sending your answer…";
    try {
      // Every field of the form goes back, as it was given: Airflow checks it as a whole.
      const asked = await load(address, { refusals: REFUSALS });
      const form = Object.fromEntries(Object.entries(asked.params ?? {}).map(([name, field]) => [name, field?.value ?? null]));
      const body = JSON.stringify({ chosen_options: [option], params_input: { ...form, reason: reason.value } });
      await load(address, { method: "PATCH", headers: { "Content-Type": "application/json" }, body, refusals: REFUSALS });
      said.textContent = "Your answer is recorded; the run continues in a moment.";
    } catch (error) {
      for (const button of buttons) button.disabled = false;
      said.textContent = error instanceof Refused ? error.message : "Airflow cannot be reached.";
    }
  }

  return make("div", { class: "decision" }, make("label", { for: "reason" }, "Reason (kept with your answer)"), reason, make("div", { class: "line" }, buttons), said);
}
