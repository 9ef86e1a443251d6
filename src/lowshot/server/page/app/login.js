// Asks for the token where the server wants one.
import { Problem, call } from "./api.js";
import { el } from "./dom.js";

let open = null;

/** Ask for the token, once however many requests were refused; resolves when the server has accepted one. */
export function login() {
  open ??= ask().finally(() => {
    open = null;
  });
  return open;
}

/** Sign out, and load the page anew, so that nothing of what it showed stays behind. */
export async function signOut() {
  await call("POST", "logout");
  location.reload();
}

function ask() {
  const complaint = el("p.notice.bad", { role: "alert" });
  const field = el("input.field", { id: "token", type: "password", autocomplete: "current-password", required: true });
  // One name for all: password managers keep a password under a name, and warn where a form has none.
  const user = el("input", { type: "text", autocomplete: "username", $value: "lowshot", hidden: true });
  const form = el(
    "form.dialog-body",
    { method: "dialog" },
    el("h2", { id: "token-title" }, "This recogniser is protected"),
    el("p.soft", {}, "Whoever started the server has a token for it. The browser keeps it until it is closed or you sign out."),
    el("div", {}, el("label.label", { for: "token" }, "Token"), user, field),
    complaint,
    el("div.dialog-foot", {}, el("button.button.main", { $type: "submit" }, "Open")),
  );
  const dialog = el("dialog.dialog.narrow", { "aria-labelledby": "token-title" }, form);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await call("POST", "login", { json: { token: field.value } });
        dialog.close();
        dialog.remove();
        resolve();
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        complaint.textContent = problem.status === 401 ? "That is not the token." : problem.message;
        field.select();
      }
    });
  });
}
