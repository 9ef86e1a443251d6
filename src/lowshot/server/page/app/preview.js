// A picture of the user's own file. Not every browser shows every format that the server reads, HEIC for one.
import { el, icon } from "./dom.js";

/** An image, or a sign in its place where the browser cannot show it. */
export function preview(url, alt, options = {}) {
  const image = el("img", { src: url, alt, decoding: "async", ...options });
  image.addEventListener("error", () => {
    image.replaceWith(el("span.no-preview", { role: "img", "aria-label": alt || "No preview" }, icon("image"), el("span", {}, "No preview")));
  });
  return image;
}
