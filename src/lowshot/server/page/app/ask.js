// The view "Ask": a photo or the camera on one side, the answer on the other, all asked photos below.
import { AnswerPanel } from "./answer_panel.js";
import { Asked } from "./asked.js";
import { Camera, cameraPossible, cameras, frameName } from "./camera.js";
import { button, el, icon, round } from "./dom.js";
import { choose, isImage } from "./files.js";
import { answerFrames } from "./live.js";
import { model } from "./model.js";
import { preview } from "./preview.js";
import { questions } from "./questions.js";
import { teachClass } from "./teaching.js";
import { chooseClass } from "./this_is.js";
import { toast } from "./toast.js";
import { welcome } from "./welcome.js";

const touch = () => matchMedia("(pointer: coarse)").matches;

const SIDE = 720; // of a photo that is taken with the camera
const NEIGHBOURS_EVERY = 1200; // milliseconds between changes of the nearest photos of a camera's answers

export class AskView {
  title = "Ask";
  #camera = new Camera();
  #live = null; // stops the answers for frames
  #liveAnswer = null;
  #shown = null; // the photo in the finder
  #asked = new Asked();
  #panel = new AnswerPanel({
    confirm: (name) => this.#teach(name),
    correct: () => this.#correct(),
    again: () => questions.selected && questions.again([questions.selected]),
  });

  constructor() {
    this.#build();
    questions.addEventListener("change", () => this.#draw());
    model.addEventListener("state", () => {
      questions.again();
      this.#draw();
    });
    model.addEventListener("health", () => this.#draw());
  }

  #build() {
    this.stage = el("div.stage");
    this.caption = el("div.caption", { hidden: true });
    this.finder = el("figure.finder", {}, el("div.sight", {}, this.stage, el("span.corners", { "aria-hidden": "true" })), this.caption);
    this.controls = el("div.row.controls");
    this.hint = el("p.notice.bad", { role: "alert" });
    this.start = el("div.start");
    this.node = el(
      "div.ask",
      {},
      el("h1.unseen", { tabindex: -1 }, "Ask what a photo shows"),
      el("div.ask-pair", {}, el("div", {}, this.finder, this.hint, this.controls), el("div.reply", {}, this.start, this.#panel.node)),
      this.#asked.node,
    );
  }

  show() {
    this.#draw(true);
  }

  hide() {
    this.#stopCamera();
  }

  /** What becomes of photos that are dropped or pasted. */
  get receiver() {
    return { words: "Drop to ask", take: (found) => this.#take(found) };
  }

  #take(found) {
    const images = found.filter(({ file }) => isImage(file));
    if (!images.length) {
      if (found.length) toast("That is no photo.", { bad: true });
      return;
    }
    this.#stopCamera();
    questions.add(images);
  }

  #draw(anew = false) {
    const item = questions.selected;
    if (!this.#live) {
      if (item) this.#showPhoto(item);
      else this.#showNothing(anew);
    }
    this.#asked.draw();
  }

  #showNothing() {
    this.#shown = null;
    this.finder.dataset.mood = "empty";
    this.caption.hidden = true;
    this.#panel.node.hidden = true;
    this.start.hidden = false;
    this.start.replaceChildren(...welcome());
    if (!this.stage.querySelector(".invitation")) {
      const words = touch() ? ["Take or choose a photo", "of anything it may know"] : ["Drop photos here", "or paste one"];
      const [first, second] = words;
      const choosing = async () => this.#take(await choose());
      const inside = [icon("images"), el("strong", {}, first), el("span", {}, second)];
      // A large target for a pointer; the button below does the same for the keyboard and for readers of the screen.
      this.stage.replaceChildren(el("div.invitation", { on: { click: choosing } }, ...inside));
    }
    this.#controls("nothing");
  }

  #showPhoto(item) {
    if (this.#shown !== item) {
      this.#shown = item;
      this.stage.replaceChildren(preview(item.url, `The photo ${item.name}`));
      this.caption.replaceChildren(el("figcaption.name", {}, item.name), round("close", `Put ${item.name} away`, () => questions.remove(item)));
    }
    this.caption.hidden = false;
    this.start.hidden = true;
    if (item.status === "failed") this.#panel.fail(item.problem);
    else if (item.answer) this.#panel.show(item.answer);
    else this.#panel.wait(item.name);
    this.finder.dataset.mood = this.#panel.node.dataset.mood;
    this.#controls("photo");
  }

  #controls(state) {
    if (this.controls.dataset.state === state) return;
    const hadFocus = this.controls.contains(document.activeElement);
    this.controls.dataset.state = state;
    const pick = async (options) => this.#take(await choose(options));
    this.controls.replaceChildren(
      ...(state === "live"
        ? [
            button("main", "camera", "Keep this picture", () => this.#keepFrame()),
            button("", "flip", "Other camera", () => this.#flip(), { hidden: true, id: "flip" }),
            button("quiet", "close", "Stop", () => this.#stopCamera()),
          ]
        : [
            button("main", "images", "Choose photos", () => pick({})),
            touch() ? button("", "camera", "Take a photo", () => pick({ capture: true })) : null,
            cameraPossible() ? button("", "video", "Live camera", () => this.#startCamera()) : null,
          ].filter(Boolean)),
    );
    if (hadFocus) this.controls.querySelector("button").focus();
  }

  // The camera

  async #startCamera() {
    this.hint.textContent = "";
    try {
      await this.#camera.start();
    } catch (error) {
      this.hint.textContent = error.message;
      return;
    }
    if (!this.node.isConnected) return this.#camera.stop(); // the view was left while the browser asked for permission
    const stop = new AbortController();
    this.#live = stop;
    this.#shown = null;
    this.#liveAnswer = null;
    this.rate = el("span.rate.number");
    this.stage.replaceChildren(this.#camera.video);
    this.caption.hidden = false;
    this.caption.replaceChildren(el("figcaption.live", {}, "Live"), this.rate);
    this.start.hidden = true;
    this.#panel.wait("the camera’s picture");
    this.finder.dataset.mood = "waiting";
    this.#controls("live");
    cameras().then((number) => {
      const flip = this.controls.querySelector("#flip");
      if (flip) flip.hidden = number < 2;
    });
    answerFrames(this.#camera, stop.signal, { show: this.#showFrame(), fail: (problem) => this.#panel.fail(problem) });
  }

  #showFrame() {
    let last = 0;
    let key = "";
    return (answer, rate) => {
      const now = performance.now();
      const next = `${answer.unknown} ${answer.class}`;
      const neighbours = key !== next || now - last > NEIGHBOURS_EVERY;
      if (neighbours) [last, key] = [now, next];
      this.#liveAnswer = answer;
      this.#panel.show(answer, { neighbours });
      this.finder.dataset.mood = this.#panel.node.dataset.mood;
      this.rate.textContent = `${rate < 1.5 ? rate.toFixed(1) : Math.round(rate)} answers a second`;
    };
  }

  async #flip() {
    try {
      await this.#camera.flip();
    } catch (error) {
      this.hint.textContent = error.message;
      this.#stopCamera();
    }
  }

  async #keepFrame() {
    const photo = await this.#frame();
    if (!photo) return;
    this.#stopCamera();
    questions.add([photo]);
  }

  async #frame() {
    const blob = await this.#camera.frame(SIDE, 0.92);
    return blob && { file: blob, path: frameName() };
  }

  #stopCamera() {
    if (!this.#live) return;
    this.#live.abort();
    this.#live = null;
    this.#camera.stop();
    this.#draw();
  }

  // Teaching

  /** The photo that the answer is about: the one that was asked, or the camera's picture of this moment. */
  async #question() {
    if (this.#live) return { photo: await this.#frame(), answer: this.#liveAnswer };
    const item = questions.selected;
    return { photo: { file: item.file, path: item.name }, answer: item.answer };
  }

  async #teach(name) {
    const { photo } = await this.#question();
    if (photo) await teachClass(name, [photo]);
  }

  async #correct() {
    const { photo, answer } = await this.#question();
    const first = (answer?.top ?? []).map((one) => one.class);
    const name = photo && (await chooseClass({ first }));
    if (name) await teachClass(name, [photo]);
  }
}
