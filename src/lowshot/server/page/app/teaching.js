// Teaching photos: sends them, shows progress, asks what to do about damaged ones, and tells what became of them.
import { Problem, path } from "./api.js";
import { refresh, said } from "./changes.js";
import { model } from "./model.js";
import { UNDOABLE, parts } from "./parts.js";
import { toast } from "./toast.js";
import { Work, leftOut, nothingTaught, withoutDamaged } from "./teaching_dialogs.js";
import { upload } from "./upload.js";
import { classes, few, photos } from "./words.js";

const AGAIN = Symbol("again");

/**
 * Teach photos to one class, known or new.
 *
 * @param {string} name
 * @param {Array<{file: Blob, path: string}>} found
 * @returns {Promise<boolean>} true where something was taught
 */
export function teachClass(name, found) {
  const sent = found.map(({ file, path: where }) => ({ file, name: where.split("/").at(-1) }));
  return teach(sent, () => (model.find(name) ? [`classes/${path(name)}/photos`, null] : ["classes", name]));
}

/**
 * Teach photos to many classes.
 *
 * @param {Map<string, File[]>} groups class → its photos
 */
export function teachClasses(groups) {
  const sent = [...groups].flatMap(([name, files]) => files.map((file) => ({ file, name: `${name}/${file.name}` })));
  return teach(sent, () => ["classes", null]);
}

/** @param {() => [string, string|null]} target the path, and the name of a new class; asked anew for each part */
async function teach(sent, target) {
  const work = new Work(sent.length);
  const sum = { added: {}, repeated: [], unreadable: [], states: [] };
  const plan = { skipBad: false };
  const queue = parts(sent);
  try {
    for (let part; (part = queue.shift()); ) {
      const reply = await teachPart(part, target, work, plan).catch(halved(part, queue));
      if (reply === AGAIN) continue;
      if (!reply) break; // the user would rather have none than without the damaged photos
      add(sum, reply);
      work.finished += part.length;
      await refresh();
    }
  } catch (problem) {
    if (problem.name === "AbortError") {
      await model.ask();
      toast(sum.states.length ? "Cancelled. What was taught by then stays." : "Cancelled.");
    } else if (problem instanceof Problem) nothingTaught(problem, sum.states.length > 0);
    else throw problem;
  } finally {
    work.close();
  }
  tell(sum);
  return total(sum.added) > 0;
}

/** What the server finds too large it gets in two halves: it may have been started with lower limits. */
const halved = (part, queue) => (problem) => {
  if (problem.status !== 413 || part.length < 2) throw problem;
  const middle = Math.ceil(part.length / 2);
  queue.unshift(part.slice(0, middle), part.slice(middle));
  return AGAIN;
};

async function teachPart(part, target, work, plan) {
  const [where, name] = target();
  const form = new FormData();
  if (name !== null) form.append("name", name);
  for (const one of part) form.append("photos", one.file, one.name);
  const send = () => upload(plan.skipBad ? `${where}?skip_bad=true` : where, form, work.options());
  try {
    return await send();
  } catch (problem) {
    const damaged = problem instanceof Problem && problem.status === 422 ? (problem.errors ?? []) : [];
    if (plan.skipBad || !damaged.length || damaged.length === part.length) throw problem;
    work.close();
    plan.skipBad = await withoutDamaged(damaged, work.total - work.finished);
    return plan.skipBad ? send() : null;
  }
}

function add(sum, reply) {
  for (const [name, number] of Object.entries(reply.added)) sum.added[name] = (sum.added[name] ?? 0) + number;
  sum.repeated.push(...(reply.repeated ?? []));
  sum.unreadable.push(...(reply.unreadable ?? []));
  if (total(reply.added)) sum.states.push(reply.state);
}

const total = (added) => Object.values(added).reduce((all, one) => all + one, 0);

function tell(sum) {
  const left = [...sum.repeated, ...sum.unreadable];
  const names = Object.keys(sum.added).filter((name) => sum.added[name]);
  if (!names.length) {
    if (left.length) toast(`Nothing was taught: ${few(left, 2)}.`, { bad: true });
    return;
  }
  const words = `Taught ${photos(total(sum.added))} to ${names.length === 1 ? names[0] : classes(names.length)}.`;
  const { steps, why } = together(sum.states);
  said([words, why].filter(Boolean).join(" "), { state: sum.states.at(-1), steps, taught: total(sum.added) });
  if (left.length) leftOut(words, sum);
}

/** The number of changes that one undo takes back, 0 where it cannot take back all of a teaching, and then why. */
function together(states) {
  const steps = states.length;
  if (steps > UNDOABLE) return { steps: 0, why: `That took ${steps} changes; the last ${UNDOABLE} can be undone, one by one.` };
  if (states.at(-1) - states[0] !== steps - 1) return { steps: 0, why: "Something else was changed meanwhile: undo one by one." };
  return { steps, why: "" };
}
