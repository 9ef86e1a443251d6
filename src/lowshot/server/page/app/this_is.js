// "This is …": choose a class by name, or give the name of a new one.
import { openDialog } from "./dialogs.js";
import { el, icon, unique } from "./dom.js";
import { model } from "./model.js";
import { taughtPhoto } from "./preview.js";
import { asName, photos } from "./words.js";

const SHOWN = 60;

/**
 * Ask for a class.
 *
 * @param {{title?: string, first?: string[], without?: string}} options `first`: likely classes, offered first
 * @returns {Promise<string|null>} the name of a known or of a new class; null where the user went away
 */
export function chooseClass({ title = "This is …", first = [], without = null } = {}) {
  return new Promise((resolve) => {
    let chosen = null;
    const list = el("ul.options", { id: unique("options"), role: "listbox", "aria-label": "Classes" });
    const field = el("input.field", {
      id: unique("class"), type: "text", role: "combobox", autocomplete: "off", maxlength: 100, spellcheck: "false",
      "aria-expanded": "true", "aria-controls": list.id, "aria-autocomplete": "list", placeholder: "Find a class, or name a new one",
    });
    const label = el("label.unseen", { for: field.id }, "Class");
    let active = 0;
    let options = [];

    const take = (name) => {
      chosen = name;
      dialog.close();
    };
    const mark = (at) => {
      active = Math.max(0, Math.min(options.length - 1, at));
      options.forEach((one, i) => one.setAttribute("aria-selected", String(i === active)));
      if (options.length) field.setAttribute("aria-activedescendant", options[active].id);
      else field.removeAttribute("aria-activedescendant");
      options[active]?.scrollIntoView({ block: "nearest" });
    };
    const draw = () => {
      const wanted = asName(field.value);
      const found = matching(wanted, first).filter((one) => one.name !== without);
      options = found.slice(0, SHOWN).map((one) => known(one, take));
      if (wanted && !model.find(wanted)) options.push(fresh(wanted, take));
      list.replaceChildren(...options);
      list.hidden = !options.length;
      mark(0);
    };
    field.addEventListener("input", draw);
    field.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) mark(active + step);
      else if (event.key === "Enter") options[active]?.click();
      else return;
      event.preventDefault();
    });
    const dialog = openDialog(title, [label, field, list], { onClose: () => resolve(chosen) });
    dialog.node.classList.add("chooser");
    draw();
    field.focus();
  });
}

/** Classes whose names hold the text; those that begin with it first, before all others the likely ones. */
function matching(text, first) {
  const wanted = text.toLocaleLowerCase();
  const rank = ({ name }) => {
    const likely = first.indexOf(name);
    if (likely >= 0) return likely - first.length;
    return name.toLocaleLowerCase().startsWith(wanted) ? 0 : 1;
  };
  return model.known
    .filter((one) => !one.base && one.name.toLocaleLowerCase().includes(wanted))
    .sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

function known(one, take) {
  const picture = one.thumbnails[0]
    ? taughtPhoto(one.thumbnails[0], "", 40)
    : el("span.no-picture", {}, icon("image"));
  return option(one.name, take, picture, el("span.name", {}, one.name), el("span.soft.small", {}, photos(one.photos)));
}

function fresh(name, take) {
  return option(name, take, el("span.no-picture.new", {}, icon("plus")), el("span.name", {}, "New class “", name, "”"));
}

const option = (name, take, ...inside) =>
  el("li", { id: unique("option"), role: "option", "aria-selected": "false", on: { click: () => take(name) } }, ...inside);
