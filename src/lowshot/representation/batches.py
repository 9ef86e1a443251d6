"""The training batches of a run, shared by its processes."""

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
    """Make the loader of one process for shuffled, augmented batches.

    An incomplete last batch is left out, since its few images would weigh more than the others; these images differ
    from epoch to epoch. A data set smaller than a batch is one batch.

    Args:
        images (ImageDataset): All training images.
        transforms (Transforms): The preset, of which ``train`` is used.
        batch_size (int): The number of images per step, over all processes together.
        seed (int): The seed of order and augmentation.
        workers (int or "auto"): The number of loader processes.
        shard (two int): The rank of this process and the number of processes.

    Raises:
        InputError: The batch size cannot be shared evenly, or leaves a process fewer than the 2 images that batch norm
            needs.
    """
    _, processes = shard
    if batch_size % processes:
        raise InputError(f"batch_size {batch_size} cannot be shared evenly by {processes} processes")
    batch, shard_size = batch_size // processes, -(-len(images) // processes)
    if min(batch, shard_size) < 2:
        raise InputError(
            f"{len(images)} training images in batches of {batch_size} leave each of {processes} processes "
            f"{min(batch, shard_size)} a step; batch norm needs at least 2"
        )
    return make_loader(
        images,
        transforms.train,
        batch,
        shuffle=True,
        seed=seed,
        workers=workers,
        shard=shard,
        drop_last=shard_size >= batch,
    )
