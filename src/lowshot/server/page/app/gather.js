// A tray of photos to teach: dropped, pasted, chosen, taken, or a burst of the camera; each can be put away again.
import { Camera, cameraPossible, frameName } from "./camera.js";
import { button, el, round } from "./dom.js";
import { choose, isImage } from "./files.js";
import { preview } from "./preview.js";
import { photos } from "./words.js";

const SIDE = 480;
const BURST_EVERY = 300; // milliseconds: quicker frames hardly differ

export class Gather {
  found = [];
  #camera = new Camera();
  #urls = new Map();
  #timer = 0;
  #taken = 0;

  /** @param {() => void} changed is called after each change of the photos */
  constructor(changed) {
    this.changed = changed;
    this.tray = el("ul.tray");
    this.told = el("p.soft.small", { role: "status" });
    this.hint = el("p.notice.bad", { role: "alert" });
    this.live = el("div.burst", { hidden: true });
    const pick = async (options) => this.add(await choose(options));
    const touch = matchMedia("(pointer: coarse)").matches;
    this.zone = el(
      "div.tray-zone",
      { "data-drop": "" },
      el(
        "div.row",
        {},
        button("", "images", "Choose photos", () => pick({})),
        touch ? button("", "camera", "Take a photo", () => pick({ capture: true })) : null,
        cameraPossible() ? (this.toggle = button("", "video", "Camera", () => this.#toggle(), { "aria-expanded": "false" })) : null,
        el("span.soft.small.hint", {}, "or drop and paste them here"),
      ),
      this.live,
      this.tray,
    );
    this.zone.receiver = this.receiver = { words: "Drop to add photos", take: (found) => this.add(found) };
    this.node = el("div.gather", {}, this.zone, this.hint, this.told);
    this.#draw();
  }

  add(found) {
    this.found.push(...found.filter(({ file }) => isImage(file)));
    this.#draw();
    this.changed();
  }

  close() {
    this.#stop();
    for (const url of this.#urls.values()) URL.revokeObjectURL(url);
  }

  #draw() {
    this.told.textContent = this.found.length ? photos(this.found.length) : "";
    const tiles = this.found.map((one) => this.#tile(one));
    this.tray.replaceChildren(...tiles);
    this.tray.hidden = !tiles.length;
  }

  #tile(one) {
    if (!this.#urls.has(one.file)) this.#urls.set(one.file, URL.createObjectURL(one.file));
    const remove = () => {
      const at = this.found.indexOf(one);
      this.found.splice(at, 1);
      this.#draw();
      this.changed();
      (this.tray.children[Math.min(at, this.found.length - 1)]?.querySelector("button") ?? this.zone.querySelector("button")).focus();
    };
    return el("li", {}, preview(this.#urls.get(one.file), one.path), round("close", `Leave ${one.path} out`, remove));
  }

  async #toggle() {
    this.hint.textContent = "";
    if (this.#camera.running) return this.#stop();
    try {
      await this.#camera.start();
    } catch (error) {
      this.hint.textContent = error.message;
      return;
    }
    if (!this.node.isConnected) return this.#camera.stop(); // the dialog was closed meanwhile
    this.toggle.setAttribute("aria-expanded", "true");
    this.live.hidden = false;
    this.live.replaceChildren(this.#camera.video, el("div.burst-side", {}, this.#shutter(), el("p.soft.small", {}, "Hold it to take several. Turn the thing, and change the distance and the background between photos.")));
  }

  /** A press takes one photo; held, by pointer or by key, a few a second. */
  #shutter() {
    const start = () => {
      if (this.#timer) return;
      this.#take();
      this.#timer = setInterval(() => this.#take(), BURST_EVERY);
    };
    const stop = () => {
      clearInterval(this.#timer);
      this.#timer = 0;
    };
    const node = button("main", "camera", "Take a photo", () => {});
    node.addEventListener("pointerdown", start);
    node.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && start());
    for (const event of ["pointerup", "pointercancel", "pointerleave", "keyup", "blur"]) node.addEventListener(event, stop);
    return node;
  }

  async #take() {
    const blob = await this.#camera.frame(SIDE, 0.92);
    if (!blob) return;
    this.#taken += 1;
    this.add([{ file: blob, path: frameName(this.#taken) }].map((one) => ({ ...one, file: new File([one.file], one.path, { type: "image/jpeg" }) })));
  }

  #stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#camera.stop();
    this.live.hidden = true;
    this.toggle?.setAttribute("aria-expanded", "false");
  }
}
