// Draws the figures, in light or dark; on paper they are light. A click on a trial's mark shows it.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 560px)");
const paper = window.matchMedia("print");
const chosenTheme = document.getElementById("theme");
const views = new Map(); // what is drawn, by the name of the figure

function theme() {
  return chosenTheme.value || (dark.matches ? "dark" : "light");
}

async function draw(place, spec) {
  const config = structuredClone(page.themes[theme()]);
  if (narrow.matches) config.legend.columns = 2;
  place.style.minHeight = `${place.offsetHeight}px`; // the page must not jump meanwhile
  try {
    const drawn = await window.vegaEmbed(place, spec, {
      mode: "vega-lite",
      renderer: "svg",
      ast: true, // expressions are interpreted: the page's policy forbids eval
      config,
      tooltip: { theme: theme() },
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: `${page.name}-${place.dataset.figure}`,
    });
    drawn.view.addEventListener("click", (event, item) => {
      if (Number.isInteger(item?.datum?.trial)) choose(item.datum.trial);
    });
    return drawn;
  } catch (error) {
    place.textContent = `This figure cannot be drawn: ${error.message}`;
  } finally {
    place.style.minHeight = "";
  }
}

async function drawFigure(name) {
  const place = document.querySelector(`[data-figure="${name}"]`);
  if (!place || !page.figures[name]) return;
  const { spec, datasets } = page.figures[name];
  const data = Object.fromEntries(datasets.map((set) => [set, page.datasets[set]]));
  const before = views.get(name);
  views.set(name, await draw(place, structuredClone({ ...spec, datasets: data })));
  before?.finalize();
}

// One after another, so that the reader can scroll meanwhile; a later call takes up what is left.
const waiting = new Set();
let drawing = false;

async function drawFigures(names = Object.keys(page.figures)) {
  names.forEach((name) => waiting.add(name));
  if (drawing) return;
  drawing = true;
  delete document.documentElement.dataset.drawn;
  for (const name of waiting) {
    waiting.delete(name);
    await drawFigure(name);
  }
  drawing = false;
  document.documentElement.dataset.drawn = views.size;
}

// Printing does not wait for figures to be drawn anew: their colours are exchanged in place.
let exchanged = [];

function colours(config, found = []) {
  for (const value of Object.values(config)) {
    if (typeof value === "object" && value) colours(value, found);
    else if (/^#[0-9a-f]{6}$/.test(value)) found.push(value);
  }
  return found;
}

function forPaper() {
  if (exchanged.length) return;
  const light = colours(page.themes.light);
  const exchange = new Map(colours(page.themes.dark).map((colour, k) => [colour, light[k]]));
  for (const mark of document.querySelectorAll(".plot svg.marks, .plot svg.marks *")) {
    for (const name of ["fill", "stroke"]) {
      const colour = mark.getAttribute(name);
      if (exchange.has(colour)) {
        exchanged.push([mark, name, colour]);
        mark.setAttribute(name, exchange.get(colour));
      }
    }
    const ground = mark.style.backgroundColor;
    if (ground) {
      exchanged.push([mark, "style", mark.getAttribute("style")]);
      mark.style.backgroundColor = page.themes.light.background;
    }
  }
}

function forScreen() {
  for (const [mark, name, value] of exchanged) mark.setAttribute(name, value);
  exchanged = [];
}

paper.addEventListener("change", () => (paper.matches ? forPaper() : forScreen()));
window.addEventListener("beforeprint", forPaper);
window.addEventListener("afterprint", forScreen);

chosenTheme.addEventListener("change", () => {
  document.documentElement.dataset.theme = chosenTheme.value;
  drawFigures();
});
for (const query of [dark, narrow]) {
  // To a browser that prints, the system is light and the window narrow.
  query.addEventListener("change", () => paper.matches || drawFigures());
}
drawFigures();
