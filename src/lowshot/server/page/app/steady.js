// A steady answer from the answers for single frames: probabilities averaged over time, and a class that stays on show
// until another one is clearly ahead of it.

const MEMORY = 450; // milliseconds after which a frame counts a third
const LEAD = 0.12; // by how much another class must be ahead
const UNKNOWN_FROM = 0.65; // the share of recent frames that are unknown from which on the answer is "I don't know"
const KNOWN_FROM = 0.35; // and below which it is a class again
const LEAST = 0.002; // classes below this are forgotten

export class Steady {
  #mean = new Map();
  #unknown = null;
  #shown = null;
  #isUnknown = false;
  #last = 0;

  /**
   * @param {{class: string, unknown: boolean, top: Array<{class: string, probability: number}>}} answer of one frame
   * @param {number} now its time in milliseconds
   * @returns {object} an answer with the fields class, probability, unknown and top
   */
  add(answer, now) {
    const keep = this.#unknown === null ? 0 : Math.exp((this.#last - now) / MEMORY);
    this.#last = now;
    const fresh = new Map(answer.top.map((one) => [one.class, one.probability]));
    for (const name of new Set([...this.#mean.keys(), ...fresh.keys()])) {
      const value = keep * (this.#mean.get(name) ?? 0) + (1 - keep) * (fresh.get(name) ?? 0);
      if (value < LEAST) this.#mean.delete(name);
      else this.#mean.set(name, value);
    }
    this.#unknown = keep * (this.#unknown ?? 0) + (1 - keep) * Number(answer.unknown);
    if (this.#isUnknown ? this.#unknown < KNOWN_FROM : this.#unknown > UNKNOWN_FROM) this.#isUnknown = !this.#isUnknown;

    const top = [...this.#mean].map(([name, probability]) => ({ class: name, probability }));
    top.sort((a, b) => b.probability - a.probability);
    const held = this.#mean.get(this.#shown) ?? -1;
    if (held < 0 || top[0].probability > held + LEAD) this.#shown = top[0].class;
    return {
      class: this.#shown,
      probability: this.#mean.get(this.#shown),
      unknown: this.#isUnknown,
      top: top.slice(0, 5),
    };
  }
}
