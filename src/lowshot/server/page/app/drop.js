// Photos can be dropped anywhere in the window, and pasted; the view that is shown says what becomes of them.
import { el } from "./dom.js";
import { dropped } from "./files.js";

/**
 * Listen.
 *
 * @param {() => {words: string, take: (found: Array) => void} | null} receiver what the view does with photos, null: nothing
 */
export function receiveDrops(receiver) {
  const over = el("div.drop-over", { hidden: true });
  document.body.append(over);
  let depth = 0;
  const hide = () => {
    depth = 0;
    over.hidden = true;
  };
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const target = (event) => event.target.closest?.("[data-drop]")?.receiver ?? receiver();

  document.addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    depth += 1;
    const words = target(event)?.words;
    over.hidden = !words;
    over.textContent = words ?? "";
  });
  document.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) hide();
  });
  document.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault(); // else the browser opens the file in place of the page
    event.dataTransfer.dropEffect = target(event) ? "copy" : "none";
  });
  document.addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    hide();
    const taker = target(event);
    if (taker) taker.take(await dropped(event.dataTransfer));
  });
  document.addEventListener("paste", async (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    const taker = receiver();
    if (taker) taker.take(await dropped(event.clipboardData));
  });
}
