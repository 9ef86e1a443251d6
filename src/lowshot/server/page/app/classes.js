// The view "Classes": a grid of cards, one for each class.
import { path } from "./api.js";
import { button, el, icon } from "./dom.js";
import { choose, classFolders } from "./files.js";
import { importFound } from "./import_folder.js";
import { model } from "./model.js";
import { morePhotos, newClass } from "./new_class.js";
import { taughtPhoto } from "./preview.js";
import { classes, photos } from "./words.js";

const SEARCH_FROM = 9;
const SHOWN = 300; // cards at once; the search finds the others

export class ClassesView {
  title = "Classes";

  constructor() {
    this.heading = el("h1", { tabindex: -1 }, "Classes");
    this.sum = el("p");
    this.actions = el("div.row");
    this.search = el("input.field.search", { type: "search", placeholder: "Find a class", "aria-label": "Find a class", autocomplete: "off", spellcheck: "false", on: { input: () => this.#draw() } });
    this.note = el("p.notice");
    this.wall = el("ul.wall");
    this.told = el("p.soft", { role: "status" });
    const find = el("div.find", {}, icon("search"), this.search);
    this.find = find;
    this.node = el("div", {}, el("div.view-head", {}, el("div", {}, this.heading, this.sum), this.actions), this.note, find, this.told, this.wall);
    model.addEventListener("state", () => this.#draw());
    model.addEventListener("health", () => this.#draw());
  }

  show() {
    this.#draw();
  }

  hide() {}

  get receiver() {
    return model.canChange ? { words: "Drop photos, or a folder of class folders", take: importFound } : null;
  }

  #draw() {
    if (!model.health) return;
    const wanted = this.search.value.trim().toLocaleLowerCase();
    const taught = model.known.filter((one) => !one.base);
    const base = model.known.length - taught.length;
    const photosTaught = taught.reduce((sum, one) => sum + one.photos, 0);
    const from = model.exported ? "" : ` from ${photos(photosTaught)}`;
    const beside = base ? `, beside ${classes(base)} known from the start` : "";
    this.sum.textContent = model.known.length ? `${classes(taught.length)} taught${from}${beside}.` : "Nothing has been taught yet.";
    this.#drawActions();
    this.note.textContent = this.#why();
    this.find.hidden = model.known.length < SEARCH_FROM;
    const among = wanted ? model.known : [...taught, ...(taught.length ? [] : model.known)];
    const found = among.filter((one) => one.name.toLocaleLowerCase().includes(wanted));
    const left = found.length - SHOWN;
    this.told.textContent = wanted && !found.length ? "No class has such a name." : left > 0 ? `${left.toLocaleString("en")} more are found by their names.` : "";
    const plain = !model.known.some((one) => one.thumbnails.length); // no pictures at all
    this.wall.classList.toggle("plain", plain && model.known.length > 0);
    const cards = found.slice(0, SHOWN).map((one) => card(one, plain));
    if (model.canChange && !wanted) cards.unshift(newCard());
    const focused = this.wall.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.wall.replaceChildren(...cards);
    if (focused) this.wall.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  #drawActions() {
    if (this.actions.hidden === !model.canChange && this.actions.children.length) return;
    this.actions.hidden = !model.canChange;
    this.actions.replaceChildren(
      button("", "folder", "Add a folder", async () => importFound(await choose({ folder: true })), { title: "A folder with a folder of photos for each class" }),
      button("main", "plus", "New class", () => newClass()),
    );
  }

  #why() {
    if (model.exported) return "This is an exported file: it answers, but holds no photos and cannot be changed.";
    if (!model.canChange) return "Read-only: whoever started this server switched changes off.";
    return "";
  }
}

/** A folder of class folders means the classes, also where it is dropped on the card of one. */
const holdsClasses = (found) => classFolders(found).groups.size > 1;

function newCard() {
  const words = model.empty ? "Teach the first class" : "New class";
  return el("li", {}, el("button.card.new", { "data-key": " new", on: { click: () => newClass() } }, el("span.corners", { "aria-hidden": "true" }), el("span.new-in", {}, icon("plus"), el("strong", {}, words), el("span.soft.small", {}, "or drop photos or a folder here"))));
}

function card(one, plain) {
  const pictures = one.thumbnails.slice(0, 4).map((digest) => taughtPhoto(digest, "", 96, { loading: "lazy" }));
  const inside = [
    plain ? null : pictures.length ? el(`span.mosaic.of-${pictures.length}`, { "aria-hidden": "true" }, ...pictures) : el("span.mosaic.none", { "aria-hidden": "true" }, icon("image")),
    el("span.card-foot", {}, el("strong.name", {}, one.name), el("span.soft.small.number", {}, one.base ? "known from the start" : model.exported ? "" : photos(one.photos))),
  ];
  if (one.base || model.exported) return el("li", {}, el("div.card", {}, ...inside));
  const node = el("a.card", { href: `#classes/${path(one.name)}`, "data-key": one.name }, ...inside);
  if (model.canChange) {
    node.dataset.drop = "";
    node.receiver = { words: `Drop to add photos to ${one.name}`, take: (found) => (holdsClasses(found) ? importFound(found) : morePhotos(one.name, found)) };
  }
  return el("li", {}, node);
}
