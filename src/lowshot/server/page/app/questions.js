// The photos that were asked about, and the queue in which they are sent: a few at a time, two requests at once.
import { Problem, call } from "./api.js";
import { model } from "./model.js";
import { unique } from "./dom.js";

const PHOTOS = 8; // per request: answers come while later photos wait
const BYTES = 16 * 2 ** 20;
const AT_ONCE = 2;
const TIMES = 5; // that a busy server is asked again
const AGAIN = 60; // asked again after a change of the recogniser; older ones when they are looked at

class Questions extends EventTarget {
  items = []; // the newest first
  selected = null;
  #running = 0;

  /** Ask about photos; the first of them is shown. */
  add(found) {
    const added = found.map(({ file, path }) => ({
      id: unique("photo"),
      file,
      name: path || file.name || "photo",
      url: URL.createObjectURL(file),
      status: "waiting", // → asking → answered | failed
      answer: null,
      problem: null,
      state: null,
    }));
    this.items.unshift(...added);
    if (added.length) this.select(added[0]);
    this.#run();
    return added;
  }

  select(item) {
    this.selected = item;
    if (item && item.status === "answered" && item.state !== model.health?.state) this.again([item]);
    this.#tell();
  }

  /** Step to a neighbour of the photo that is shown. */
  step(by) {
    const next = this.items[this.items.indexOf(this.selected) + by];
    if (next) this.select(next);
    return next;
  }

  remove(item) {
    const at = this.items.indexOf(item);
    if (at < 0) return;
    this.items.splice(at, 1);
    URL.revokeObjectURL(item.url);
    if (this.selected === item) this.selected = this.items[Math.min(at, this.items.length - 1)] ?? null;
    this.#tell();
  }

  clear() {
    for (const item of this.items) URL.revokeObjectURL(item.url);
    this.items = [];
    this.selected = null;
    this.#tell();
  }

  /** Ask once more; the old answer stays until the new one is there. */
  again(items = this.items.slice(0, AGAIN)) {
    for (const item of items) if (item.status === "answered" || item.status === "failed") item.status = "waiting";
    this.#run();
  }

  get waiting() {
    return this.items.filter((item) => item.status === "waiting" || item.status === "asking").length;
  }

  #run() {
    this.#tell();
    while (this.#running < AT_ONCE) {
      const batch = this.#next();
      if (!batch.length) return;
      this.#running += 1;
      this.#ask(batch).finally(() => {
        this.#running -= 1;
        this.#run();
      });
    }
  }

  /** The photo that is shown goes first, then those in the order of the page. */
  #next() {
    const waiting = this.items.filter((item) => item.status === "waiting");
    if (this.selected?.status === "waiting") waiting.unshift(...waiting.splice(waiting.indexOf(this.selected), 1));
    const batch = [];
    let bytes = 0;
    for (const item of waiting.slice(0, PHOTOS)) {
      bytes += item.file.size;
      if (batch.length && bytes > BYTES) break;
      batch.push(item);
      item.status = "asking";
    }
    return batch;
  }

  async #ask(batch) {
    const form = new FormData();
    for (const item of batch) form.append("photos", item.file, item.name);
    try {
      const reply = await patiently(() => call("POST", "predict?top=5&nearest=6", { body: form }));
      batch.forEach((item, i) => {
        const answer = reply.answers[i];
        const problem = answer.error ? new Problem({ status: 422, detail: answer.error }) : null;
        Object.assign(item, { answer, problem, state: reply.state, status: problem ? "failed" : "answered" });
      });
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem({ detail: "This file cannot be read any more." });
      const answer = { file: null, error: problem.message };
      for (const item of batch) Object.assign(item, { problem, answer: { ...answer, file: item.name }, status: "failed" });
    }
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** A server that is busy is asked again when it says so. */
async function patiently(work) {
  for (let left = TIMES; ; left -= 1) {
    try {
      return await work();
    } catch (problem) {
      if (![429, 503].includes(problem.status) || !left) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 1000 * problem.wait));
    }
  }
}

export const questions = new Questions();
