// What is shown while photos are taught, and where some of them could not be.
import { openDialog } from "./dialogs.js";
import { button, el, named } from "./dom.js";
import { photos, sentence } from "./words.js";

const QUIET = 500; // milliseconds before progress is shown
const SENDING = 0.2; // the share of the bar that sending takes

/** The progress of a teaching, in a dialog that appears where it takes long, and its cancelling. */
export class Work {
  finished = 0; // photos of parts that are done
  #giveUp = new AbortController();
  #dialog = null;
  #timer = 0;

  constructor(total) {
    this.total = total;
    this.bar = el("progress", { max: 1, value: 0, "aria-label": "Progress" });
    this.line = el("p.soft.number", { role: "status" }, "Sending …");
  }

  /** The options of an upload. */
  options() {
    if (!this.#dialog) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#open(), QUIET);
    }
    return { signal: this.#giveUp.signal, progress: (step) => this.#show(step) };
  }

  close() {
    clearTimeout(this.#timer);
    this.#dialog?.close();
    this.#dialog = null;
  }

  #open() {
    const cancel = button("", null, "Cancel", () => this.#giveUp.abort());
    const body = [el("div.progress", {}, this.bar, this.line)];
    this.#dialog = openDialog(`Teaching ${photos(this.total)}`, body, { foot: [cancel], closable: false });
  }

  #show({ phase, done, of }) {
    const share = of ? done / of : 0;
    const sending = phase === "send";
    this.line.textContent = sending ? `Sending, ${Math.round(100 * share)} %` : `Learning ${this.finished + done} of ${photos(this.total)}`;
    const part = sending ? SENDING * share : SENDING + (1 - SENDING) * share;
    this.bar.value = (this.finished + part * (of && !sending ? of : this.total - this.finished)) / this.total;
  }
}

const line = (one) => (typeof one === "string" ? one : [one.file, one.detail].filter(Boolean).join(": "));
const listed = (lines) => el("ul.lines", { tabindex: 0, "aria-label": "Photos" }, ...lines.map((one) => named(line(one), "li")));

/** Name damaged photos; resolves with true where the others are to be taught. */
export function withoutDamaged(errors, number) {
  return new Promise((resolve) => {
    let answer = false;
    const rest = button("main", "check", `Leave out ${errors.length}, teach ${number - errors.length}`, () => {
      answer = true;
      dialog.close();
    });
    const body = [el("p", {}, "Nothing has been taught yet. Without these, the others can be."), listed(errors)];
    const foot = [button("", null, "Cancel", () => dialog.close()), rest];
    const dialog = openDialog(`${photos(errors.length)} cannot be read`, body, { foot, onClose: () => resolve(answer) });
  });
}

/** Name the photos that were left out of what was taught. */
export function leftOut(words, { repeated, unreadable }) {
  const body = [];
  if (repeated.length) body.push(el("h3", {}, "Known already, and left out"), listed(repeated));
  if (unreadable.length) body.push(el("h3", {}, "Not readable, and left out"), listed(unreadable));
  const dialog = openDialog(words.replace(/\.$/, ""), body, { foot: [button("main", null, "Good", () => dialog.close())] });
}

/** Say why photos were not taught. */
export function nothingTaught(problem, some) {
  const body = [el("p", {}, sentence(problem.message))];
  if (problem.errors?.length) body.push(listed(problem.errors));
  const title = some ? "The other photos were not taught" : "Nothing was taught";
  const dialog = openDialog(title, body, { foot: [button("main", null, "Close", () => dialog.close())] });
}
