// Answers for the frames of a camera, one request after the other: as many a second as the machine can give.
import { Problem, call } from "./api.js";
import { Steady } from "./steady.js";

const SIDE = 320;
const SHORTEST = 90; // milliseconds between frames at least
const AFTER_FAILURE = 2000;

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

/**
 * Ask about frames until the signal says stop; waits while the page is hidden.
 *
 * @param {Camera} camera
 * @param {AbortSignal} signal
 * @param {{show: (answer: object, rate: number) => void, fail: (problem: Problem) => void}} on what becomes of answers
 */
export async function answerFrames(camera, signal, on) {
  const steady = new Steady();
  let rate = 0;
  while (!signal.aborted) {
    const started = performance.now();
    const frame = document.hidden ? null : await camera.frame(SIDE);
    if (!frame) {
      await pause(SHORTEST);
      continue;
    }
    try {
      const headers = { "Content-Type": "image/jpeg" };
      const reply = await call("POST", "predict?top=8&nearest=6&file=camera.jpg", { body: frame, headers, signal });
      const [answer] = reply.answers;
      const now = performance.now();
      rate = rate ? 0.8 * rate + 0.2 * (1000 / Math.max(now - started, SHORTEST)) : 1000 / Math.max(now - started, SHORTEST);
      if (!signal.aborted) on.show({ ...answer, ...steady.add(answer, now) }, rate);
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      on.fail(problem);
      await pause(AFTER_FAILURE);
    }
    await pause(Math.max(0, SHORTEST - (performance.now() - started)));
  }
}
