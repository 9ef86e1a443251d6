// The taught photos that are most similar to the question, beside it.
import { el } from "./dom.js";
import { taughtPhoto } from "./preview.js";
import { basename } from "./words.js";

export class Neighbours {
  #list = el("ol.neighbours");
  #title = el("h3");
  #shown = "";

  constructor() {
    this.node = el("section", { hidden: true }, this.#title, this.#list);
  }

  show(neighbours, unknown) {
    this.node.hidden = !neighbours?.length;
    if (this.node.hidden) return;
    this.#title.textContent = unknown ? "The nearest taught photos" : "Most like these taught photos";
    const key = JSON.stringify(neighbours);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#list.replaceChildren(...neighbours.map(neighbour));
  }
}

function neighbour(one) {
  const words = `${one.class}, ${basename(one.photo)}, similarity ${one.similarity.toFixed(2)}`;
  return el(
    "li",
    { title: words },
    taughtPhoto(one.digest, ""),
    el("span.name", {}, one.class),
    el("span.number.soft", {}, el("span.unseen", {}, "similarity "), one.similarity.toFixed(2)),
  );
}
