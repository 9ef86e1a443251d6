// One class: its photos, its name, and everything that can be done with them.
import { call, path } from "./api.js";
import { change } from "./changes.js";
import { confirmed } from "./dialogs.js";
import { button, el, icon, round } from "./dom.js";
import { model } from "./model.js";
import { morePhotos } from "./new_class.js";
import { taughtPhoto } from "./preview.js";
import { chooseClass } from "./this_is.js";
import { asName, basename, photos, sentence } from "./words.js";

export class ClassPage {
  #name = "";
  #digests = new Set(); // of its photos, by which it is found under another name
  #editing = false;

  constructor() {
    this.heading = el("h1.name", { tabindex: -1 });
    this.rename = el("form.rename", { hidden: true });
    this.complaint = el("p.notice.bad", { role: "alert" });
    this.sum = el("p");
    this.actions = el("div.row");
    this.photos = el("ul.photos");
    const back = el("a.back", { href: "#classes" }, icon("back"), "All classes");
    this.node = el("div", {}, back, el("div.view-head", {}, el("div.grow", {}, this.heading, this.rename, this.complaint, this.sum), this.actions), this.photos);
    model.addEventListener("state", () => this.node.isConnected && this.#load());
    model.addEventListener("health", () => this.node.isConnected && this.#drawActions());
  }

  get title() {
    return this.#name;
  }

  show(name) {
    this.#name = name;
    this.#endRename();
    this.heading.textContent = name;
    this.complaint.textContent = "";
    this.sum.textContent = "";
    this.photos.replaceChildren();
    this.#digests.clear();
    this.#drawActions();
    return this.#load();
  }

  hide() {}

  get receiver() {
    const name = this.#name;
    return model.canChange ? { words: `Drop to add photos to ${name}`, take: (found) => morePhotos(name, found) } : null;
  }

  async #load() {
    const name = this.#name;
    if (model.known.length && !model.find(name)) {
      const now = this.#renamed();
      location.replace(now ? `#classes/${path(now)}` : "#classes"); // the hash changes, and the other view is shown
      return;
    }
    try {
      const found = await call("GET", `classes/${path(name)}`);
      if (name === this.#name) this.#draw(found.photos);
    } catch (problem) {
      if (name !== this.#name) return;
      if (problem.status === 404) location.replace("#classes");
      else this.complaint.textContent = sentence(problem.message);
    }
  }

  /** The class that has the photos of this one, undefined where there is none: it was renamed, or that was undone. */
  #renamed() {
    const same = (one) => one.photos === this.#digests.size && one.thumbnails.length && one.thumbnails.every((digest) => this.#digests.has(digest));
    return this.#digests.size ? model.known.find((one) => !one.base && same(one))?.name : undefined;
  }

  #draw(all) {
    this.#digests = new Set(all.map((one) => one.digest));
    this.sum.textContent = photos(all.length);
    const at = [...this.photos.children].findIndex((tile) => tile.contains(document.activeElement));
    this.photos.replaceChildren(...all.map((one) => this.#tile(one)));
    if (at >= 0) this.photos.children[Math.min(at, all.length - 1)]?.querySelector("button")?.focus();
  }

  #tile({ photo, digest }) {
    const file = basename(photo);
    const where = `classes/${path(this.#name, "photos", digest)}`;
    const remove = () => change(() => call("DELETE", where), `Removed ${file} from ${this.#name}.`);
    const move = async () => {
      const target = await chooseClass({ title: "Move the photo to …", without: this.#name });
      if (target) change(() => call("PATCH", where, { json: { class: target } }), `Moved ${file} to ${target}.`);
    };
    return el(
      "li.photo",
      {},
      taughtPhoto(digest, file, 96, { title: file, loading: "lazy" }),
      model.canChange ? el("span.photo-acts", {}, round("move", `Move ${file} to another class`, move), round("trash", `Remove ${file}`, remove)) : null,
    );
  }

  #drawActions() {
    this.actions.hidden = !model.canChange;
    if (this.actions.children.length) return;
    this.actions.append(
      button("main", "plus", "Add photos", () => morePhotos(this.#name)),
      button("", "edit", "Rename", () => this.#startRename()),
      button("danger", "trash", "Remove", () => this.#remove()),
    );
  }

  #startRename() {
    this.#editing = true;
    const field = el("input.field", { type: "text", maxlength: 100, $value: this.#name, "aria-label": "New name of the class", autocomplete: "off", spellcheck: "false" });
    const save = el("button.button.main", { $type: "submit" }, "Save");
    this.rename.replaceChildren(field, save, button("quiet", null, "Cancel", () => this.#endRename(true)));
    this.rename.onsubmit = (event) => {
      event.preventDefault();
      this.#save(asName(field.value));
    };
    this.rename.onkeydown = (event) => {
      if (event.key === "Escape") this.#endRename(true);
    };
    this.rename.hidden = false;
    this.heading.hidden = true;
    field.select();
  }

  #endRename(focus = false) {
    if (!this.#editing) return;
    this.#editing = false;
    this.rename.hidden = true;
    this.heading.hidden = false;
    this.complaint.textContent = "";
    if (focus) this.heading.focus();
  }

  async #save(name) {
    const before = this.#name;
    if (!name || name === before) return this.#endRename(true);
    const complain = (message) => {
      this.complaint.textContent = message;
    };
    const work = async () => {
      const reply = await call("PATCH", `classes/${path(before)}`, { json: { name } });
      this.#name = name; // before the classes are fetched again, which would not find the old one
      return reply;
    };
    const reply = await change(work, `Renamed ${before} to ${name}.`, complain);
    if (!reply) return;
    this.#endRename();
    this.heading.textContent = name;
    history.replaceState(null, "", `#classes/${path(name)}`);
    this.heading.focus();
  }

  async #remove() {
    const name = this.#name;
    const number = model.find(name)?.photos ?? 0;
    if (!(await confirmed(["Remove “", name, "”?"], `Its ${photos(number)} go with it. You can undo this.`, "Remove the class"))) return;
    const reply = await change(() => call("DELETE", `classes/${path(name)}`), `Removed ${name}.`);
    if (reply) location.hash = "#classes";
  }
}
