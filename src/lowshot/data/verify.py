"""Find the images that cannot be decoded before anything is trained, so that every later stop sees the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed

from lowshot.data.base import ImageDataset
from lowshot.data.decode import BadImageError
from lowshot.errors import InputError
from lowshot.files import fingerprint, read_json, write_json
from lowshot.progress import progress as progress_bar

_CHUNK = 64


@dataclass(frozen=True)
class SkippedImage:
    """An image that is left out.

    Attributes:
        row: its row in the data set that was looked through.
        path: its identity there.
        reason: what is wrong with it.
    """

    row: int
    path: str
    reason: str


def drop_bad_images(
    dataset: ImageDataset, progress: bool = True, cache: str | Path | None = None, workers: int | None = None
) -> tuple[ImageDataset, list[SkippedImage]]:
    """Decode every image once and leave the bad ones out: ``on_bad_image: skip``.

    Args:
        dataset: what to look through.
        progress: show a bar.
        cache: folder in which the outcome is kept under the data set's fingerprint, so that the next stop reads it
            instead of decoding everything again.
        workers: threads; all cores when left out. Decoders release Python's lock.

    Returns:
        The data set without its bad images (itself when there are none), and these, in row order.

    Raises:
        InputError: a class would be left without any image; the message names it.
    """
    kept = None
    if cache is not None:
        kept = Path(cache) / f"bad_images_{fingerprint(dataset.fingerprint, dataset.max_pixels)}.json"
    if kept is not None and kept.is_file():
        skipped = [SkippedImage(**entry) for entry in read_json(kept, "list of bad images")]
    else:
        skipped = list(_bad_images(dataset, progress, workers or cpu_count()))
        if kept is not None:
            write_json(kept, [asdict(image) for image in skipped])
    if not skipped:
        return dataset, []
    good = dataset.subset(np.delete(np.arange(len(dataset)), [image.row for image in skipped]))
    emptied = set(dataset.labels.tolist()) - set(good.labels.tolist())
    for image in skipped:
        if (label := int(dataset.labels[image.row])) in emptied:
            name = dataset.class_names[label]
            raise InputError(f"class {name!r} has no good image; the first of its bad ones: {image.reason}")
    return good, skipped


def _bad_images(dataset: ImageDataset, progress: bool, threads: int) -> Iterator[SkippedImage]:
    chunks = [range(start, min(start + _CHUNK, len(dataset))) for start in range(0, len(dataset), _CHUNK)]
    look = Parallel(threads, backend="threading", return_as="generator", pre_dispatch="2 * n_jobs")
    with progress_bar("checking images", len(dataset), enabled=progress) as tick:
        for chunk, found in zip(chunks, look(delayed(_look)(dataset, chunk) for chunk in chunks)):
            tick(len(chunk))
            yield from found


def _look(dataset: ImageDataset, rows: range) -> list[SkippedImage]:
    found = []
    for row in rows:
        try:
            dataset.load(row)
        except BadImageError as error:
            found.append(SkippedImage(row, dataset.paths[row], str(error)))
    return found
