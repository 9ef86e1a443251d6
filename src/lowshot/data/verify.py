"""Find images that cannot be decoded before anything is trained, so that all stages see the same rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed

from lowshot.data.base import ImageDataset
from lowshot.data.decode import BadImageError
from lowshot.errors import InputError
from lowshot.files import fingerprint, is_file, read_json, write_json
from lowshot.progress import progress as progress_bar

_CHUNK = 64  # images per call of a thread


@dataclass(frozen=True)
class SkippedImage:
    """An image that is left out.

    Attributes:
        row (int): The row of the image in the data set that was checked.
        path (str): The path of the image there.
        reason (str): The error that decoding it gave.
    """

    row: int
    path: str
    reason: str


def drop_bad_images(
    dataset: ImageDataset,
    progress: bool = True,
    cache: str | Path | None = None,
    workers: int | None = None,
    save: bool = True,
) -> tuple[ImageDataset, list[SkippedImage]]:
    """Decode every image once and leave the bad ones out, for ``on_bad_image: skip``.

    Args:
        dataset (ImageDataset): The data set to check.
        progress (bool): True shows a progress bar.
        cache (str, Path or None): The folder in which the result is saved under the data set's fingerprint, so that
            the next stage reads it instead of decoding everything again. None saves nothing. A folder that cannot be
            written is read alone.
        workers (int or None): The number of threads; None takes one per core. Decoders release Python's lock.
        save (bool): False reads what is saved in ``cache`` and saves nothing.

    Returns:
        The data set without its bad images (the same object if there are none), and the bad images in row order.

    Raises:
        InputError: A class would be left without any image; the message names it.
    """
    saved = None
    if cache is not None:
        saved = Path(cache) / f"bad_images_{fingerprint(dataset.fingerprint, dataset.max_pixels)}.json"
    if saved is not None and is_file(saved):
        skipped = [SkippedImage(**entry) for entry in read_json(saved, "list of bad images")]
    else:
        skipped = list(_bad_images(dataset, progress, workers or cpu_count()))
        if saved is not None and save:
            with contextlib.suppress(OSError):
                write_json(saved, [asdict(image) for image in skipped])
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
    pool = Parallel(threads, backend="threading", return_as="generator", pre_dispatch="2 * n_jobs")
    with progress_bar("checking images", len(dataset), enabled=progress) as tick:
        for chunk, found in zip(chunks, pool(delayed(_check)(dataset, chunk) for chunk in chunks)):
            tick(len(chunk))
            yield from found


def _check(dataset: ImageDataset, rows: range) -> list[SkippedImage]:
    found = []
    for row in rows:
        try:
            dataset.load(row)
        except BadImageError as error:
            found.append(SkippedImage(row, dataset.paths[row], str(error)))
    return found
