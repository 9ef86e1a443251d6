// The findings of a check. One that is mended keeps its place, marked as done, so that no other comes under the pointer.
import { call } from "./api.js";
import { change } from "./changes.js";
import { button, el, icon } from "./dom.js";
import { model } from "./model.js";
import { taughtPhoto } from "./preview.js";
import { sentence } from "./words.js";

const KINDS = {
  unreadable: ["Photos that cannot be read", "They are not used."],
  "wrong label": ["Perhaps in the wrong class", "These photos look more like another class than like their own."],
  "two classes": ["One picture in two classes", "It cannot show both: the recogniser learns a contradiction."],
  duplicate: ["The same picture twice", "A second copy teaches nothing new, and makes the expected accuracy look better than it is."],
  confused: ["Classes that are taken for each other", "More photos that show the difference help."],
  "few photos": ["Classes with few photos", "Three are the least; five to ten are better."],
  "too small": ["Very small photos", "Details are lost in them."],
  "poor picture": ["Poor pictures", "Too dark, too bright or otherwise hard to see."],
};
const PICTURES = 6;

/** The findings since the view was opened, in the order in which they were found. */
export class Findings {
  #rows = [];
  #sections = new Map(); // by kind

  constructor() {
    this.node = el("div.kinds");
  }

  get empty() {
    return this.#rows.length === 0;
  }

  /** Forget all; rows that were mended leave as well. */
  clear() {
    this.#rows = [];
    this.#sections.clear();
    this.node.replaceChildren();
  }

  /** Show a report: known findings stay where they are, new ones come after them, and those that are gone are done. */
  show(report) {
    const left = new Map(report.map((one) => [keyOf(one), one]));
    const take = (row, one) => {
      left.delete(keyOf(one));
      row.draw(one);
    };
    const gone = this.#rows.filter((row) => {
      const same = left.get(keyOf(row.one));
      if (same) take(row, same);
      return !same;
    });
    for (const row of gone) {
      const rest = row.mended ? null : [...left.values()].find((one) => overlap(one, row.one));
      if (rest) take(row, rest);
      else row.settle("not found any more.");
    }
    for (const one of left.values()) this.#add(one);
    for (const section of this.#sections.values()) section.count();
  }

  #add(one) {
    if (!this.#sections.has(one.kind)) {
      this.#sections.set(one.kind, new Section(one.kind));
      this.node.append(this.#sections.get(one.kind).node);
    }
    const row = new Row(one);
    this.#rows.push(row);
    this.#sections.get(one.kind).add(row);
  }
}

const keyOf = ({ kind, photos, classes }) => JSON.stringify([kind, photos, classes]);

/** The same finding, of which a photo was mended elsewhere. */
const overlap = (one, other) => one.kind === other.kind && one.photos.some((photo) => other.photos.includes(photo));

class Section {
  #rows = [];
  #number = el("span.kind-count.number");
  #list = el("ul.findings");

  constructor(kind) {
    const [title, why] = KINDS[kind] ?? [sentence(kind), ""];
    this.node = el("section.kind", {}, el("h2", {}, title, this.#number), why ? el("p.soft", {}, why) : null, this.#list);
  }

  add(row) {
    this.#rows.push(row);
    this.#list.append(row.node);
  }

  count() {
    const open = this.#rows.filter((row) => !row.done).length;
    this.#number.textContent = open;
    this.#number.classList.toggle("none", open === 0);
  }
}

class Row {
  done = false;
  mended = false; // here, by one of its buttons
  #drawn = "";
  #busy = false;
  #pictures = []; // kept when it is done: the server has none of a forgotten photo
  #complaint = el("p.notice.bad", { role: "alert" });

  constructor(one) {
    this.node = el("li.finding", { tabindex: -1 });
    this.draw(one);
  }

  /** Show the finding; one that is drawn already keeps its elements, and the focus in them. */
  draw(one) {
    const words = JSON.stringify([one, model.canChange]);
    if (words === this.#drawn) return;
    this.#drawn = words;
    this.one = one;
    this.done = this.mended = false;
    this.node.classList.remove("done");
    this.#complaint.textContent = "";
    const fixes = model.canChange ? (one.fixes ?? []).map((fix) => button("slim", null, fix.label, (event) => this.#mend(fix, event.currentTarget))) : [];
    const open = (one.classes ?? []).map((name) => el("a.name", { href: `#classes/${encodeURIComponent(name)}` }, name));
    const advice = one.advice ? el("p.soft.small", {}, sentence(one.advice)) : null;
    this.#pictures = pictures(one);
    this.node.replaceChildren(
      ...this.#pictures,
      el("div.grow", {}, el("p.finding-text.name", {}, one.text), advice, open.length ? el("p.small.open", {}, ...open) : null, this.#complaint),
      ...(fixes.length ? [el("div.row.fixes", {}, ...fixes)] : []),
    );
  }

  /** Mark the finding as done, as large as it was. */
  settle(words) {
    if (this.done) return;
    const focused = this.node.contains(document.activeElement);
    this.node.style.minHeight = `${this.node.offsetHeight}px`;
    this.done = true;
    this.#drawn = "";
    this.node.classList.add("done");
    const about = this.one.photos?.length ? this.one.photos.join(", ") : this.one.classes.join(", ");
    this.node.replaceChildren(...this.#pictures, el("div.grow", {}, el("p.finding-text.name", {}, icon("check"), `${about}: ${words}`)));
    if (focused) this.node.focus({ preventScroll: true });
  }

  async #mend(fix, pressed) {
    if (this.#busy) return;
    this.#busy = true;
    pressed.classList.add("busy");
    const work = async () => {
      const reply = await call(fix.method, fix.path, fix.body ? { json: fix.body } : {});
      this.mended = true;
      this.settle(`${fix.label}, done.`); // before the new report comes
      return reply;
    };
    await change(work, `${fix.label}: done.`, (message) => {
      this.#complaint.textContent = message;
    });
    pressed.classList.remove("busy");
    this.#busy = false;
  }
}

function pictures({ digests = [], photos = [] }) {
  const some = digests.slice(0, PICTURES).map((digest, i) => taughtPhoto(digest, photos[i] ?? "", 96, { title: photos[i] ?? "", loading: "lazy" }));
  return some.length ? [el("span.finding-pictures", {}, ...some)] : [];
}
