"use strict";
// The page is complete without this script, which adds enlarged figures and marks the place in the contents.

const dialog = document.querySelector("dialog");

function enlarge(figure) {
  const image = figure.querySelector("img").cloneNode();
  dialog.querySelector(".scroll").replaceChildren(image);
  const caption = figure.querySelector("figcaption p").cloneNode(true);
  caption.querySelector(".how")?.remove();
  dialog.querySelector("p").replaceChildren(...caption.childNodes);
  dialog.showModal();
}

for (const figure of document.querySelectorAll("figure.figure")) {
  const button = document.createElement("button");
  button.className = "enlarge";
  button.textContent = "Enlarge";
  button.setAttribute("aria-label", `Enlarge ${figure.dataset.label}`);
  button.addEventListener("click", () => enlarge(figure));
  figure.querySelector(".picture").append(button);
  figure.querySelector("img").addEventListener("click", () => enlarge(figure));
}
dialog.querySelector("button").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// Only what scrolls is a stop for the Tab key.
const scrolling = document.querySelectorAll("main .scroll, math[display=block]");
function stops() {
  for (const part of scrolling) part.tabIndex = part.scrollWidth > part.clientWidth + 1 ? 0 : -1;
}
addEventListener("resize", stops);
stops();

// A link into folded code opens the fold.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target?.closest("details");
  if (fold && !fold.open) { fold.open = true; target.scrollIntoView(); }
}
addEventListener("hashchange", unfold);
unfold();

const nav = document.querySelector("nav");
const links = new Map(Array.from(nav.querySelectorAll("li a"), (a) => [a.hash.slice(1), a]));
const headings = Array.from(document.querySelectorAll("main h2, main h3, main h4"), (heading) =>
  [heading, links.get(encodeURIComponent(heading.id)) ?? links.get(heading.id)]).filter(([, link]) => link);
let here = null;
function mark() {
  const passed = headings.filter(([heading]) => heading.getBoundingClientRect().top < innerHeight / 3);
  const link = passed.at(-1)?.[1] ?? null;
  if (link === here) return;
  here?.removeAttribute("aria-current");
  here = link;
  if (!here) return;
  here.setAttribute("aria-current", "location");
  const chapter = here.closest("nav > ul > li").firstElementChild;
  const shown = here.offsetParent ? here : chapter;
  const [a, b] = [shown.getBoundingClientRect(), nav.getBoundingClientRect()];
  if (a.top < b.top || a.bottom > b.bottom) nav.scrollTop += a.top - b.top - b.height / 3;
  if (a.left < b.left || a.right > b.right) nav.scrollLeft += a.left - b.left - b.width / 3;
}
let waiting = false;
addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; mark(); });
}, { passive: true });
mark();
