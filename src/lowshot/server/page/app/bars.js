// Probabilities as bars. Rows are changed in place, so that bars of a camera's answers grow and shrink smoothly.
import { el } from "./dom.js";
import { percent } from "./words.js";

export class Bars {
  #rows = [];

  constructor() {
    this.node = el("ol.bars");
  }

  /**
   * @param {Array<{class: string, probability: number}>} top the likeliest classes first
   * @param {boolean} unknown true hides the numbers: among classes that all do not fit they would look like certainty
   */
  show(top, unknown) {
    this.node.classList.toggle("unknown", unknown);
    this.node.setAttribute("aria-label", unknown ? "Classes that come nearest" : "Probabilities");
    while (this.#rows.length < top.length) this.#grow();
    this.#rows.forEach((row, i) => {
      const one = top[i];
      row.node.hidden = !one;
      if (!one) return;
      row.name.textContent = one.class;
      row.number.textContent = unknown ? "" : percent(one.probability);
      row.fill.style.setProperty("--share", one.probability);
    });
  }

  #grow() {
    const name = el("span.name");
    const number = el("span.number");
    const fill = el("span.fill");
    const node = el("li", {}, name, el("span.track", { "aria-hidden": "true" }, fill), number);
    this.#rows.push({ node, name, number, fill });
    this.node.append(node);
  }
}
