/* Tables of the site: sorted by a click on a column's head, and long ones filtered by words. Without JavaScript they are plain tables. */
(function () {
  "use strict";

  Tablesort.extend(
    "number",
    function (text) { return /^[-+−]?\d/.test(text.trim()) || /^[–-]$/.test(text.trim()); },
    function (a, b) { return number(b) - number(a); }
  );

  /* The first number of a cell: of "37.5 ±3.8" it is 37.5; a dash is less than all. */
  function number(text) {
    var found = text.replace("−", "-").replace(/(\d)[ \u00a0](?=\d{3}(\D|$))/g, "$1").match(/^[-+]?\d+(\.\d+)?/);
    return found ? parseFloat(found[0]) : -Infinity;
  }

  function sortable(table) {
    new Tablesort(table);
    table.querySelectorAll("thead th").forEach(function (head) {
      head.tabIndex = 0;
      head.title = "sort by this column";
      head.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          head.click();
        }
      });
    });
  }

  function filterable(table) {
    var rows = Array.prototype.slice.call(table.querySelectorAll("tbody tr"));
    var field = document.createElement("input");
    var count = document.createElement("output");
    var line = document.createElement("div");
    field.type = "search";
    field.placeholder = "Filter rows, such as: sgm cosine";
    field.setAttribute("aria-label", "Show only the rows of the next table that contain all these words");
    line.className = "table-filter";
    line.append(field, count);
    field.addEventListener("input", function () {
      var words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = words.length ? shown + " of " + rows.length + " rows" : "";
    });
    var place = table.closest(".md-typeset__scrollwrap") || table;
    place.parentNode.insertBefore(line, place);
  }

  document.querySelectorAll("article table:not([class])").forEach(function (table) {
    var rows = table.querySelectorAll("tbody tr").length;
    if (rows > 2) sortable(table);
    if (rows > 12) filterable(table);
  });
})();
