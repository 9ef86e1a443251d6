/* Tables of class "sortable": sorted by their heads (tablesort), narrowed by words, rows hidden by the names in them.
   Without scripts they are plain tables, and on paper every row is there. An article whose table changes gets the event
   "rowschange" with the data-row numbers of the hidden rows, for its figure. */
(function () {
  "use strict";

  const LONG = 8; // rows, from which on a table can be narrowed
  const MOST_NAMES = 40; // that one column offers for hiding
  const collator = new Intl.Collator(undefined, { numeric: true });
  const text = (cell) => cell.textContent.replace(/\u00ad/g, "").replace(/\s+/g, " ").trim();

  /* The first number of a cell: of "37.5 ±3.8" it is 37.5; NaN where nothing was measured. */
  function number(words) {
    const plain = words.trim().replace("\u2212", "-").replace(/(\d)[ \u00a0](?=\d{3}(\D|$))/g, "$1");
    const found = plain.match(/^[-+]?\d+(\.\d+)?/);
    return found ? parseFloat(found[0]) : NaN;
  }

  Tablesort.extend("number", () => false, (a, b) => (number(b) || 0) - (number(a) || 0));
  Tablesort.extend("name", () => false, (a, b) => collator.compare(b.trim(), a.trim()));

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  /* One body of rows that each have all their cells, so that they can be in any order; true where groups shared one. */
  function flatten(table) {
    const body = table.tBodies[0];
    const isGrouped = body.querySelector("th[scope=rowgroup]") !== null;
    for (const part of [...table.tBodies]) {
      const group = part.querySelector("th[scope=rowgroup]");
      [...part.rows].forEach((row, i) => {
        if (group && i > 0) row.prepend(group.cloneNode(true));
        body.append(row);
      });
      if (part !== body) part.remove();
    }
    for (const head of body.querySelectorAll("th[scope=rowgroup]")) {
      head.rowSpan = 1;
      head.scope = "row";
    }
    body.className = "";
    return isGrouped;
  }

  function makeSortable(table, changed) {
    const sorter = new Tablesort(table);
    const heads = table.tHead.rows[0].cells;
    for (const head of heads) {
      const button = element("button", { type: "button", className: "sort" }, ...head.childNodes);
      head.append(button);
      head.removeAttribute("tabindex"); // the button is what the keyboard reaches
      head.dataset.sortMethod = head.classList.contains("number") ? "number" : "name";
      const first = () => { sorter.options.descending = head.dataset.sortMethod === "number"; };
      head.addEventListener("click", first, true);
      head.addEventListener("keydown", first, true);
    }
    table.addEventListener("afterSort", () => {
      const { cellIndex, dataset } = sorter.current;
      if (dataset.sortMethod === "number") {
        const missing = [...table.tBodies[0].rows].filter((row) => isNaN(number(row.cells[cellIndex].textContent)));
        table.tBodies[0].append(...missing); // in both directions
      }
      changed();
    });
    return () => {
      for (const head of heads) head.removeAttribute("aria-sort");
      sorter.current = undefined;
    };
  }

  function make(table) {
    const isGrouped = flatten(table);
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const nNames = rows[0].querySelectorAll("th").length;
    const names = new Map(rows.map((row) => [row, [...row.cells].slice(0, nNames).map(text)]));
    const unwanted = Array.from({ length: nNames }, () => new Set()); // of each column
    let words = [];
    let controls = null;

    function update() {
      const isSorted = table.querySelector("[aria-sort]") !== null;
      let above = null;
      let shown = 0;
      for (const row of body.rows) {
        const own = names.get(row);
        const all = own.join(" ").toLowerCase();
        const fits = words.every((word) => (word[0] === "-" && word[1] ? !all.includes(word.slice(1)) : all.includes(word)));
        row.hidden = !fits || own.some((name, i) => unwanted[i].has(name));
        if (row.hidden) continue;
        shown += 1;
        row.cells[0].classList.toggle("repeated", isGrouped && !isSorted && above === own[0]);
        row.classList.toggle("begins", isGrouped && !isSorted && above !== null && above !== own[0]);
        above = own[0];
      }
      if (controls) {
        controls.count.textContent = `${shown} of ${rows.length} rows`;
        controls.reset.disabled = shown === rows.length && !isSorted;
      }
      const hidden = new Set(rows.filter((row) => row.hidden).map((row) => Number(row.dataset.row)));
      table.closest("article")?.dispatchEvent(new CustomEvent("rowschange", { detail: hidden }));
    }

    const forget = makeSortable(table, update);
    if (rows.length >= LONG) {
      controls = makeControls(table, rows, names, unwanted, (field) => {
        words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
        update();
      }, () => {
        forget();
        body.append(...rows);
        words = [];
        update();
      });
    }
    update();
  }

  function makeControls(table, rows, names, unwanted, filter, reset) {
    const field = element("input", { type: "search", placeholder: "words, or -words to leave out", spellcheck: false });
    const count = element("output", {});
    const button = element("button", { type: "button" }, "Show all rows");
    field.addEventListener("input", () => filter(field));
    const lists = [];
    unwanted.forEach((set, i) => {
      const found = [...new Set(rows.map((row) => names.get(row)[i]))];
      if (found.length < 2 || found.length > MOST_NAMES) return;
      const boxes = found.map((name) => {
        const box = element("input", { type: "checkbox", checked: true });
        box.addEventListener("change", () => {
          if (box.checked) set.delete(name);
          else set.add(name);
          filter(field);
        });
        return [box, element("label", {}, box, ` ${name}`)];
      });
      const all = (checked) => {
        const act = element("button", { type: "button" }, checked ? "All" : "None");
        act.addEventListener("click", () => {
          found.forEach((name) => (checked ? set.delete(name) : set.add(name)));
          boxes.forEach(([box]) => { box.checked = checked; });
          filter(field);
        });
        return act;
      };
      const title = text(table.tHead.rows[0].cells[i]);
      const acts = element("div", { className: "acts" }, all(true), " ", all(false));
      lists.push(element("fieldset", {}, element("legend", {}, title), acts, ...boxes.map(([, label]) => label)));
    });
    button.addEventListener("click", () => {
      field.value = "";
      unwanted.forEach((set) => set.clear());
      line.querySelectorAll("input[type=checkbox]").forEach((box) => { box.checked = true; });
      reset();
      field.focus();
    });
    const line = element("div", { className: "controls" }, element("label", {}, "Filter rows ", field), count, button);
    if (lists.length) {
      line.append(element("details", {}, element("summary", {}, "Choose rows"), element("div", { className: "lists" }, ...lists)));
    }
    const place = table.closest(".scroll") || table;
    place.before(line);
    return { count, reset: button };
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tHead && table.tBodies.length && table.tBodies[0].rows.length + table.tBodies.length > 2) make(table);
  }
})();
