"use strict";
// Search and sort for every table of class "data"; without scripts the tables are simply all there.
for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const box = table.closest(".scroll");
  if (rows.length > 1) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => row.cells[column]?.dataset.sort ?? row.cells[column]?.textContent.trim() ?? "";
        const order = new Intl.Collator(undefined, { numeric: true });
        const numeric = head.classList.contains("n");
        rows.sort((a, b) => {
          const result = numeric ? Number(key(a).replaceAll(",", "")) - Number(key(b).replaceAll(",", "")) : order.compare(key(a), key(b));
          return up ? result : -result;
        });
        body.append(...rows);
      });
    });
  }
  if (rows.length > 5) {
    const tools = document.createElement("div");
    tools.className = "tools";
    const label = document.createElement("label");
    label.textContent = "Search ";
    const input = document.createElement("input");
    input.type = "search";
    const name = table.caption ? table.caption.textContent : "this table";
    input.setAttribute("aria-label", "Search in: " + name);
    label.append(input);
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    count.className = "muted";
    tools.append(label, count);
    box.before(tools);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) shown += 1;
      }
      count.textContent = words.length ? shown + " of " + rows.length + " rows" : "";
    });
  }
}
