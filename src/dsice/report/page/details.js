// One trial in full: opened by a click on its mark or its number, or by #trial-12 in the address.

const dialog = document.getElementById("details");
let chosen = 0;
let told = ""; // the details that are shown

// A live page asks for the details that the report brings along.
let detailsOf = async (number) => page.details[number];

function setAddress(address) {
  try {
    window.history.replaceState(null, "", address);
  } catch {} // within a notebook the page has no address of its own
}

function choose(number) {
  setAddress(`#trial-${number}`);
  chosen = number;
  return showDetails();
}

async function showDetails() {
  const number = chosen;
  if (!number) return;
  const title = document.getElementById("details-title");
  const body = document.getElementById("details-body");
  let made;
  try {
    const trial = await detailsOf(number);
    const text = JSON.stringify(trial);
    if (number !== chosen || (dialog.open && text === told)) return; // gone on, or nothing new
    told = text;
    title.textContent = `Trial ${number}${trial ? `: ${trial.state}` : ""}`;
    made = trial ? described(trial) : [element("p", "There is no such trial.")];
  } catch (error) {
    title.textContent = `Trial ${number}`;
    made = [element("p", `Its details cannot be had: ${error.message}`)];
  }
  body.replaceChildren(...made);
  if (!dialog.open) {
    dialog.showModal();
    dialog.scrollTop = 0;
  }
}

function described(trial) {
  const parts = [];
  if (trial.reason) parts.push(element("p", trial.reason, { class: "reason" }));
  if (!trial.why) parts.push(element("p", `Why it was proposed: ${trial.explain}`, { class: "aside" }));
  for (const sentence of trial.why ?? []) parts.push(element("p", sentence));
  if (trial.line) parts.push(figureOf("line", trial.line));
  parts.push(...pairs("Parameters", trial.params), ...pairs("Metrics", trial.metrics));
  parts.push(...curvesOf(trial.trial));
  if (trial.attempts.length) parts.push(element("h3", "Attempts"), attempts(trial.attempts));
  if (trial.command) parts.push(element("h3", "Command"), element("pre", trial.command, { class: "line" }));
  parts.push(...log("Output, its end", trial.output), ...log("Error output, its end", trial.errors));
  parts.push(element("p", `All of it is in ${trial.folder} of the study's directory.`, { class: "aside" }));
  return parts;
}

// Drawn when it stands in the page and has a width.
function figureOf(kind, spec) {
  const place = element("div", undefined, { class: "plot", "data-drawing": kind });
  window.setTimeout(() => draw(place, structuredClone(spec)), 0);
  return place;
}

// What the trial reported while it ran, among what the others did.
function curvesOf(number) {
  const rows = (page.datasets.curves ?? []).filter((row) => row.trial === number);
  const found = [];
  for (const [name, { spec }] of Object.entries(page.figures)) {
    const field = `y${name.split("-")[1]}`;
    if (!name.startsWith("curve-") || !rows.some((row) => field in row)) continue;
    const params = [{ name: "chosen", value: number }];
    const datasets = { curves: page.datasets.curves };
    const drawn = structuredClone({ ...spec, params, datasets, height: 190 });
    const values = rows.map((row) => row[field]).filter((value) => value !== undefined);
    for (const { encoding } of drawn.layer) { // all of this trial's is seen
      const [low, high] = encoding.y.scale.domain;
      const kept = encoding.y.scale.type === "log" ? values.filter((value) => value > 0) : values;
      encoding.y.scale.domain = [Math.min(low, ...kept), Math.max(high, ...kept)];
    }
    found.push(figureOf("curve", drawn));
  }
  return found.length ? [element("h3", "While it ran, among the others"), ...found] : [];
}

function pairs(title, rows) {
  if (!rows.length) return [];
  const list = element("dl", undefined, { class: "params" });
  for (const [name, value] of rows) {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", value));
    list.append(pair);
  }
  return [element("h3", title), list];
}

function attempts(rows) {
  const list = element("ol", undefined, { class: "attempts" });
  for (const row of rows) {
    const facts = [
      row.took ? `${row.outcome} after ${row.took}` : row.outcome,
      row.host && `on ${row.host}`,
      `submitted ${row.submitted}`,
      row.began && `began ${row.began}`,
      row.ended && `ended ${row.ended}`,
      row.reason,
    ];
    list.append(element("li", facts.filter(Boolean).join("; "), { value: row.number }));
  }
  return list;
}

function log(title, lines) {
  return lines.length ? [element("h3", title), element("pre", lines.join("\n"), { class: "log" })] : [];
}

// The trial beside the chosen one, in the order in which the table stands.
function step(by) {
  const rows = [...document.querySelectorAll("table.trials tbody tr:not([hidden])")];
  const numbers = rows.map((row) => Number(row.cells[0].textContent));
  const next = numbers[numbers.indexOf(chosen) + by];
  if (next) choose(next);
}

function fromAddress() {
  const match = /^#trial-(\d+)$/.exec(window.location.hash);
  if (match) choose(Number(match[1]));
}

document.getElementById("close").addEventListener("click", () => dialog.close());
document.getElementById("earlier").addEventListener("click", () => step(-1));
document.getElementById("later").addEventListener("click", () => step(1));
dialog.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  chosen = 0;
  setAddress(window.location.pathname + window.location.search);
});
window.addEventListener("hashchange", fromAddress);

fromAddress();
