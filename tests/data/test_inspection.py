"""Images that cannot be read are found before a run: every header is read, and a few images are decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowshot.data import build_dataset, drop_bad_images
from lowshot.data.inspection import inspect_images
from lowshot.errors import InputError
from tests.data.conftest import MemoryImages, encoded, noise, png_that_claims, zip_tree


@pytest.mark.parametrize("zipped", [False, True])
def test_bad_headers_are_counted_and_the_first_is_named_with_a_way_out(
    parts: Path, tmp_path: Path, zipped: bool
) -> None:
    inspect_images(build_dataset("auto", root=parts))
    (parts / "train/bee/1.png").write_bytes(b"words")
    (parts / "train/cow/0.png").write_bytes(png_that_claims(40_000, 40_000))
    dataset = build_dataset("auto", root=zip_tree(parts, tmp_path / "parts.zip") if zipped else parts)
    message = r"^image train/bee/1.png is not one of .*\(and 1 more image cannot be read\); data\.on_bad_image=skip"
    with pytest.raises(InputError, match=message):
        inspect_images(dataset)
    inspect_images(drop_bad_images(dataset, progress=False)[0])


def test_damage_behind_a_header_is_found_in_the_sample_that_is_decoded(
    parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoded(noise(1, (64, 64)))
    (parts / "train/ant/0.png").write_bytes(whole[: len(whole) // 2])
    dataset = build_dataset("auto", root=parts)
    with pytest.raises(InputError, match=r"train/ant/0.png is damaged or truncated"):
        inspect_images(dataset)
    monkeypatch.setattr("lowshot.data.inspection.DECODED", 0)
    inspect_images(dataset)


def test_of_very_many_images_an_even_sample_is_looked_at(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowshot.data.inspection.MOST_HEADERS", 3)
    monkeypatch.setattr("lowshot.data.inspection.DECODED", 0)
    dataset = build_dataset("auto", root=parts)
    read: list[int] = []
    monkeypatch.setattr(type(dataset), "read_header", lambda self, row: read.append(row))
    inspect_images(dataset)
    assert sorted(read) == [0, 4, 8]


def test_images_without_files_have_no_header() -> None:
    inspect_images(MemoryImages([0, 1], 2))
