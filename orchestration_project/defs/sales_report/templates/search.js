"use strict";
// Without this script the table of files is whole; with it, rows that lack a word that is looked for are hidden.
(function () {
  const field = document.getElementById("search");
  const told = document.getElementById("found");
  const rows = Array.from(document.querySelectorAll("#files tbody tr"), function (row) {
    return { row: row, text: row.textContent.toLowerCase() };
  });
  if (!field) {
    return;
  }
  field.closest("form").hidden = false;
  field.addEventListener("input", function () {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of rows) {
      item.row.hidden = !words.every(function (word) { return item.text.includes(word); });
      shown += item.row.hidden ? 0 : 1;
    }
    told.textContent = words.length ? shown + " of " + rows.length + " files" : "";
  });
  field.closest("form").addEventListener("submit", function (event) { event.preventDefault(); });
})();
