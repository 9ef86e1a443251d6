// The dialogs that teach: a new class by its name and photos, more photos of a known one.
import { openDialog } from "./dialogs.js";
import { button, el } from "./dom.js";
import { Gather } from "./gather.js";
import { model } from "./model.js";
import { undoNote } from "./parts.js";
import { teachClass } from "./teaching.js";
import { asName, photos } from "./words.js";

const FEW = 3;
const ADVICE = "One photo is enough to begin with. Three to ten, of different examples, make it reliable.";

/** Teach a new class. */
export function newClass({ found = [], name = "" } = {}) {
  const field = el("input.field", { id: "new-name", type: "text", maxlength: 100, autocomplete: "off", spellcheck: "false", $value: name, placeholder: "For example robin" });
  const complaint = el("p.notice.doubt", { role: "status" });
  open("New class", found, {
    body: [el("div", {}, el("label.label", { for: "new-name" }, "Name"), field), complaint],
    name: () => asName(field.value),
    field,
    note: (dialogName) => {
      complaint.textContent = model.find(dialogName) ? "There is a class of this name: the photos are added to it." : "";
    },
  });
}

/** Teach more photos of a class. */
export function morePhotos(name, found = []) {
  open(["More photos of “", name, "”"], found, { body: [], name: () => name, field: null, note: () => {} });
}

function open(title, found, { body, name, field, note }) {
  const ready = () => {
    note(name());
    const number = gather.found.length;
    act.disabled = !number || !name();
    act.lastElementChild.textContent = number ? `Teach ${photos(number)}` : "Teach";
    const begins = number > 0 && number < FEW && !model.find(name());
    advice.textContent = begins ? ADVICE : undoNote(gather.found);
    advice.hidden = !advice.textContent;
  };
  const gather = new Gather(() => ready());
  const advice = el("p.soft.small", { role: "status" });
  const act = button("main", "check", "Teach", async () => {
    const [target, photosToTeach] = [name(), [...gather.found]];
    dialog.close();
    if (!(await teachClass(target, photosToTeach))) return;
  });
  field?.addEventListener("input", ready);
  field?.addEventListener("keydown", (event) => event.key === "Enter" && !act.disabled && act.click());
  const dialog = openDialog(title, [...body, gather.node, advice], {
    foot: [button("", null, "Cancel", () => dialog.close()), act],
    wide: true,
    onClose: () => gather.close(),
  });
  dialog.node.dataset.drop = "";
  dialog.node.receiver = gather.receiver;
  gather.add(found);
  field?.focus();
}
