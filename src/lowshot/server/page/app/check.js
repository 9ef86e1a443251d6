// The view "Check": how reliable the recogniser is, and what should be looked at, each with buttons that mend it.
import { call } from "./api.js";
import { change } from "./changes.js";
import { button, el, icon } from "./dom.js";
import { model } from "./model.js";
import { taughtPhoto } from "./preview.js";
import { count, sentence } from "./words.js";

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

export class CheckView {
  title = "Check";
  #asked = 0;

  constructor() {
    this.heading = el("h1", { tabindex: -1 }, "Check");
    this.body = el("div.check");
    this.told = el("p.unseen", { role: "status" });
    this.node = el("div", {}, el("div.view-head", {}, el("div", {}, this.heading, el("p", {}, "Every taught photo is looked at anew: is it in the right class, is it any good, are there enough?"))), this.told, this.body);
    model.addEventListener("state", () => this.node.isConnected && this.#load());
  }

  show() {
    if (!this.body.children.length) this.body.replaceChildren(el("p.soft", { role: "status" }, "Looking at every photo …"));
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
      show(accuracy(report.accuracy), this.#findings(report), notChecked(report.not_checked));
    } catch (problem) {
      show(el("p.notice.bad", { role: "alert" }, sentence(problem.message)));
    }
  }

  #findings({ findings }) {
    this.told.textContent = findings.length ? `${count(findings.length, "finding")}` : "Nothing to mend.";
    if (!findings.length) return blank("Nothing to mend", "No photo stands out.", "check");
    const kinds = [...new Set(findings.map((one) => one.kind))];
    return kinds.map((kind) => {
      const some = findings.filter((one) => one.kind === kind);
      const [title, why] = KINDS[kind] ?? [sentence(kind), ""];
      return el("section.kind", {}, el("h2", {}, title, el("span.kind-count.number", {}, some.length)), why ? el("p.soft", {}, why) : null, el("ul.findings", {}, ...some.map(finding)));
    });
  }
}

function finding(one) {
  const complaint = el("p.notice.bad", { role: "alert" });
  const complain = (message) => {
    complaint.textContent = message;
  };
  const fixes = (one.fixes ?? []).map((fix) => {
    const act = button("slim", null, fix.label, async () => {
      act.classList.add("busy");
      const work = () => call(fix.method, fix.path, fix.body ? { json: fix.body } : {});
      await change(work, `${fix.label}: done.`, complain);
      act.classList.remove("busy");
    });
    return act;
  });
  const pictures = (one.digests ?? []).slice(0, 6).map((digest, i) => taughtPhoto(digest, one.photos[i] ?? "", 96, { title: one.photos[i] ?? "", loading: "lazy" }));
  const open = (one.classes ?? []).map((name) => el("a.name", { href: `#classes/${encodeURIComponent(name)}` }, name));
  return el(
    "li.finding",
    {},
    pictures.length ? el("span.finding-pictures", {}, ...pictures) : null,
    el("div.grow", {}, el("p.finding-text.name", {}, one.text), one.advice ? el("p.soft.small", {}, sentence(one.advice)) : null, open.length ? el("p.small.open", {}, ...open) : null, complaint),
    model.canChange && fixes.length ? el("div.row.fixes", {}, ...fixes) : null,
  );
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
