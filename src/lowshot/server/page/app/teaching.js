// Teaching photos: sends them, shows progress, asks what to do about damaged ones, and tells what became of them.
import { Problem, path } from "./api.js";
import { change } from "./changes.js";
import { openDialog } from "./dialogs.js";
import { button, el, named } from "./dom.js";
import { model } from "./model.js";
import { toast } from "./toast.js";
import { upload } from "./upload.js";
import { classes, few, photos, sentence } from "./words.js";

const QUIET = 500; // milliseconds before progress is shown

/**
 * Teach photos to one class, known or new.
 *
 * @param {string} name
 * @param {Array<{file: Blob, path: string}>} found
 * @returns {Promise<object|null>} the server's reply; null where nothing was taught
 */
export function teachClass(name, found) {
  const form = new FormData();
  const known = model.find(name);
  if (!known) form.append("name", name);
  for (const { file, path: where } of found) form.append("photos", file, where.split("/").at(-1));
  return teach(known ? `classes/${path(name)}/photos` : "classes", form, found.length);
}

/**
 * Teach photos to many classes in one change.
 *
 * @param {Map<string, File[]>} groups class → its photos
 */
export function teachClasses(groups) {
  const form = new FormData();
  let total = 0;
  for (const [name, files] of groups) {
    for (const file of files) form.append("photos", file, `${name}/${file.name}`);
    total += files.length;
  }
  return teach("classes", form, total);
}

async function teach(where, form, total) {
  const work = new Work(total);
  try {
    let reply;
    try {
      reply = await work.during(where, form);
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 422 || !problem.errors?.length) throw problem;
      if (problem.errors.length === total || !(await withoutDamaged(problem.errors, total))) {
        if (problem.errors.length === total) throw problem;
        return null;
      }
      reply = await work.during(`${where}?skip_bad=true`, form);
    }
    const left = [...(reply.repeated ?? []), ...(reply.unreadable ?? [])];
    if (!sum(reply.added)) {
      toast(`Nothing was taught: ${left.length ? few(left.map(words), 2) : "no photo was new"}.`, { bad: true });
      return null;
    }
    await change(async () => reply, said);
    if (left.length) leftOut(reply);
    return reply;
  } catch (problem) {
    if (problem.name === "AbortError") {
      await model.ask();
      toast("Cancelled. Nothing was taught.");
    } else if (problem instanceof Problem) {
      complain(problem);
    } else throw problem;
    return null;
  }
}

const sum = (added) => Object.values(added ?? {}).reduce((all, one) => all + one, 0);
const words = (one) => (typeof one === "string" ? one : [one.file, one.detail].filter(Boolean).join(": "));

function said({ added }) {
  const names = Object.keys(added);
  return names.length === 1 ? `Taught ${photos(sum(added))} to ${names[0]}.` : `Taught ${photos(sum(added))} to ${classes(names.length)}.`;
}

/** A request with its progress, in a dialog that appears where it takes long. */
class Work {
  constructor(total) {
    this.total = total;
  }

  async during(where, form) {
    const giveUp = new AbortController();
    const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress" });
    const line = el("p.soft.number", { role: "status" }, "Sending …");
    let dialog = null;
    let over = false;
    const show = () => {
      const cancel = button("", null, "Cancel", () => giveUp.abort());
      dialog = openDialog(`Teaching ${photos(this.total)}`, [el("div.progress", {}, bar, line)], {
        foot: [cancel],
        closable: false,
        onClose: () => over || giveUp.abort(),
      });
    };
    const timer = setTimeout(show, QUIET);
    const progress = ({ phase, done, of }) => {
      const share = of ? done / of : 0;
      bar.value = phase === "send" ? 0.2 * share : 0.2 + 0.8 * share;
      line.textContent = phase === "send" ? `Sending, ${Math.round(100 * share)} %` : `Learning ${done} of ${photos(of)}`;
    };
    try {
      return await upload(where, form, { progress, signal: giveUp.signal });
    } finally {
      over = true;
      clearTimeout(timer);
      dialog?.close();
    }
  }
}

const listed = (lines) => el("ul.lines", { tabindex: 0, "aria-label": "Photos" }, ...lines.map((line) => named(line, "li")));

/** Damaged photos are named; resolves with true where the others are to be taught. */
function withoutDamaged(errors, total) {
  return new Promise((resolve) => {
    let answer = false;
    const rest = button("main", "check", `Leave them out, teach the other ${total - errors.length}`, () => {
      answer = true;
      dialog.close();
    });
    const title = `${photos(errors.length)} cannot be read`;
    const body = [el("p", {}, "Nothing has been taught yet."), listed(errors.map(words))];
    const dialog = openDialog(title, body, { foot: [button("", null, "Cancel", () => dialog.close()), rest], onClose: () => resolve(answer) });
  });
}

function leftOut(reply) {
  const body = [];
  if (reply.repeated?.length) body.push(el("h3", {}, "Known already, and left out"), listed(reply.repeated.map(words)));
  if (reply.unreadable?.length) body.push(el("h3", {}, "Not readable, and left out"), listed(reply.unreadable.map(words)));
  const dialog = openDialog(said(reply).replace(/\.$/, ""), body, { foot: [button("main", null, "Good", () => dialog.close())] });
}

function complain(problem) {
  const body = [el("p", {}, sentence(problem.message))];
  if (problem.errors?.length) body.push(listed(problem.errors.map(words)));
  const dialog = openDialog("Nothing was taught", body, { foot: [button("main", null, "Close", () => dialog.close())] });
}
