// A folder of class folders: what it holds is shown before anything is taught.
import { openDialog } from "./dialogs.js";
import { button, el, named } from "./dom.js";
import { classFolders } from "./files.js";
import { model } from "./model.js";
import { newClass } from "./new_class.js";
import { undoNote } from "./parts.js";
import { preview } from "./preview.js";
import { teachClasses } from "./teaching.js";
import { toast } from "./toast.js";
import { classes, count, photos } from "./words.js";

const PICTURES = 4;

/** Photos that were dropped on the classes: folders are previewed, single photos get a name. */
export function importFound(found) {
  const { groups, loose, others } = classFolders(found);
  if (!groups.size && !loose.length) {
    if (found.length) toast("There is no photo in it.", { bad: true });
  } else if (groups.size) previewFolders(groups, loose, others);
  else newClass({ found: loose.map((file) => ({ file, path: file.name })) });
}

function previewFolders(groups, loose, others) {
  const urls = [];
  const names = [...groups.keys()].sort((a, b) => a.localeCompare(b));
  const taken = new Set(names);
  const act = button("main", "check", "", () => {
    dialog.close();
    teachClasses(new Map(names.filter((name) => taken.has(name)).map((name) => [name, groups.get(name)])));
  });
  const total = () => names.filter((name) => taken.has(name)).reduce((sum, name) => sum + groups.get(name).length, 0);
  const note = el("p.soft.small", { role: "status" });
  const ready = () => {
    note.textContent = undoNote(names.filter((name) => taken.has(name)).flatMap((name) => groups.get(name).map((file) => ({ file }))));
    note.hidden = !note.textContent;
    act.disabled = !taken.size;
    act.lastElementChild.textContent = `Teach ${photos(total())} of ${classes(taken.size)}`;
  };
  const rows = names.map((name) => {
    const files = groups.get(name);
    const pictures = files.slice(0, PICTURES).map((file) => {
      urls.push(URL.createObjectURL(file));
      return preview(urls.at(-1), "");
    });
    const box = el("input", { type: "checkbox", $checked: true, on: { change: () => { taken[box.checked ? "add" : "delete"](name); ready(); } } });
    const known = model.find(name) ? el("span.tag", {}, "known") : el("span.tag.fresh", {}, "new");
    return el("li", {}, el("label.import-row", {}, box, el("span.import-name", {}, named(name), el("span.soft.small.number", {}, photos(files.length)), known), el("span.strip", { "aria-hidden": "true" }, ...pictures)));
  });
  const aside = [];
  if (loose.length) aside.push(`${photos(loose.length)} in no class folder`);
  if (others) aside.push(others === 1 ? "1 file that is no photo" : `${count(others, "file")} that are no photos`);
  const body = [
    el("p.soft", {}, "Each folder becomes a class. Photos of a known class are added to it."),
    el("ul.import", { tabindex: 0, "aria-label": "Classes in the folder" }, ...rows),
    aside.length ? el("p.soft.small", {}, `Left out: ${aside.join(", ")}.`) : null,
    note,
  ].filter(Boolean);
  const dialog = openDialog(`${classes(names.length)} in this folder`, body, {
    foot: [button("", null, "Cancel", () => dialog.close()), act],
    wide: true,
    onClose: () => urls.forEach((url) => URL.revokeObjectURL(url)),
  });
  ready();
}
