// Pictures, with a sign in their place where there is none.
import { thumbnail } from "./api.js";
import { el, icon } from "./dom.js";

/** A picture of the user's own file; not every browser shows every format that the server reads, HEIC for one. */
export const preview = (url, alt, options = {}) => picture(url, alt, "No preview", options);

/** The small picture of a taught photo; a recogniser may have been told to keep none. */
export const taughtPhoto = (digest, alt, side = 96, options = {}) => picture(thumbnail(digest), alt, "", { width: side, height: side, ...options });

function picture(source, alt, words, options) {
  const image = el("img", { src: source, alt, decoding: "async", ...options });
  image.addEventListener("error", () => {
    const label = alt || words;
    const described = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
    image.replaceWith(el("span.no-preview", described, icon("image"), words ? el("span", {}, words) : null));
  });
  return image;
}
