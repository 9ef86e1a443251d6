// Short messages at the foot of the page, the last one with a way to take the change back.
import { el, round } from "./dom.js";

const STAYS = 12000;
const place = () => document.getElementById("toasts");

/**
 * Show a message, in place of the one before.
 *
 * @param {string} words the message
 * @param {object} options `act` {words, click}: a button; `bad`: an error
 */
export function toast(words, { act = null, bad = false } = {}) {
  let timer = 0;
  const leave = () => {
    clearTimeout(timer);
    node.remove();
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(leave, STAYS);
  };
  const acting = act && el("button.button.slim", { on: { click: () => { leave(); act.click(); } } }, act.words);
  const node = el(bad ? "div.toast.bad" : "div.toast", {}, el("p", {}, words), acting, round("close", "Close", leave));
  for (const event of ["pointerenter", "focusin"]) node.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) node.addEventListener(event, wait);
  place().replaceChildren(node);
  wait();
}
