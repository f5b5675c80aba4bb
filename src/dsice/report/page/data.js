// What the page shows, as it came with it; a live page brings it up to date.

const page = JSON.parse(document.getElementById("data").textContent);

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text; // never markup: programs made it up
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
