"""drop_bad_images: every image is decoded once, and all stages see the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowshot.data import build_dataset, drop_bad_images
from lowshot.errors import InputError
from tests.data.conftest import png_that_claims


@pytest.fixture
def damaged(parts: Path) -> Path:
    """Two bad images among nine."""
    intact = (parts / "train/ant/1.png").read_bytes()
    (parts / "train/ant/1.png").write_bytes(intact[: len(intact) // 2])
    (parts / "train/cow/0.png").write_bytes(png_that_claims(40_000, 40_000))
    return parts


@pytest.mark.parametrize("workers", [1, 3])
def test_bad_images_are_left_out_and_reported_with_their_reason(damaged: Path, workers: int) -> None:
    dataset = build_dataset("image_folder", root=damaged)
    good, skipped = drop_bad_images(dataset, workers=workers)
    assert [(image.row, image.path) for image in skipped] == [(1, "train/ant/1.png"), (6, "train/cow/0.png")]
    assert "damaged or truncated" in skipped[0].reason
    assert "decompression bomb" in skipped[1].reason
    assert good.paths == [path for row, path in enumerate(dataset.paths) if row not in (1, 6)]
    assert good.labels.tolist() == np.delete(dataset.labels, [1, 6]).tolist()
    assert drop_bad_images(good) == (good, [])


def test_sound_data_come_back_as_they_are(parts: Path) -> None:
    dataset = build_dataset("image_folder", root=parts)
    assert drop_bad_images(dataset) == (dataset, [])


def test_a_second_stage_reads_the_result_and_gets_the_same_rows(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = build_dataset("image_folder", root=damaged)
    good, skipped = drop_bad_images(dataset, cache=tmp_path / "cache")
    monkeypatch.setattr(type(dataset), "load", lambda self, row: pytest.fail("decoded again"))
    again, same = drop_bad_images(build_dataset("image_folder", root=damaged), cache=tmp_path / "cache")
    assert (again.paths, same) == (good.paths, skipped)
    assert again.fingerprint == good.fingerprint


def test_changed_images_or_limits_are_looked_at_again(damaged: Path, tmp_path: Path) -> None:
    drop_bad_images(build_dataset("image_folder", root=damaged), cache=tmp_path / "cache")
    (damaged / "train/cow/0.png").write_bytes((damaged / "train/cow/1.png").read_bytes() + b" ")
    repaired = build_dataset("image_folder", root=damaged)
    assert len(drop_bad_images(repaired, cache=tmp_path / "cache")[1]) == 1
    tiny = build_dataset("image_folder", root=damaged, max_pixels=10)
    with pytest.raises(InputError, match="max_pixels is 10"):
        drop_bad_images(tiny, cache=tmp_path / "cache")


def test_a_class_without_any_good_image_is_refused_by_name(damaged: Path) -> None:
    for file in (damaged / "train/bee").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"class 'bee' has no good image; .*train/bee/0.png"):
        drop_bad_images(build_dataset("image_folder", root=damaged))
