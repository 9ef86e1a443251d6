"""The training batches of a run, and how several processes share them."""

from __future__ import annotations

from typing import Literal

from lowshot.data import ImageDataset, Transforms, make_loader
from lowshot.data.loading import ImageLoader
from lowshot.errors import InputError


def training_batches(
    images: ImageDataset,
    transforms: Transforms,
    batch_size: int,
    seed: int,
    workers: int | Literal["auto"],
    shard: tuple[int, int],
) -> ImageLoader:
    """One process's share of shuffled, augmented batches.

    An incomplete last batch is left out, since its few images would count more than the others; which images those
    are differs from epoch to epoch. A data set smaller than a batch is one batch.

    Args:
        images: all training images.
        transforms: their ``train`` is used.
        batch_size: over all processes together.
        seed: of order and augmentation.
        workers: loader processes.
        shard: (rank, number of processes).

    Raises:
        InputError: the batch size cannot be shared evenly, or leaves a process fewer than the 2 images that batch
            norm needs.
    """
    _, world = shard
    if batch_size % world:
        raise InputError(f"batch_size {batch_size} cannot be shared evenly by {world} processes")
    batch, share = batch_size // world, -(-len(images) // world)
    if min(batch, share) < 2:
        raise InputError(
            f"{len(images)} training images in batches of {batch_size} leave each of {world} processes "
            f"{min(batch, share)} a step; batch norm needs at least 2"
        )
    return make_loader(
        images,
        transforms.train,
        batch,
        shuffle=True,
        seed=seed,
        workers=workers,
        shard=shard,
        drop_last=share >= batch,
    )
