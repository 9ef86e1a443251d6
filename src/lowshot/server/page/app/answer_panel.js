// The answer beside a photo: the class or "I don't know", the bars, the nearest photos, and what can be done about it.
import { Bars } from "./bars.js";
import { button, el, named } from "./dom.js";
import { model } from "./model.js";
import { Neighbours } from "./neighbours.js";
import { classes, percent, sentence } from "./words.js";

export class AnswerPanel {
  #over = el("p.over");
  #title = el("h2.verdict.name");
  #more = el("p.soft");
  #bars = new Bars();
  #neighbours = new Neighbours();
  #told = el("p.unseen", { role: "status", "aria-live": "polite" });
  #acts = el("div.row.acts");
  #actsFor = "";
  #spoken = "";

  /** @param {{confirm: (name: string) => void, correct: () => void, again: () => void}} on what the buttons do */
  constructor(on) {
    this.on = on;
    this.body = el("div.answer-body", {}, this.#over, this.#title, this.#more, this.#bars.node, this.#acts, this.#neighbours.node);
    this.node = el("div.answer", { hidden: true }, this.body, this.#told);
  }

  /** Show that an answer is on its way. */
  wait(name) {
    this.#mood("waiting");
    this.#text("Looking", "…", "");
    this.#details([], false, []);
    this.#buttons("", []);
    this.#say(`Looking at ${name}`);
  }

  /** Show what went wrong, in the server's words. */
  fail(problem) {
    this.#mood("failed");
    this.#text("No answer", problem.status === 0 ? "The server is silent" : "This photo cannot be answered", sentence(problem.message));
    this.#details([], false, []);
    const again = () => button("", "undo", "Try again", () => this.on.again());
    const first = () => button("main", "edit", "This is …", () => this.on.correct());
    const nothingKnown = problem.status === 409 && model.canChange; // the photo can be the first that is taught
    this.#buttons(nothingKnown ? "first" : "again", [nothingKnown ? first : again]);
    this.#say(`No answer. ${problem.message}`);
  }

  /**
   * @param {object} answer as the server gives it
   * @param {{neighbours?: boolean}} options false leaves the nearest photos as they are
   */
  show(answer, { neighbours = true } = {}) {
    const { unknown } = answer;
    this.#mood(unknown ? "unknown" : "known");
    if (unknown) {
      const others = model.health.classes > 1 ? `, but unlike the photos of all ${classes(model.health.classes)}` : ", but not like it enough";
      this.#text("", "I don’t know", ["Most like ", named(answer.class, "strong"), `${others}.`]);
    } else {
      this.#text("This is", answer.class, `${percent(answer.probability)} probability`);
    }
    this.#bars.show(answer.top ?? [], unknown);
    if (neighbours) this.#neighbours.show(answer.neighbours, unknown);
    this.#teaching(answer);
    this.#say(unknown ? `I don’t know. Most like ${answer.class}.` : `This is ${answer.class}, ${percent(answer.probability)}.`);
  }

  #teaching({ class: name, unknown }) {
    if (!model.canChange) return this.#buttons("", []);
    const confirm = (look, words) => () => button(look, "check", [words, named(name)], () => this.on.confirm(name));
    const correct = (look, words) => () => button(look, "edit", words, () => this.on.correct());
    if (unknown) this.#buttons(`unknown ${name}`, [correct("main", "This is …"), confirm("", "It is ")]);
    else this.#buttons(`known ${name}`, [confirm("", "Right, teach it as "), correct("quiet", "No, this is …")]);
  }

  /** Buttons are made anew only for other words: one that has the focus keeps it. */
  #buttons(key, makers) {
    if (key === this.#actsFor) return;
    this.#actsFor = key;
    this.#acts.replaceChildren(...makers.map((make) => make()));
  }

  #text(over, title, more) {
    this.#over.textContent = over;
    this.#over.hidden = !over;
    this.#title.textContent = title;
    this.#more.replaceChildren(...[more].flat());
  }

  #details(top, unknown, neighbours) {
    this.#bars.show(top, unknown);
    this.#neighbours.show(neighbours, unknown);
  }

  #mood(mood) {
    this.node.hidden = false;
    this.node.dataset.mood = mood;
  }

  #say(words) {
    if (words === this.#spoken) return;
    this.#spoken = words;
    this.#told.textContent = words;
  }
}
