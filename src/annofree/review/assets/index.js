"use strict";
(() => {
  const table = document.getElementById("cohort"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const text = row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  };
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = (a, b) => {
      const left = value(a, column), right = value(b, column);
      if (left === null || right === null) return (left === null) - (right === null);
      const order = typeof left === "number" && typeof right === "number" ? left - right
        : String(left).localeCompare(String(right), undefined, { numeric: true });
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  }));
  document.getElementById("find").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
})();
