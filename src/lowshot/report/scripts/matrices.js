/* Tables of class "matrix": a line below one says the cell that is pressed, pointed at or moved to with the arrow keys in
   full: both names, the interval and the p values. Without scripts a cell shows its interval, and the rest as its hint. */
(function () {
  "use strict";

  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const text = (cell) => cell.textContent.replace(/\s+/g, " ").trim();

  function sentence(table, cell) {
    const head = table.tHead.rows[0].cells[cell.cellIndex];
    const column = head.title ? `${text(head)}. ${head.title}` : text(head);
    const row = cell.parentElement.cells[0];
    if (cell.parentElement === table.tHead.rows[0]) return `Column ${column}`;
    if (cell === row) return text(row);
    if (!head.title) return `${text(row)}: ${column} ${text(cell)}`;
    return `${text(row)} minus ${column}: ${cell.title || "the same row"}`;
  }

  function make(table) {
    const said = Object.assign(document.createElement("p"), { className: "quiet chosen" });
    said.setAttribute("role", "status");
    table.closest(".scroll").after(said);
    let chosen = null; // the cell that the keyboard begins from, and that the line goes back to

    function show(cell) {
      said.textContent = sentence(table, cell);
    }

    function choose(cell) {
      if (cell === chosen) return show(cell);
      chosen?.classList.remove("chosen");
      chosen?.removeAttribute("tabindex");
      chosen = cell;
      cell.tabIndex = 0;
      show(cell);
    }

    const cellOf = (event) => event.target.closest("th, td");
    table.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") show(cellOf(event) ?? chosen); });
    table.addEventListener("pointerleave", () => show(chosen));
    table.addEventListener("click", (event) => {
      const cell = cellOf(event);
      if (!cell) return;
      choose(cell);
      cell.classList.add("chosen");
      cell.focus({ preventScroll: true });
    });
    table.addEventListener("focusin", (event) => {
      choose(cellOf(event));
      chosen.classList.add("chosen");
    });
    table.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      const next = step && table.rows[chosen.parentElement.rowIndex + step[0]]?.cells[chosen.cellIndex + step[1]];
      if (!next) return;
      event.preventDefault();
      choose(next);
      next.focus();
    });
    choose(table.tBodies[0].rows[0].querySelector("td[title]") ?? table.tBodies[0].rows[0].cells[1]);
  }

  document.querySelectorAll("table.matrix").forEach(make);
})();
