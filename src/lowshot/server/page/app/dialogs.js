// Dialogs over the page; the browser keeps the focus inside and gives it back afterwards.
import { button, el, round, unique } from "./dom.js";

/**
 * Open a dialog.
 *
 * @param {string|Node|Array} title its heading
 * @param {Array<Node>} body what it holds
 * @param {{foot?: Array<Node>, wide?: boolean, closable?: boolean, onClose?: () => void}} options
 * @returns {{node: HTMLDialogElement, body: Element, foot: Element, close: () => void}}
 */
export function openDialog(title, body, { foot = [], wide = false, closable = true, onClose = () => {} } = {}) {
  const id = unique("title");
  const close = () => node.close();
  const inside = el("div.dialog-body", {}, ...body);
  const below = el("div.dialog-foot", {}, ...foot);
  const head = el("header.dialog-head", {}, el("h2.name", { id }, title), closable ? round("close", "Close", close) : null);
  const node = el(wide ? "dialog.dialog.wide" : "dialog.dialog", { "aria-labelledby": id }, head, inside, below);
  if (!closable) node.addEventListener("cancel", (event) => event.preventDefault());
  node.addEventListener("close", () => {
    node.remove();
    onClose();
  });
  document.body.append(node);
  node.showModal();
  return { node, body: inside, foot: below, close };
}

/** Ask before something is done, in one paragraph or several; resolves with true or false. */
export function confirmed(title, words, act, sign = "trash") {
  return new Promise((resolve) => {
    let answer = false;
    const yes = button("danger", sign, act, () => {
      answer = true;
      dialog.close();
    });
    const no = button("", null, "Keep", () => dialog.close());
    const dialog = openDialog(title, [words].flat().map((one) => el("p.name", {}, one)), { foot: [no, yes], onClose: () => resolve(answer) });
  });
}
