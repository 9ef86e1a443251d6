"""Batches of transformed images: the same ones for any number of workers and any split over processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from joblib import cpu_count
from torch.utils.data import DataLoader, Dataset, Sampler

from lowshot.data.base import ImageDataset
from lowshot.data.holdout import whole_number
from lowshot.data.transforms import ImageTransform
from lowshot.errors import InputError

Sample = tuple[torch.Tensor, int, int]
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

_SMALL = 96 * 96
_WORD = (1 << 64) - 1


class TransformedDataset(Dataset):
    """Rows of ``dataset`` as (image (3, H, W) uint8, label, row).

    The augmentation of a sample depends on (seed, epoch, row) alone. Transforms draw from torch's default generator, as
    torchvision's do; its state is set for the sample and put back after it.

    Args:
        dataset: where images and labels come from.
        transform: RGB image → uint8 tensor.
        seed: of the augmentation.
        epoch: see :meth:`set_epoch`.
    """

    def __init__(self, dataset: ImageDataset, transform: ImageTransform, seed: int = 0, epoch: int = 0) -> None:
        self.dataset = dataset
        self.transform = transform
        self.seed = seed
        self.epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        """Draw the augmentation of another epoch from the next pass on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> Sample:
        image = self.dataset.load(row)
        generator = torch.default_generator
        state = generator.get_state()
        generator.manual_seed(sample_seed(self.seed, self.epoch, row))
        try:
            pixels = self.transform(image)
        finally:
            generator.set_state(state)
        return pixels, int(self.dataset.labels[row]), row


class RowOrder(Sampler[int]):
    """The rows that one of several processes takes, in order.

    Shuffled (training): an order drawn from (seed, epoch), dealt in turn; the shares are equally long, padded by
    starting over, so that no process waits for another. Unshuffled (evaluation, extraction): consecutive blocks that
    together are every row once.

    Args:
        rows: N.
        shuffle: which of the two.
        seed: of the order.
        epoch: of the order.
        shard: (index, count) of this process.
    """

    def __init__(
        self, rows: int, shuffle: bool, seed: int = 0, epoch: int = 0, shard: tuple[int, int] = (0, 1)
    ) -> None:
        self.rows = rows
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = epoch
        self.index, self.count = shard
        if not 0 <= self.index < self.count:
            raise InputError(f"shard {self.index} of {self.count}: expected an index from 0 to count - 1")

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of another epoch from the next pass on."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return -(-self.rows // self.count)
        return self.rows * (self.index + 1) // self.count - self.rows * self.index // self.count

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)
            yield from np.resize(order, len(self) * self.count)[self.index :: self.count].tolist()
        else:
            start = self.rows * self.index // self.count
            yield from range(start, start + len(self))


class ImageLoader(DataLoader):
    """A DataLoader of :data:`Batch`, built by :func:`make_loader`."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, InputError):
                raise batch
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Order and augmentation of another epoch, from the next pass on."""
        self.dataset.set_epoch(epoch)  # type: ignore[attr-defined]
        self.sampler.set_epoch(epoch)  # type: ignore[attr-defined]


def make_loader(
    dataset: ImageDataset,
    transform: ImageTransform,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    workers: int | Literal["auto"] = "auto",
    shard: tuple[int, int] = (0, 1),
    drop_last: bool = False,
) -> ImageLoader:
    """Batches of images (B, 3, H, W) uint8, labels (B,) int64 and rows (B,) int64.

    Args:
        dataset: rows to load.
        transform: per image, e.g. ``build_transforms("small").train``.
        batch_size: B of one process.
        shuffle: an order drawn from (seed, epoch), or row order; see :class:`RowOrder`.
        seed: of order and augmentation.
        epoch: of order and augmentation; ``loader.set_epoch`` changes it between passes.
        workers: processes that load; ``"auto"`` as :func:`auto_workers` has it. The batches do not depend on it.
        shard: (index, count) of this process among those that share the rows.
        drop_last: leave a last, smaller batch out.

    Raises:
        InputError: there is no image, or a number is out of range. While iterating, BadImageError with the image's own
            message, without the traceback that a worker process would wrap around it.
    """
    whole_number("batch_size", batch_size, least=1)
    if not len(dataset):
        raise InputError("there is no image to load: the data set, or its choice of classes, is empty")
    count = auto_workers(dataset) if workers == "auto" else workers
    whole_number("workers", count, least=0)
    return ImageLoader(
        _Samples(dataset, transform, seed, epoch),
        batch_size,
        sampler=RowOrder(len(dataset), shuffle, seed, epoch, shard),
        num_workers=count,
        collate_fn=_collate,
        drop_last=drop_last,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # without one, every pass would draw from the global generator
    )


def auto_workers(dataset: ImageDataset) -> int:
    """How many worker processes pay: none for small images on a CPU that also computes, nor on one or two cores.

    Otherwise one less than the cores of this process, which are the machine's over the processes that torchrun started.
    """
    cores = cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if cores <= 2:
        return 0
    width, height = dataset.load(0).size
    small = width * height <= _SMALL
    return 0 if small and not torch.cuda.is_available() else cores - 1


def sample_seed(seed: int, epoch: int, row: int) -> int:
    """64 well-mixed bits of the three numbers (the finaliser of SplitMix64; Steele et al. 2014)."""
    word = 0
    for number in (seed, epoch, row):
        word = (word + number + 0x9E3779B97F4A7C15) & _WORD
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
        word ^= word >> 31
    return word


class _Samples(TransformedDataset):
    """Hands a user's mistake over as a value, since DataLoader rewrites the text of errors that workers raise."""

    def __getitems__(self, rows: list[int]) -> list[Sample] | InputError:
        try:
            return [self[row] for row in rows]
        except InputError as error:
            return error


def _collate(samples: list[Sample] | InputError) -> Batch | InputError:
    if isinstance(samples, InputError):
        return samples
    images, labels, rows = zip(*samples)
    return torch.stack(images), torch.tensor(labels), torch.tensor(rows)
