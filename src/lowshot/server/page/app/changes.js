// Changes of the recogniser: each says what it did, with a way back, and refreshes what the page knows.
import { call } from "./api.js";
import { model } from "./model.js";
import { toast } from "./toast.js";
import { sentence } from "./words.js";

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
    said(typeof words === "function" ? words(reply) : words);
    await refresh();
    return reply;
  } catch (problem) {
    complain(sentence(problem.message));
    return null;
  }
}

/** Tell of a change that was made, in so many steps. */
export function said(words, steps = 1) {
  toast(words, { act: { words: "Undo", click: () => undo(steps) } });
}

/** Take back the last changes, whoever made them. */
export async function undo(steps = 1) {
  if (!model.canChange) return;
  try {
    const undone = [];
    for (let i = 0; i < steps; i += 1) undone.push((await call("POST", "undo")).undone);
    toast(`Undone: ${undone.join("; ")}`);
    await refresh();
  } catch (problem) {
    toast(sentence(problem.message), { bad: true });
  }
}

/** The change was made; that the classes cannot be fetched just now is another matter, which the banner tells of. */
export const refresh = () => model.reload().catch(() => {});
