// Numbers and lists as people say them.

/** "1 photo", "3 photos". */
export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** Counts of classes have an irregular plural. */
export const classes = (number) => count(number, "class", "classes");
export const photos = (number) => count(number, "photo");

/** A probability as a percentage that never claims certainty. */
export function percent(probability) {
  const value = Math.round(100 * probability);
  if (value >= 100) return "> 99 %";
  if (value < 1) return "< 1 %";
  return `${value} %`;
}

/** "robin, wren and 3 more". */
export function few(names, limit = 3) {
  if (names.length > limit) return `${names.slice(0, limit).join(", ")} and ${names.length - limit} more`;
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** The name of a class as the server keeps it: composed, without white space around it. */
export const asName = (text) => text.normalize("NFC").trim();

/** The last part of a path. */
export const basename = (path) => path.split("/").at(-1);

/** A sentence begins with a capital letter, whatever the server's words do. */
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : text);
