// Elements from plain values. Text is only ever set as text: names of files and classes come from anybody.

/**
 * Make an element.
 *
 * @param {string} tag its tag, with classes after dots: "p.soft.small"
 * @param {object} options attributes; `on` holds listeners, keys that start with "$" are properties of the element
 * @param {...(Node|string|null|Array)} children what it holds; strings become text, null is left out
 */
export function el(tag, options = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  if (name === "button") node.type = "button";
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (key.startsWith("$")) node[key.slice(1)] = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An icon beside words; a reader of the screen hears the words only. */
export const icon = (name) => el(`span.icon.icon-${name}`, { "aria-hidden": "true" });

/** A button with an icon and words. */
export function button(look, name, words, click, options = {}) {
  const classes = look ? `.${look.split(" ").join(".")}` : "";
  return el(`button.button${classes}`, { ...options, on: { click } }, name ? icon(name) : null, el("span", {}, words));
}

/** A round button with an icon alone; the words are its label. */
export function round(name, words, click, options = {}) {
  return el("button.round", { "aria-label": words, title: words, ...options, on: { click } }, icon(name));
}

/** The name of a class or a file. */
export const named = (text, tag = "span") => el(`${tag}.name`, {}, text);

/** A number that no other call returned, for ids. */
export const unique = ((last) => (prefix) => `${prefix}-${(last += 1)}`)(0);
