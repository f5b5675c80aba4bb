// Keeps the page up to date: asks for the versions of its parts, and for the parts that changed.

const EVERY = 2000; // milliseconds between two questions; hidden pages ask less often
const token = new URLSearchParams(window.location.search).get("token");
const connection = document.getElementById("connection");
let tag = "";

async function ask(path, fields = {}, headers = {}) {
  const query = new URLSearchParams(token ? { ...fields, token } : fields);
  const response = await fetch(`${path}?${query}`, { headers, cache: "no-store" });
  if (response.status === 304) return null;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  tag = path === "data.json" ? response.headers.get("ETag") : tag;
  return answer;
}

detailsOf = (number) => ask("trial.json", { number });

function showSection(name, html) {
  const place = document.querySelector(`[data-part="${name}"]`);
  if (!place) return;
  const drawn = [...place.querySelectorAll("[data-figure]")];
  place.innerHTML = html; // escaped by the server, and no script in it may run
  for (const plot of place.querySelectorAll("[data-figure]")) {
    const before = drawn.find((other) => other.dataset.figure === plot.dataset.figure);
    if (before) plot.replaceWith(before);
    else if (!views.has(plot.dataset.figure)) stale.add(plot.dataset.figure);
  }
  const section = place.closest("section");
  if (section) section.hidden = !html;
  if (name === "trials") arrangeTable();
  if (name === "pictures") sizePictures();
}

const stale = new Set(); // names of figures to be drawn anew

function take(part, content) {
  const [kind, name] = part.split(/ (.*)/);
  if (kind === "section") showSection(name, content);
  if (kind === "figure") {
    page.figures[name] = content;
    stale.add(name);
  }
  if (kind === "dataset") {
    page.datasets[name] = content;
    for (const [figure, { datasets }] of Object.entries(page.figures)) {
      if (datasets.includes(name)) stale.add(figure);
    }
  }
}

async function refresh() {
  const news = await ask("data.json", {}, tag ? { "If-None-Match": tag } : {});
  if (!news) return;
  const changed = Object.keys(news.parts).filter((part) => news.parts[part] !== page.versions[part]);
  const contents = await Promise.all(changed.map((name) => ask("part.json", { name })));
  changed.forEach((part, k) => take(part, contents[k]));
  page.versions = news.parts;
  if (stale.size) {
    const names = [...stale];
    stale.clear();
    await drawFigures(names);
  }
  if (dialog.open) await showDetails();
  if (changed.length) connection.dataset.changes = Number(connection.dataset.changes ?? 0) + 1;
}

async function stayInformed() {
  try {
    await refresh();
    connection.textContent = `Live: as of ${new Date().toLocaleTimeString()}`;
    connection.className = "kind";
  } catch (error) {
    tag = "";
    connection.textContent = `No news: ${error.message}. Trying again.`;
    connection.className = "kind reason";
  }
  window.setTimeout(stayInformed, document.hidden ? 5 * EVERY : EVERY);
}

stayInformed();
