// Draws the figures in the reader's colour scheme, sorts the table, and sizes the pictures.

const page = JSON.parse(document.getElementById("data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 560px)");

async function drawFigures() {
  const theme = dark.matches ? "dark" : "light";
  const config = structuredClone(page.themes[theme]);
  if (narrow.matches) config.legend.columns = 2;
  for (const element of document.querySelectorAll("[data-figure]")) {
    const { spec, datasets } = page.figures[element.dataset.figure];
    const data = Object.fromEntries(datasets.map((name) => [name, page.datasets[name]]));
    try {
      await window.vegaEmbed(element, { ...structuredClone(spec), datasets: structuredClone(data) }, {
        mode: "vega-lite",
        renderer: "svg",
        ast: true, // expressions are interpreted: the page's policy forbids eval
        config,
        tooltip: { theme },
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: `${page.name}-${element.dataset.figure}`,
      });
    } catch (error) {
      element.textContent = `This figure cannot be drawn: ${error.message}`;
    }
  }
}

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

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
    head.addEventListener("click", () => {
      const direction = head.ariaSort === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = direction === 1 ? "ascending" : "descending";
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b), direction)));
    });
  });
}

// Small pictures are enlarged by a whole factor, counted in pixels of the screen, so that every pixel
// of theirs is as large as any other; pictures of a row are as wide as one another.
function sizePictures(row) {
  const figures = [...row.children];
  const images = figures.map((figure) => figure.querySelector("img"));
  const widest = Math.max(...images.map((image) => image.naturalWidth));
  if (!widest) return;
  const gap = 12;
  const least = Math.min(160, row.clientWidth);
  const most = Math.max(1, Math.floor((row.clientWidth + gap) / (least + gap)));
  // Four pictures where three would fit stand two by two.
  const columns = Math.ceil(images.length / Math.ceil(images.length / most));
  const room = (row.clientWidth - gap * (columns - 1)) / columns;
  const pixels = window.devicePixelRatio;
  const whole = widest * Math.floor((room * pixels) / widest) / pixels;
  const width = whole > 0.7 * room ? whole : room; // rather blurred than tiny
  images.forEach((image, k) => {
    figures[k].style.width = `${width}px`;
    image.classList.toggle("crisp", width === whole);
  });
}

document.querySelectorAll("table.trials").forEach(sortable);

const rows = [...document.querySelectorAll(".pictures")];
const sizeAll = () => rows.forEach(sizePictures);
Promise.all([...document.querySelectorAll(".pictures img")].map((image) => image.decode().catch(() => {}))).then(sizeAll);
window.addEventListener("resize", sizeAll);

for (const query of [dark, narrow]) query.addEventListener("change", drawFigures);
drawFigures();
