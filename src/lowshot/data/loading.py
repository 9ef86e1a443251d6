"""Batches of transformed images, which are the same for any number of workers and any split over processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from joblib import cpu_count
from torch.utils.data import DataLoader, Dataset, Sampler

from lowshot.checks import check_count, environment_number
from lowshot.data.base import ImageDataset
from lowshot.data.transforms import ImageTransform
from lowshot.errors import InputError

Sample = tuple[torch.Tensor, int, int]
"""Image (3, H, W) uint8, label, row."""

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Images (B, 3, H, W) uint8, labels (B,) int64, rows (B,) int64."""

_SMALL_IMAGE = 96 * 96  # pixels
_MASK_64 = (1 << 64) - 1


class TransformedDataset(Dataset):
    """The rows of a data set as (image (3, H, W) uint8, label, row).

    The augmentation of a sample depends on (seed, epoch, row) alone. Transforms draw from torch's default generator, as
    torchvision's do; its state is set for the sample and restored after it.

    Args:
        dataset (ImageDataset): The images and labels.
        transform (callable): The function from an RGB image to a uint8 tensor.
        seed (int): The seed of the augmentation.
        epoch (int): The number of the epoch, see :meth:`set_epoch`.
    """

    def __init__(self, dataset: ImageDataset, transform: ImageTransform, seed: int = 0, epoch: int = 0) -> None:
        self.dataset = dataset
        self.transform = transform
        self.seed = seed
        self.epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        """Use the augmentation of another epoch from the next pass on."""
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

    Shuffled (for training), an order drawn from (seed, epoch) is dealt to the processes in turn; the shards are equally
    long, padded with rows from the start, so that no process waits for another. Unshuffled (for evaluation and
    extraction), the shards are consecutive blocks that together are every row once.

    Args:
        rows (int): The number N of rows.
        shuffle (bool): True for the first of the two, False for the second.
        seed (int): The seed of the order.
        epoch (int): The number of the epoch, which the order depends on.
        shard (two int): The index of this process and the number of processes.

    Raises:
        InputError: The index is outside 0..count-1.
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
        """Use the order of another epoch from the next pass on."""
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
    """A DataLoader of :data:`Batch`, made by :func:`make_loader`."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, InputError):
                raise batch
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Use the order and augmentation of another epoch from the next pass on."""
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
    """Make a loader of batches: images (B, 3, H, W) uint8, labels (B,) int64 and rows (B,) int64.

    Args:
        dataset (ImageDataset): The images to load.
        transform (callable): The transform of each image, e.g. ``build_transforms("small").train``.
        batch_size (int): The number B of images per batch of this process.
        shuffle (bool): True for an order drawn from (seed, epoch), False for row order; see :class:`RowOrder`.
        seed (int): The seed of order and augmentation.
        epoch (int): The number of the epoch, which order and augmentation depend on; ``loader.set_epoch`` changes it.
        workers (int or "auto"): The number of processes that load; ``"auto"`` takes :func:`auto_workers`. The batches
            do not depend on it.
        shard (two int): The index of this process among those that share the rows, and the number of these.
        drop_last (bool): True leaves a last, smaller batch out.

    Raises:
        InputError: There is no image, or a number is out of range. While iterating, a :class:`BadImageError` with the
            image's own message, without the traceback that a worker process would wrap around it.
    """
    check_count("batch_size", batch_size)
    if not len(dataset):
        raise InputError("there is no image to load: the data set, or its choice of classes, is empty")
    count = auto_workers(dataset) if workers == "auto" else workers
    check_count("workers", count, least=0)
    return ImageLoader(
        _Samples(dataset, transform, seed, epoch),
        batch_size,
        sampler=RowOrder(len(dataset), shuffle, seed, epoch, shard),
        num_workers=count,
        collate_fn=_collate,
        drop_last=drop_last,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # without it, every pass would draw from the global generator
    )


def auto_workers(dataset: ImageDataset) -> int:
    """Return a good number of worker processes for a data set.

    Small images are decoded faster than workers could send them, so on a CPU they get none; neither does a process with
    one or two cores. Otherwise it is one less than the cores of this process: those of the machine divided by the
    number of processes that torchrun started.
    """
    cores = cpu_count() // max(1, environment_number("LOCAL_WORLD_SIZE", 1))
    if cores <= 2:
        return 0
    width, height = dataset.load(0).size
    small = width * height <= _SMALL_IMAGE
    return 0 if small and not torch.cuda.is_available() else cores - 1


def sample_seed(seed: int, epoch: int, row: int) -> int:
    """Mix three numbers into 64 bits with the finaliser of SplitMix64 (Steele et al. 2014)."""
    bits = 0
    for number in (seed, epoch, row):
        bits = (bits + number + 0x9E3779B97F4A7C15) & _MASK_64
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK_64
        bits ^= bits >> 31
    return bits


class _Samples(TransformedDataset):
    """Returns a user's mistake as a value, since DataLoader rewrites the text of errors that workers raise."""

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
