// Many photos are sent in parts that the server admits.

/** The number of changes that the server can undo; each part is one. */
export const UNDOABLE = 10;

const PHOTOS = 400; // it admits 500 of 100 MB together
const BYTES = 80 * 10 ** 6;

/** Photos in parts; one that is too large by itself makes a part of its own, for the server to refuse. */
export function parts(found) {
  const all = [];
  let bytes = 0;
  for (const one of found) {
    bytes += one.file.size;
    if (!all.length || all.at(-1).length === PHOTOS || bytes > BYTES) {
      all.push([]);
      bytes = one.file.size;
    }
    all.at(-1).push(one);
  }
  return all;
}

/** Words for photos whose parts are more than can be undone, otherwise none. */
export function undoNote(found) {
  const changes = parts(found).length;
  return changes > UNDOABLE ? `So many are taught in ${changes} changes, of which the last ${UNDOABLE} can be undone.` : "";
}
