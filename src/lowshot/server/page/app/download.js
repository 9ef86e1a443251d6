// The answers as files, with the columns of `lowshot predict -o`.

const COLUMNS = ["file", "class", "probability", "runner_up", "runner_up_probability", "unknown", "nearest", "similarity", "error"];
const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/** A cell that no spreadsheet takes for a formula. */
export function cell(value) {
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value === "string" && FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const row = (answer) => Object.fromEntries(COLUMNS.map((name) => [name, answer[name] ?? null]));

export const asCsv = (answers) => [COLUMNS, ...answers.map((answer) => COLUMNS.map((name) => row(answer)[name]))]
  .map((values) => `${values.map(cell).join(",")}\n`)
  .join("");

export const asJson = (answers) => `${JSON.stringify(answers.map(row), null, 2)}\n`;

/** Hand a text to the user as a file. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
