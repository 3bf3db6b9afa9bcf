// Pictures beside each other that share one pixel: a click or the arrow keys move it, and each picture marks it.
function make(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

function load(img, bytes) {
  const old = img.src;
  img.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  if (old) URL.revokeObjectURL(old);
}

function build(parent, onPixel) {
  const figure = make("figure", "n2n-figure", parent);
  const title = make("figcaption", "n2n-title", figure);
  const frame = make("div", "n2n-frame", figure);
  const img = make("img", "", frame);
  const over = make("img", "n2n-over", frame);
  const mark = make("i", "n2n-mark", frame);
  const curtain = make("input", "n2n-curtain", figure);
  Object.assign(curtain, { type: "range", min: 0, max: 100, value: 50 });
  const uncover = () => frame.style.setProperty("--at", `${curtain.value}%`);
  curtain.addEventListener("input", uncover);
  uncover();
  const caption = make("figcaption", "n2n-caption", figure);
  frame.addEventListener("click", (event) => {
    const box = frame.getBoundingClientRect();
    onPixel((event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
  });
  return { figure, title, frame, img, over, mark, curtain, caption };
}

function fill(parts, picture) {
  parts.title.textContent = picture.title;
  parts.caption.textContent = picture.caption;
  parts.img.alt = picture.alt || picture.title;
  parts.frame.hidden = !picture.png;
  parts.frame.classList.toggle("n2n-divided", Boolean(picture.over));
  parts.frame.classList.toggle("n2n-near", Boolean(picture.near)); // pixels of its own: neither mark nor click
  parts.curtain.hidden = parts.over.hidden = !picture.over;
  parts.curtain.setAttribute("aria-label", `${picture.title}: how much of the left one is shown`);
  if (picture.png) load(parts.img, picture.png);
  if (picture.over) load(parts.over, picture.over);
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function render({ model, el }) {
  const group = make("div", "n2n-pictures", el);
  group.tabIndex = 0;
  group.setAttribute("role", "group");
  let drawn = [];

  function move(row, column) {
    const inside = (x) => Math.min(Math.max(x, 0), model.get("side") - 1);
    model.set("pixel", [inside(row), inside(column)]);
    model.save_changes();
  }
  function draw() {
    const pictures = model.get("pictures");
    const onPixel = (y, x) => move(Math.floor(y * model.get("side")), Math.floor(x * model.get("side")));
    while (drawn.length > pictures.length) drawn.pop().figure.remove();
    while (drawn.length < pictures.length) drawn.push(build(group, onPixel));
    drawn.forEach((parts, i) => fill(parts, pictures[i]));
    point();
  }
  function point() {
    const [row, column] = model.get("pixel");
    const side = model.get("side");
    group.setAttribute("aria-label", `Pictures. Pixel at row ${row}, column ${column}: arrow keys move it.`);
    for (const { mark } of drawn) {
      mark.style.top = `${((row + 0.5) / side) * 100}%`;
      mark.style.left = `${((column + 0.5) / side) * 100}%`;
    }
  }

  // On the window, before JupyterLab takes the arrow keys to move between cells.
  function onKey(event) {
    const step = STEPS[event.key];
    if (!step || !group.contains(event.target)) return;
    event.stopPropagation();
    if (event.target.tagName === "INPUT") return; // a curtain
    event.preventDefault();
    const [row, column] = model.get("pixel");
    move(row + step[0], column + step[1]);
  }

  window.addEventListener("keydown", onKey, true);
  model.on("change:pictures", draw);
  model.on("change:pixel change:side", point);
  draw();
  return () => window.removeEventListener("keydown", onKey, true);
}

export default { render };
