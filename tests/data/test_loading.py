"""Loading: batches depend on seed, epoch and row alone; processes share the rows fairly; errors stay readable."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lowshot.data import BadImageError, ImageDataset, RowOrder, TransformedDataset, build_transforms, make_loader
from lowshot.data.loading import Batch, auto_workers, sample_seed
from lowshot.errors import InputError
from tests.data.conftest import MemoryImages

SMALL = build_transforms("small", image_size=8, padding=3)
IMAGES = MemoryImages([0, 1, 2] * 7, 3)


def batches(dataset: ImageDataset = IMAGES, batch_size: int = 4, **options: object) -> list[Batch]:
    options = {"shuffle": True, "workers": 0, **options}
    return list(make_loader(dataset, SMALL.train, batch_size, **options))  # type: ignore[arg-type]


def equal(one: list[Batch], other: list[Batch]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for first, second in pairs for a, b in zip(first, second, strict=True))


def by_row(found: list[Batch]) -> dict[int, bytes]:
    return {int(row): image.numpy().tobytes() for images, _, rows in found for image, row in zip(images, rows)}


def test_a_batch_is_images_labels_and_rows() -> None:
    images, labels, rows = batches()[0]
    assert (images.shape, images.dtype) == ((4, 3, 8, 8), torch.uint8)
    assert labels.dtype == rows.dtype == torch.int64
    assert labels.tolist() == IMAGES.labels[rows].tolist()


def test_batches_are_the_same_for_any_number_of_workers() -> None:
    assert equal(batches(workers=0, epoch=3), batches(workers=2, epoch=3))


def test_order_and_augmentation_change_with_epoch_and_seed_and_with_nothing_else() -> None:
    first = batches(seed=1, epoch=2)
    assert equal(first, batches(seed=1, epoch=2))
    for options in ({"seed": 1, "epoch": 3}, {"seed": 2, "epoch": 2}):
        other = batches(**options)
        assert [rows.tolist() for _, _, rows in other] != [rows.tolist() for _, _, rows in first]
        assert sum(by_row(first)[row] != by_row(other)[row] for row in range(21)) > 10


def test_the_augmentation_of_a_row_does_not_depend_on_order_batch_or_shard() -> None:
    expected = by_row(batches(epoch=1))
    assert by_row(batches(epoch=1, shuffle=False, batch_size=5)) == expected
    shared = by_row(batches(epoch=1, shard=(0, 2))) | by_row(batches(epoch=1, shard=(1, 2)))
    assert shared == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_set_epoch_on_a_loader_is_the_loader_of_that_epoch(workers: int) -> None:
    loader = make_loader(IMAGES, SMALL.train, 4, shuffle=True, workers=workers)
    list(loader)
    loader.set_epoch(5)
    assert equal(list(loader), batches(epoch=5))


def test_loading_leaves_every_global_random_state_alone() -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    batches()
    batches(workers=1)
    TransformedDataset(IMAGES, SMALL.train)[0]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]  # noqa: NPY002


def test_a_failing_transform_puts_the_random_state_back() -> None:
    def fail(image: Image.Image) -> torch.Tensor:
        torch.rand(1)
        raise ZeroDivisionError

    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        TransformedDataset(IMAGES, fail)[0]
    assert torch.equal(torch.get_rng_state(), state)


def test_the_transformed_data_set_follows_its_epoch() -> None:
    dataset = TransformedDataset(IMAGES, SMALL.train, seed=4)
    before = [dataset[row][0].numpy().tobytes() for row in range(len(dataset))]
    dataset.set_epoch(1)
    after = [dataset[row][0].numpy().tobytes() for row in range(len(dataset))]
    dataset.set_epoch(0)
    assert before != after
    assert before == [dataset[row][0].numpy().tobytes() for row in range(len(dataset))]


def test_sample_seeds_do_not_collide_on_neighbouring_numbers() -> None:
    seeds = {sample_seed(s, e, r) & 0xFFFFFFFF for s in range(4) for e in range(25) for r in range(100)}
    assert len(seeds) > 9990


shards = st.tuples(st.integers(1, 60), st.integers(1, 7), st.integers(0, 99), st.integers(0, 9))


@settings(deadline=None)
@given(shards)
def test_evaluation_shards_are_consecutive_and_together_every_row_once(case: tuple[int, int, int, int]) -> None:
    rows, count, seed, epoch = case
    orders = [RowOrder(rows, False, seed, epoch, (index, count)) for index in range(count)]
    dealt = [list(order) for order in orders]
    assert [row for share in dealt for row in share] == list(range(rows))
    assert [len(order) for order in orders] == [len(share) for share in dealt]
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


@settings(deadline=None)
@given(shards)
def test_training_shards_are_equally_long_and_cover_every_row(case: tuple[int, int, int, int]) -> None:
    rows, count, seed, epoch = case
    orders = [RowOrder(rows, True, seed, epoch, (index, count)) for index in range(count)]
    dealt = [list(order) for order in orders]
    assert {len(share) for share in dealt} == {len(order) for order in orders} == {-(-rows // count)}
    together = [row for share in dealt for row in share]
    counts = np.bincount(together, minlength=rows)
    assert counts.min() >= 1
    assert counts.sum() - rows < count


def test_drop_last_leaves_out_the_smaller_batch() -> None:
    assert [len(rows) for _, _, rows in batches(batch_size=8)] == [8, 8, 5]
    assert [len(rows) for _, _, rows in batches(batch_size=8, drop_last=True)] == [8, 8]


class OneBad(MemoryImages):
    def _open(self, row: int) -> Image.Image:
        if row == 5:
            raise FileNotFoundError(2, "No such file or directory")
        return super()._open(row)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_is_reported_in_one_line_from_any_process(workers: int) -> None:
    with pytest.raises(BadImageError) as error:
        batches(OneBad([0] * 8, 1), workers=workers)
    assert str(error.value) == "image 0/5.png cannot be read: No such file or directory"


def test_worker_processes_are_used_where_they_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    large = MemoryImages([0], 1, size=(300, 200))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for cores, processes, dataset, wanted in [(8, 1, large, 7), (8, 1, IMAGES, 0), (2, 1, large, 0), (8, 4, large, 0)]:
        monkeypatch.setattr("lowshot.data.loading.cpu_count", lambda cores=cores: cores)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert auto_workers(dataset) == wanted
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert auto_workers(IMAGES) == 7


def test_loaders_that_cannot_work_are_refused() -> None:
    with pytest.raises(InputError, match="there is no image to load"):
        batches(IMAGES.subset([]))
    with pytest.raises(InputError, match="batch_size=0"):
        batches(batch_size=0)
    with pytest.raises(InputError, match="workers=-1"):
        batches(workers=-1)
    with pytest.raises(InputError, match="shard 2 of 2"):
        batches(shard=(2, 2))
