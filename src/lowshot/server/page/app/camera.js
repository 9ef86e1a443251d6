// The camera of the machine: a picture on the page, and frames of it as JPEG.
import { el } from "./dom.js";

/** Browsers give the camera only to pages from this machine or by HTTPS. */
export const cameraPossible = () => Boolean(navigator.mediaDevices?.getUserMedia);

const REASONS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it for this page in the browser’s settings.",
  NotFoundError: "No camera was found.",
  NotReadableError: "Another program is using the camera.",
};

export class Camera {
  #stream = null;
  #facing = "environment";
  #canvas = document.createElement("canvas");

  constructor() {
    this.video = el("video", { playsinline: true, $muted: true, "aria-label": "The camera’s picture" });
  }

  get running() {
    return Boolean(this.#stream);
  }

  /** @throws {Error} with a reason in plain words */
  async start() {
    this.stop();
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: this.#facing, width: { ideal: 1280 }, height: { ideal: 720 } },
      });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? "The camera could not be started.", { cause: error });
    }
    this.video.srcObject = this.#stream;
    this.video.classList.toggle("mirrored", this.#stream.getVideoTracks()[0].getSettings().facingMode === "user");
    await this.video.play();
  }

  /** Change between the front and the back camera. */
  async flip() {
    this.#facing = this.#facing === "user" ? "environment" : "user";
    await this.start();
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.video.srcObject = null;
  }

  /** The present frame as a JPEG whose shorter side has at most this many pixels; null before the first frame. */
  frame(side, quality = 0.85) {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width || !this.running) return Promise.resolve(null);
    const scale = Math.min(1, side / Math.min(width, height));
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#canvas.getContext("2d").drawImage(this.video, 0, 0, this.#canvas.width, this.#canvas.height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", quality));
  }
}

/** How many cameras there are; their names stay unknown until the user has allowed one. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((one) => one.kind === "videoinput").length;
}

/** A name for a photo of the camera that says when it was taken. */
export function frameName(number = null) {
  const stamp = new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
  return `camera-${stamp}${number === null ? "" : `-${String(number).padStart(2, "0")}`}.jpg`;
}
