// The view "Check": how reliable the recogniser is, and what should be looked at, each with buttons that mend it.
import { call } from "./api.js";
import { el, icon } from "./dom.js";
import { Findings } from "./findings.js";
import { model } from "./model.js";
import { count, sentence } from "./words.js";

export class CheckView {
  title = "Check";
  #asked = 0;
  #accuracy = el("div");
  #findings = new Findings();
  #rest = el("div.check");

  constructor() {
    this.heading = el("h1", { tabindex: -1 }, "Check");
    this.body = el("div.check");
    this.told = el("p.unseen", { role: "status" });
    this.node = el("div", {}, el("div.view-head", {}, el("div", {}, this.heading, el("p", {}, "Every taught photo is looked at anew: is it in the right class, is it any good, are there enough?"))), this.told, this.body);
    model.addEventListener("state", () => this.node.isConnected && this.#load());
  }

  show() {
    this.#findings.clear();
    this.body.replaceChildren(el("p.soft", { role: "status" }, "Looking at every photo …"));
    return this.#load();
  }

  hide() {}

  get receiver() {
    return null;
  }

  async #load() {
    const mine = (this.#asked += 1);
    const show = (...nodes) => {
      if (mine === this.#asked) this.body.replaceChildren(...nodes.flat().filter(Boolean));
    };
    if (model.empty) return show(blank("Nothing to check yet", "Teach a few classes first."));
    if (model.exported) return show(blank("Nothing to check here", "An exported file holds no photos. Check the recogniser that it was made from."));
    try {
      const report = await call("GET", "check");
      if (mine === this.#asked) this.#draw(report);
    } catch (problem) {
      show(el("p.notice.bad", { role: "alert" }, sentence(problem.message)));
    }
  }

  #draw(report) {
    const open = report.findings.length;
    this.told.textContent = open ? count(open, "finding") : "Nothing to mend.";
    const before = this.#focusedTop();
    this.#findings.show(report.findings);
    const blankNode = this.#findings.empty ? blank("Nothing to mend", "No photo stands out.", "check") : null;
    this.#accuracy.replaceChildren(accuracy(report.accuracy));
    this.#rest.replaceChildren(...[blankNode, notChecked(report.not_checked)].filter(Boolean));
    if (!this.#findings.node.isConnected) this.body.replaceChildren(this.#accuracy, this.#findings.node, this.#rest);
    if (before !== null) scrollBy(0, this.#focusedTop() - before); // what is above may have become taller
  }

  /** How far down the finding with the focus is, null where none has it. */
  #focusedTop() {
    const focused = document.activeElement?.closest(".finding");
    return focused ? focused.getBoundingClientRect().top : null;
  }
}

/** The expected accuracy in words, and its interval as a range on a line. */
function accuracy(estimate) {
  if (!estimate || estimate.value === null || estimate.value === undefined) {
    return el("section.accuracy", {}, el("div", {}, el("h2", {}, "Expected accuracy: not known yet"), el("p.soft", {}, "Two photos a class are needed: each is answered by the others.")));
  }
  const hundred = (value) => Math.round(100 * value);
  const { value, low, high, n } = estimate;
  const range = el("span.range-fill");
  range.style.setProperty("--low", low);
  range.style.setProperty("--high", high);
  const point = el("span.range-point");
  point.style.setProperty("--at", value);
  return el(
    "section.accuracy",
    {},
    el("p.accuracy-number.number", {}, hundred(value), el("span", {}, " of 100")),
    el(
      "div.grow",
      {},
      el("h2", {}, "Expected accuracy"),
      el("p.soft.prose", {}, inWords(value, hundred(value), hundred(low), hundred(high), n)),
      el("div.range", { role: "img", "aria-label": `Between ${hundred(low)} and ${hundred(high)} of 100` }, range, point),
      el("div.range-ends.small.soft.number", { "aria-hidden": "true" }, el("span", {}, "0"), el("span", {}, "100")),
    ),
  );
}

function inWords(value, point, low, high, n) {
  const measured = `Measured on ${count(n, "taught photo")}, each answered by the others alone.`;
  if (value === 1) return `All ${count(n, "taught photo")} are recognised by the others alone. Of 100 new photos like them, expect between ${low} and ${high} right answers.`;
  return `About ${point} of 100 photos like the taught ones are answered right; likely between ${low} and ${high}. ${measured}`;
}

const notChecked = (lines) => (lines?.length ? el("section.not-checked", {}, el("h2", {}, "Not looked at"), el("ul", {}, ...lines.map((line) => el("li.soft", {}, sentence(line))))) : null);

const blank = (title, words, sign = "shield") => el("section.blank", {}, icon(sign), el("h2", {}, title), el("p.soft", {}, words));
