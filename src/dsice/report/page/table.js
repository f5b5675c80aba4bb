// The table of all trials: sorted by a column, filtered by state and words.

const stateFilter = document.getElementById("state");
const wordFilter = document.getElementById("filter");
const trialTable = document.querySelector('[data-part="trials"]');
const sorting = { column: -1, direction: 1 };

// Numbers before texts, both before empty cells, whichever the direction.
function compare(a, b, direction) {
  if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
  const [x, y] = [Number(a), Number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) {
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return direction * a.localeCompare(b);
  }
  return direction * (x - y);
}

function sortTable() {
  const table = trialTable.querySelector("table");
  if (!table || sorting.column < 0) return;
  const { column, direction } = sorting;
  [...table.tHead.rows[0].cells].forEach((head, k) => {
    head.ariaSort = k !== column ? null : direction === 1 ? "ascending" : "descending";
  });
  const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const keyed = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  keyed.sort(([a], [b]) => compare(a, b, direction));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function filterTable() {
  const rows = [...trialTable.querySelectorAll("tbody tr")];
  const states = stateFilter.value.split(" ");
  const words = wordFilter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const cells = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
    row.hidden =
      (stateFilter.value && !states.includes(row.className)) ||
      !words.every((word) => cells.includes(word));
    shown += !row.hidden;
  }
  document.getElementById("shown").textContent = `${shown} of ${rows.length} trials`;
}

// Without bounds there is nothing within or outside of them.
function nameStates() {
  const [within, outside] = ["best within", "outside"].map((state) => stateFilter.querySelector(`[value="${state}"]`));
  const bounded = trialTable.querySelector("thead")?.textContent.includes("keeps the bounds") ?? true;
  within.textContent = bounded ? "within the bounds" : "measured";
  outside.hidden = !bounded;
}

// After the table was made anew: as the reader had it.
function arrangeTable() {
  nameStates();
  sortTable();
  filterTable();
}

trialTable.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const cell = button?.parentElement;
  if (cell?.tagName === "TD") choose(Number(button.textContent));
  if (cell?.tagName !== "TH") return;
  const again = sorting.column === cell.cellIndex;
  sorting.direction = again ? -sorting.direction : 1;
  sorting.column = cell.cellIndex;
  sortTable();
});
stateFilter.addEventListener("change", filterTable);
wordFilter.addEventListener("input", filterTable);
arrangeTable();
