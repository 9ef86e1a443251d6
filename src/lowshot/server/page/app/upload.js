// Sends photos with progress, both of the sending and of the work that follows, as lines of the reply tell of it.
import { Problem, address, answered, noAnswer, problemOf } from "./api.js";

/** Splits a growing text into complete lines of JSON. */
class Lines {
  seen = 0;

  of(text, complete) {
    const end = complete ? text.length : text.lastIndexOf("\n") + 1;
    const lines = text.slice(this.seen, end).split("\n");
    this.seen = end;
    return lines.filter((line) => line.trim()).map((line) => JSON.parse(line));
  }
}

/**
 * Send a form.
 *
 * @param {string} where the path
 * @param {FormData} form what is sent
 * @param {object} options `progress` is called with {phase: "send" | "learn", done, of}; `signal` gives up
 * @returns {Promise<object>} the result
 */
export function upload(where, form, { progress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const lines = new Lines();
    let last = null;
    const stop = () => request.abort();
    const read = (complete) => {
      if (!(request.getResponseHeader("Content-Type") || "").includes("ndjson")) return;
      for (const line of lines.of(request.responseText, complete)) {
        if ("done" in line) progress({ phase: "learn", done: line.done, of: line.of });
        else last = line;
      }
    };
    const finish = () => {
      answered();
      try {
        read(true);
        if (last?.problem) throw problemOf(last.problem.status, JSON.stringify(last.problem));
        if (request.status >= 400) throw problemOf(request.status, request.responseText);
        if (!last) last = { result: JSON.parse(request.responseText) };
        resolve(last.result);
      } catch (error) {
        reject(error instanceof Problem ? error : new Problem({ detail: "The server broke off its answer." }));
      }
    };
    request.open("POST", address(where));
    request.setRequestHeader("Accept", "application/x-ndjson, application/json");
    request.upload.onprogress = (event) => progress({ phase: "send", done: event.loaded, of: event.total });
    request.onprogress = () => read(false);
    request.onload = finish;
    request.onerror = () => reject(noAnswer());
    request.onabort = () => reject(new DOMException("given up", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) return reject(new DOMException("given up", "AbortError"));
    signal?.addEventListener("abort", stop);
    request.send(form);
  });
}
