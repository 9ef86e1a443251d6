from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowshot.data import Transforms, build_dataset
from lowshot.errors import InputError
from lowshot.features import Embedder, FeatureStore, cache, extract_features
from lowshot.features.cache import FeatureCache, image_digests
from tests.features.fakes import TinyBackbone

Extract = Callable[..., FeatureStore]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOWSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features.sqlite"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(9):
        path = tmp_path / "photos" / f"c{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images of each forward pass."""
    counts: list[int] = []
    features = Embedder.features
    monkeypatch.setattr(Embedder, "features", lambda self, x: (counts.append(len(x)), features(self, x))[1])
    return counts


@pytest.fixture
def embed(tmp_path: Path, backbone: TinyBackbone, transforms: Transforms) -> Extract:
    def call(folder: Path, **changes: object) -> FeatureStore:
        images = build_dataset("image_folder", root=folder, train_folder=".")
        options = {"precision": "auto", "batch_size": 4, "workers": 0, "cache": True, **changes}
        return FeatureStore.open(extract_features(backbone, images, transforms, tmp_path / "f.h5", **options))  # type: ignore

    return call


def test_three_new_photos_cost_three_forward_passes(embed: Extract, photos: Path, passes: list[int]) -> None:
    first = embed(photos)
    assert sum(passes) == 9
    expected = {path: feature.copy() for path, feature in zip(first.paths, first.features)}
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (9, 9), colour).save(photos / f"c{number}" / "1_new.png")
    passes.clear()
    store = embed(photos)
    assert sum(passes) == 3
    for path, feature in zip(store.paths, store.features):
        if path in expected:
            np.testing.assert_array_equal(feature, expected[path])
    fresh = embed(photos, cache=False)
    np.testing.assert_allclose(store.features, fresh.features, atol=1e-5)


def test_a_moved_and_renamed_folder_costs_none(embed: Extract, photos: Path, passes: list[int], tmp_path: Path) -> None:
    first = embed(photos).features.copy()
    moved = tmp_path / "elsewhere" / "others"
    shutil.move(photos, moved)
    (moved / "c0").rename(moved / "a0")
    passes.clear()
    store = embed(moved)
    assert passes == []
    np.testing.assert_array_equal(store.features, first)
    assert store.attributes["engine"] == "torch"
    assert store.attributes["precision"] == "32-true"


def test_two_processes_use_it(embed: Extract, photos: Path) -> None:
    expected = embed(photos, cache=False).features.copy()
    np.testing.assert_allclose(embed(photos, devices=2).features, expected, atol=1e-6)
    np.testing.assert_allclose(embed(photos, devices=2).features, expected, atol=1e-6)


def test_other_views_and_precisions_have_features_of_their_own(embed: Extract, photos: Path, passes: list[int]) -> None:
    embed(photos)
    for changes in ({"views": "flip"}, {"precision": "bf16-mixed"}):
        passes.clear()
        embed(photos, **changes)
        assert sum(passes) == 9
    passes.clear()
    embed(photos, precision="32-true")
    assert passes == [], "auto took float32"


@pytest.mark.parametrize("damage", ["garbage", "truncated", "entry", "short entry"])
def test_what_is_damaged_is_computed_anew(
    embed: Extract, photos: Path, passes: list[int], place: Path, damage: str
) -> None:
    expected = embed(photos).features.copy()
    if damage == "garbage":
        place.write_bytes(b"no database" * 1000)
    elif damage == "truncated":
        place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])
    else:
        with sqlite3.connect(place) as file:
            blob = b"x" * 28 if damage == "entry" else b"x"
            file.execute("UPDATE features SET feature = ? WHERE rowid = 2", [blob])
    passes.clear()
    np.testing.assert_allclose(embed(photos).features, expected, atol=1e-5)
    assert sum(passes) == (1 if "entry" in damage else 9)
    embed(photos)
    passes.clear()
    np.testing.assert_allclose(embed(photos).features, expected, atol=1e-5)
    assert passes == [], "and kept"


def test_a_cache_that_cannot_be_written_is_done_without(
    embed: Extract, photos: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.parent.parent.joinpath("file").write_text("")
    monkeypatch.setenv("LOWSHOT_CACHE", str(place.parent.parent / "file"))
    assert len(embed(photos)) == 9
    monkeypatch.setenv("LOWSHOT_CACHE", str(place.parent))
    monkeypatch.setattr(cache, "_WAIT_SECONDS", 0.1)
    embed(photos)
    with sqlite3.connect(place) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert len(embed(photos)) == 9
    assert place.exists()


def test_the_file_is_bounded(
    backbone: TinyBackbone, transforms: Transforms, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 100_000)
    features = FeatureCache(Embedder(backbone, transforms))
    for number in range(40):
        digests = [bytes([number, row]) for row in range(100)]
        features.add(digests, np.zeros((100, 6), np.float32), "torch", "32-true")
    assert place.stat().st_size < 150_000
    with sqlite3.connect(place) as file:
        assert file.execute("SELECT count(*) FROM features").fetchone()[0] > 300
    assert features._read([features._key(bytes([39, 99]), "32-true")]), "the latest are kept"


def write(arguments: tuple[Path, int]) -> None:
    place, number = arguments
    from lowshot.data import build_transforms

    features = FeatureCache(Embedder(TinyBackbone(), build_transforms("small", image_size=8)), place)
    features._features = "net"
    for row in range(30):
        features.add([bytes([number, row])], np.full((1, 6), number, np.float32), "torch", "32-true")


def test_processes_write_at_the_same_time(backbone: TinyBackbone, transforms: Transforms, place: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(write, [(place, 0), (place, 1)])
    with sqlite3.connect(place) as file:
        assert file.execute("SELECT count(*) FROM features").fetchone() == (60,)


def test_the_content_of_an_image_counts_and_not_its_name(photos: Path) -> None:
    images = build_dataset("image_folder", root=photos, train_folder=".")
    before = image_digests(images)
    assert len(set(before)) == 9
    reduced = build_dataset("image_folder", root=photos, train_folder=".", decode_size=4)
    assert not set(image_digests(reduced)) & set(before)
    (photos / images.paths[4]).unlink()
    with pytest.raises(InputError, match=images.paths[4]):
        image_digests(images)
