// Photos from what is dropped, pasted or chosen, with the folders that they lie in.
import { asName } from "./words.js";

const IMAGE = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif|ppm|pgm)$/i;
const CHOOSE = "image/*,.heic,.heif,.avif,.tif,.tiff,.bmp";

/** True for a file that looks like a photo; the server has the last word. */
export const isImage = (file) => file.type.startsWith("image/") || IMAGE.test(file.name);

const hidden = (path) => path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");

/**
 * Everything that was dropped or pasted, folders included.
 *
 * @param {DataTransfer} transfer from the event; must be read in its handler
 * @returns {Promise<Array<{file: File, path: string}>>} files with their paths from the dropped folder on
 */
export async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) if (entry) await collect(entry, found);
  return found.filter(({ path }) => !hidden(path));
}

async function collect(entry, found) {
  if (entry instanceof File) {
    found.push({ file: entry, path: entry.name });
  } else if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) found.push({ file, path: entry.fullPath.replace(/^\//, "") });
  } else if (entry.isDirectory) {
    for (const child of await children(entry)) await collect(child, found);
  }
}

/** A reader hands out at most a hundred entries a call. */
async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (!some.length) return all.sort((a, b) => a.name.localeCompare(b.name));
    all.push(...some);
  }
}

/** Let the user choose; resolves with nothing where nothing is chosen. */
export function choose({ folder = false, capture = false, many = true } = {}) {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = many;
  if (folder) input.webkitdirectory = true;
  else input.accept = CHOOSE;
  if (capture) input.capture = "environment";
  return new Promise((resolve) => {
    input.onchange = () => {
      const found = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      resolve(found.filter(({ path }) => !hidden(path)));
    };
    input.oncancel = () => resolve([]);
    input.click();
  });
}

/**
 * Sort files into classes by their folders: of one dropped folder the folders in it, of several the folders themselves.
 *
 * @param {Array<{file: File, path: string}>} found
 * @returns {{groups: Map<string, File[]>, loose: File[], others: number}} photos of each class, photos in no folder of a
 *   class, and the number of files that are no photos
 */
export function classFolders(found) {
  const images = found.filter(({ file }) => isImage(file)).map(({ file, path }) => ({ file, parts: path.split("/") }));
  const others = found.length - images.length;
  const first = images[0]?.parts[0];
  const oneRoot = images.every(({ parts }) => parts.length > 1 && parts[0] === first);
  if (oneRoot && images.some(({ parts }) => parts.length > 2)) for (const image of images) image.parts.shift();
  const groups = new Map();
  const loose = [];
  for (const { file, parts } of images) {
    if (parts.length < 2) {
      loose.push(file);
      continue;
    }
    const name = asName(parts[0]);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(file);
  }
  return { groups, loose, others };
}
