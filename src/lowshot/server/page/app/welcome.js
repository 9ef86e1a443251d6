// The text beside the empty finder: what the recogniser knows, or what to do where it knows nothing yet.
import { button, el } from "./dom.js";
import { model } from "./model.js";
import { taughtPhoto } from "./preview.js";
import { classes } from "./words.js";

const SHOWN = 12;

export function welcome() {
  if (model.empty) return model.canChange ? firstSteps() : [el("h2.verdict", {}, "Nothing taught yet"), el("p.soft", {}, "This recogniser knows no class, and cannot be changed here.")];
  const shown = model.known.slice(0, SHOWN);
  const more = model.known.length - shown.length;
  return [
    el("h2.verdict", {}, "What does the photo show?"),
    el("p.lead", {}, `It will be one of the ${classes(model.known.length)} below, or none of them.`),
    el(
      "ul.chips",
      {},
      ...shown.map((one) =>
        el("li.chip", {}, one.thumbnails[0] ? taughtPhoto(one.thumbnails[0], "", 36) : null, el("span.name", {}, one.name)),
      ),
      more > 0 ? el("li", {}, el("a.chip.more", { href: "#classes" }, `${more.toLocaleString("en")} more`)) : null,
    ),
  ];
}

function firstSteps() {
  return [
    el("h2.verdict", {}, "Teach it something first"),
    el("p.lead", {}, "It takes a minute, and nothing is sent to anybody else."),
    el(
      "ol.steps",
      {},
      el("li", {}, el("strong", {}, "Name a class "), "and give it three to ten photos of different examples."),
      el("li", {}, el("strong", {}, "Do the same for a second one. "), "It learns by telling classes apart."),
      el("li", {}, el("strong", {}, "Ask. "), "Come back here and drop a photo that it has never seen."),
    ),
    el("div.row", {}, button("main", "plus", "Teach the first class", () => { location.hash = "#classes"; })),
    el("p.soft.small", {}, "Do your photos lie in folders, one for each class? Drop the whole folder on “Classes”."),
  ];
}
