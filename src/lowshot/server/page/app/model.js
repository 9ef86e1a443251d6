// What the page knows of the recogniser. Other people change it as well: its state number is asked for every few seconds.
import { call, requests } from "./api.js";

const EVERY = 4000;
const LONGEST = 30000;

class Model extends EventTarget {
  health = null;
  known = []; // the classes, with counts and thumbnails
  undoable = null; // what an undo would take back, in the server's words
  gone = false;
  retryAt = 0;
  #state = null;
  #failures = 0;
  #timer = 0;
  #loading = null;

  /** Start asking; resolves after the first answer. */
  async start() {
    requests.addEventListener("gone", () => this.#silence());
    requests.addEventListener("answered", () => this.#answer());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.ask());
    await this.ask();
  }

  /** The number of the state that the classes and `undoable` are of. */
  get state() {
    return this.#state;
  }

  get canChange() {
    return Boolean(this.health) && !this.health.read_only;
  }

  get exported() {
    return this.health?.kind === "onnx";
  }

  get empty() {
    return this.health?.classes === 0;
  }

  names() {
    return this.known.map((one) => one.name);
  }

  find(name) {
    return this.known.find((one) => one.name === name);
  }

  /** Ask for the state number, and for the classes where it is another. */
  async ask() {
    clearTimeout(this.#timer);
    try {
      const health = await call("GET", "health");
      const before = JSON.stringify(this.health);
      if (health.state !== undefined) this.health = health; // without a token the server says no more than that it runs
      if (!this.health || health.state !== this.#state) await this.reload();
      else if (JSON.stringify(health) !== before) this.#tell("health");
    } catch {
      // the banner says so
    }
    this.#plan();
  }

  /** Fetch the classes; calls at the same time share one request. */
  reload() {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #load() {
    const reply = await call("GET", "classes");
    this.known = reply.classes;
    this.undoable = reply.undo ?? null;
    this.#state = reply.state;
    if (this.health) {
      const taught = reply.classes.reduce((sum, one) => sum + one.photos, 0);
      this.health = { ...this.health, state: reply.state, classes: reply.classes.length, photos: taught };
    }
    this.#tell("health");
    this.#tell("state");
  }

  #plan() {
    clearTimeout(this.#timer);
    const wait = this.gone ? Math.min(LONGEST, 1000 * 2 ** Math.min(this.#failures - 1, 5)) : EVERY;
    this.retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => (document.hidden ? this.#plan() : this.ask()), wait);
    if (this.gone) this.#tell("gone");
  }

  #silence() {
    this.#failures += 1;
    this.gone = true;
    this.#plan();
  }

  #answer() {
    const back = this.gone;
    this.#failures = 0;
    this.gone = false;
    if (back) this.#tell("back");
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

export const model = new Model();
