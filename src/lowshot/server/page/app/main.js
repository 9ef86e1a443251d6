// Starts the page: the header, the banner, the keyboard, and the view that the address names.
import { requests } from "./api.js";
import { AskView } from "./ask.js";
import { undoLast } from "./changes.js";
import { CheckView } from "./check.js";
import { ClassPage } from "./class_page.js";
import { ClassesView } from "./classes.js";
import { button } from "./dom.js";
import { receiveDrops } from "./drop.js";
import { login, signOut } from "./login.js";
import { model } from "./model.js";
import { themeButton } from "./theme_button.js";
import { toast } from "./toast.js";
import { classes, photos, sentence } from "./words.js";

const $ = (id) => document.getElementById(id);
const views = { ask: new AskView(), classes: new ClassesView(), class: new ClassPage(), check: new CheckView() };
let shown = null;

/** The view and its argument that an address names: #ask, #classes, #classes/robin, #check. */
function route() {
  const [first, second] = location.hash.slice(1).split("/");
  if (first === "classes" && second) {
    try {
      return ["class", decodeURIComponent(second)];
    } catch {
      return ["classes"]; // a broken address
    }
  }
  return [first in views && first !== "class" ? first : "ask"];
}

function go(focus) {
  if (!model.health) return; // nothing is known yet: the server is silent, or wants a token
  for (const dialog of document.querySelectorAll("dialog[open]:not(.narrow)")) dialog.close(); // by the button "back"
  const [name, argument] = route();
  const view = views[name];
  if (shown !== view) {
    shown?.hide();
    shown = view;
    $("main").replaceChildren(view.node);
  }
  view.show(argument);
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.dataset.view === (name === "class" ? "classes" : name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = [view.title, model.health?.recogniser].filter(Boolean).join(" · ") || "lowshot";
  if (!focus) return;
  scrollTo(0, 0);
  view.node.querySelector("h1:not([hidden])")?.focus({ preventScroll: true });
}

function drawHeader() {
  const { health } = model;
  if (!health) return;
  $("recogniser").textContent = health.recogniser;
  $("version").textContent = `lowshot ${health.version}`;
  $("counts").textContent = health.photos ? `${classes(health.classes)} · ${photos(health.photos)}` : classes(health.classes);
  $("read-only").hidden = model.canChange;
  $("read-only").title = model.exported ? "An exported file cannot be changed" : "Whoever started this server switched changes off";
  $("sign-out").hidden = !health.token;
  const undoButton = $("undo");
  undoButton.hidden = !model.canChange || !model.undoable;
  undoButton.title = `Undo: ${model.undoable}`;
  undoButton.setAttribute("aria-label", `Undo: ${model.undoable}`);
}

const retry = button("slim", null, "Try now", () => model.ask());

function drawBanner() {
  const stale = model.health?.status === "stale";
  const banner = $("banner");
  banner.hidden = !model.gone && !stale;
  const seconds = Math.max(1, Math.round((model.retryAt - Date.now()) / 1000));
  const silent = `The server does not answer. Trying again in ${seconds} s.`;
  const old = sentence(model.health?.detail ?? "The recogniser cannot be read any more.");
  banner.querySelector("span:not(.icon)").textContent = banner.hidden ? "" : model.gone ? silent : old;
  if (retry.parentNode !== banner) banner.append(retry);
  retry.hidden = !model.gone;
}

function keys(event) {
  const typing = event.target.closest("input, textarea, [contenteditable]");
  if (typing || document.querySelector("dialog[open]") || event.shiftKey || event.altKey) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    if (!event.repeat) undoLast(); // a key that is held means one change
  }
}

/** A dialog that takes photos gets those that are pasted while it is open. */
const receiver = () => {
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
  return dialog ? (dialog.receiver ?? null) : (shown?.receiver ?? null);
};

async function start() {
  themeButton($("theme"));
  // Nothing brings back what was undone: a second click of a double one, and a key that is held, undo nothing more.
  $("undo").addEventListener("click", (event) => event.detail < 2 && undoLast());
  $("undo").addEventListener("keydown", (event) => event.repeat && event.preventDefault());
  $("sign-out").addEventListener("click", () => signOut().catch((problem) => toast(sentence(problem.message), { bad: true })));
  document.addEventListener("keydown", keys);
  receiveDrops(receiver);
  requests.addEventListener("token", () => login().then(() => model.ask()));
  for (const event of ["health", "state"]) model.addEventListener(event, drawHeader);
  for (const event of ["gone", "back", "health"]) model.addEventListener(event, drawBanner);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // its address is no view
    $("main").focus();
  });
  addEventListener("hashchange", () => go(true));
  model.addEventListener("state", () => shown ?? go(false));
  await model.start();
}

start();
