// Requests to the server that this page came from, and its errors (problem+json) as exceptions.

/** What went wrong with a request; `status` 0: the server did not answer; `wait`: seconds. */
export class Problem extends Error {
  constructor({ status = 0, title = "", detail = "", file = null, errors = [], wait = 1 }) {
    super(detail || title || `the server answered ${status}`);
    Object.assign(this, { status, title, detail, file, errors, wait });
  }
}

/** Told of each answer and of each silence, so that one place shows that the server is gone or wants a token. */
export const requests = new EventTarget();

const tell = (what) => requests.dispatchEvent(new Event(what));

/** The address of a path of the server, also where it is not at the root of its host. */
export const address = (path) => new URL(path.replace(/^\//, ""), new URL("./", document.baseURI)).href;

/** A path from parts that may hold anything. */
export const path = (...parts) => parts.map(encodeURIComponent).join("/");

export const thumbnail = (digest) => address(`photos/${encodeURIComponent(digest)}`);

/** The problem that a reply describes, also where something between answered in the server's place. */
export function problemOf(status, text, wait = null) {
  let described = {};
  try {
    described = JSON.parse(text);
  } catch {
    // not JSON: the status alone has to do
  }
  if (status === 401) tell("token");
  const detail = typeof described.detail === "string" ? described.detail : "";
  return new Problem({ ...described, detail, status, wait: Number(wait) || 1 });
}

export const noAnswer = () => {
  tell("gone");
  return new Problem({ title: "The server does not answer", detail: "The server does not answer." });
};

export const answered = () => tell("answered");

/**
 * Ask the server.
 *
 * @returns {Promise<object|null>} the JSON of the reply, null where it has none
 * @throws {Problem} where the server refuses or does not answer; an aborted request throws AbortError
 */
export async function call(method, where, { json, body, headers = {}, signal } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, body, signal };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["Content-Type"] = "application/json";
  }
  let reply, text;
  try {
    reply = await fetch(address(where), options);
    text = await reply.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw noAnswer();
  }
  answered();
  if (!reply.ok) throw problemOf(reply.status, text, reply.headers.get("Retry-After"));
  return text ? JSON.parse(text) : null;
}
