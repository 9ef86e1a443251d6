// What an undo would take away. The server tells of a change in words, "taught 3 photos: robin (2), wren (1)".

/** So many photos are lost without a question: they are soon taught again. */
export const FEW = 3;

/**
 * What is lost by undoing a change; what a removal took comes back, and a rename or a move loses nothing.
 *
 * @param {string|null} change the change in the server's words
 * @param {Array<{name: string, photos: number, base: boolean}>} known the classes as they are now
 * @returns {{photos: number, classes: string[]}} photos, and the classes that have no others
 */
export function losses(change, known) {
  const [, number, names] = /^taught (\d+) photos?: (.*)$/s.exec(change ?? "") ?? [];
  if (!number) return { photos: 0, classes: [] };
  const whole = known.filter((one) => !one.base && `, ${names}`.includes(`, ${one.name} (${one.photos})`));
  return { photos: Number(number), classes: whole.map((one) => one.name) };
}
