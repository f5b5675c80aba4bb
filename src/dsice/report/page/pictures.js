// Small pictures are enlarged by a whole factor, counted in pixels of the screen, so that every pixel
// of theirs is as large as any other; pictures of a row are as wide as one another.
function sizeRow(row) {
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


const rowsOfPictures = () => [...document.querySelectorAll(".pictures")];

async function sizePictures() {
  const images = [...document.querySelectorAll(".pictures img")];
  await Promise.all(images.map((image) => image.decode().catch(() => {})));
  rowsOfPictures().forEach(sizeRow);
}

window.addEventListener("resize", () => rowsOfPictures().forEach(sizeRow));
sizePictures();
