// Changes of the recogniser: each says what it did, with a way back, and refreshes what the page knows.
import { call } from "./api.js";
import { confirmed } from "./dialogs.js";
import { FEW, losses } from "./losses.js";
import { model } from "./model.js";
import { toast } from "./toast.js";
import { classes, few, photos, sentence } from "./words.js";

/**
 * Make a change.
 *
 * @param {() => Promise<object>} work the request
 * @param {string | ((reply: object) => string)} words what to say of it
 * @param {(message: string) => void} complain shows an error next to what was changed; none shows a toast
 * @returns {Promise<object|null>} the reply, null where it failed
 */
export async function change(work, words, complain = (message) => toast(message, { bad: true })) {
  try {
    const reply = await work();
    said(typeof words === "function" ? words(reply) : words, { state: reply.state });
    await refresh();
    return reply;
  } catch (problem) {
    complain(sentence(problem.message));
    return null;
  }
}

/**
 * Tell of a change that was made.
 *
 * @param {string} words the change
 * @param {{state: number, steps?: number, taught?: number}} what the state after it, the number of changes that it took,
 *   0 where they cannot be undone together, and the number of photos that were taught
 */
export function said(words, { state, steps = 1, taught = 0 }) {
  const back = () => undo({ state, steps, change: words, lost: { photos: taught, classes: [] } });
  toast(words, { act: steps ? { words: "Undo", click: back } : null });
}

/** Undo the last change that the page knows of, whoever made it. */
export function undoLast() {
  if (!model.undoable) return model.canChange && toast("There is nothing to undo.");
  return undo({ state: model.state, change: `${sentence(model.undoable)}.`, lost: losses(model.undoable, model.known) });
}

let undoing = false;

/** One undo at a time: a second press before the first is answered means the same change. */
async function undo({ state, steps = 1, change: what, lost }) {
  if (!model.canChange || undoing) return;
  undoing = true;
  try {
    if (await agreed(what, lost)) await takeBack(state, steps);
  } finally {
    undoing = false;
  }
}

/** Ask before photos are lost that would take a while to teach again; nothing brings back what was undone. */
function agreed(what, lost) {
  if (lost.photos <= FEW && !lost.classes.length) return true;
  const all = [photos(lost.photos), lost.classes.length && named(lost.classes)].filter(Boolean).join(" and ");
  const words = [what, `Undoing this forgets ${all}. That cannot be undone: they would have to be taught again.`];
  return confirmed("Undo the last change?", words, "Undo it", "undo");
}

const named = (names) =>
  names.length > FEW ? classes(names.length) : `the ${names.length === 1 ? "class" : "classes"} ${few(names.map((name) => `“${name}”`))}`;

/** Undo changes from the state on that they led to: the server refuses where it has another by now. */
async function takeBack(state, steps) {
  const undone = [];
  let at = state;
  try {
    while (undone.length < steps) {
      const reply = await call("POST", `undo?state=${at}`);
      undone.push(reply.undone);
      at = reply.state;
    }
    toast(`Undone: ${undone.join("; ")}`);
    await refresh();
  } catch (problem) {
    await refresh();
    const before = undone.length ? `Undone: ${undone.join("; ")}. Not the rest: ` : "Nothing was undone: ";
    const last = model.undoable ? ` The last change is now: ${model.undoable}.` : "";
    const moved = problem.status === 409 && model.state !== at;
    toast(before + (moved ? `something else was changed since.${last}` : problem.message), { bad: true });
  }
}

/** The change was made; that the classes cannot be fetched just now is another matter, which the banner tells of. */
export const refresh = () => model.reload().catch(() => {});
