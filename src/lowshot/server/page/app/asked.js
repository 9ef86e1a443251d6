// All photos that were asked about, as tiles with their answers.
import { button, el, icon } from "./dom.js";
import { asCsv, asJson, save } from "./download.js";
import { preview } from "./preview.js";
import { questions } from "./questions.js";
import { photos } from "./words.js";

export class Asked {
  #title = el("h2");
  #sum = el("p.soft.small", { role: "status" });
  #bar = el("progress", { "aria-label": "Answered photos" });
  #tiles = el("ul.tiles");
  #byItem = new Map();

  constructor() {
    const answers = () => questions.items.filter((item) => item.answer).map((item) => item.answer).reverse();
    const actions = el(
      "div.row",
      {},
      button("quiet slim", "download", "CSV", () => save("answers.csv", "text/csv", asCsv(answers())), { "aria-label": "Answers as CSV" }),
      button("quiet slim", "download", "JSON", () => save("answers.json", "application/json", asJson(answers())), { "aria-label": "Answers as JSON" }),
      button("quiet slim", "close", "Clear", () => questions.clear(), { "aria-label": "Clear all asked photos" }),
    );
    const head = el("div.row.spread", {}, el("div", {}, this.#title, this.#sum), actions);
    this.node = el("section.asked", { hidden: true }, head, el("div.progress", {}, this.#bar), this.#tiles);
    this.#tiles.addEventListener("keydown", (event) => this.#keys(event));
  }

  draw() {
    const { items, waiting } = questions;
    this.node.hidden = !items.length;
    this.#title.textContent = photos(items.length);
    this.#sum.textContent = summary(items, waiting);
    this.#bar.hidden = waiting === 0 || items.length < 2;
    this.#bar.max = items.length;
    this.#bar.value = items.length - waiting;
    this.#tiles.hidden = items.length < 2;
    for (const item of this.#byItem.keys()) if (!items.includes(item)) this.#byItem.delete(item);
    const tiles = items.map((item) => this.#tile(item));
    if (tiles.some((tile, i) => tile !== this.#tiles.children[i]) || tiles.length !== this.#tiles.children.length) this.#tiles.replaceChildren(...tiles);
  }

  #tile(item) {
    if (!this.#byItem.has(item)) this.#byItem.set(item, new Tile(item));
    const tile = this.#byItem.get(item);
    tile.draw();
    return tile.node;
  }

  #keys(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      const next = questions.step(step);
      if (next) this.#byItem.get(next).focus();
    } else if (event.key === "Delete" && questions.selected) {
      questions.remove(questions.selected);
      if (questions.selected) this.#byItem.get(questions.selected).focus();
    } else return;
    event.preventDefault();
  }
}

function summary(items, waiting) {
  if (waiting && items.length > 1) return `${items.length - waiting} of ${items.length} answered`;
  const unknown = items.filter((item) => item.answer?.unknown).length;
  const failed = items.filter((item) => item.status === "failed").length;
  return [unknown ? `${unknown} unknown` : "", failed ? `${failed} without an answer` : ""].filter(Boolean).join(", ");
}

class Tile {
  #label = el("span.name");

  constructor(item) {
    this.item = item;
    this.button = el(
      "button.tile",
      { title: item.name, on: { click: () => questions.select(item) } },
      preview(item.url, "", { loading: "lazy" }),
      el("span.tile-foot", {}, (this.sign = icon("question")), this.#label),
    );
    this.node = el("li", {}, this.button);
  }

  draw() {
    const { status, answer, name } = this.item;
    const mood = status === "failed" ? "failed" : !answer ? "waiting" : answer.unknown ? "unknown" : "known";
    const words = { failed: "No answer", waiting: "…", unknown: "I don’t know" }[mood] ?? answer.class;
    this.button.dataset.mood = mood;
    this.sign.hidden = mood === "known" || mood === "waiting";
    this.sign.className = `icon icon-${mood === "failed" ? "alert" : "question"}`;
    if (this.#label.textContent !== words) this.#label.textContent = words;
    this.button.setAttribute("aria-pressed", String(questions.selected === this.item));
    this.button.setAttribute("aria-label", `${name}: ${words}`);
  }

  focus() {
    this.button.focus();
  }
}
