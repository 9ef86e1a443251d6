"""The rendered characters: the list of classes, the images, the data set and its cache."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont

from lowshot.data import build_dataset
from lowshot.data.glyphs import cache
from lowshot.data.glyphs.characters import MAX_CLASSES, SCRIPTS, choose
from lowshot.data.glyphs.distinct import MIN_FACES, candidates, differences, distinct, script_of
from lowshot.data.glyphs.faces import FACES, draw, faces_of, path_of
from lowshot.data.glyphs.photograph import ink_of, photograph
from lowshot.data.sets.glyphs import Glyphs
from lowshot.errors import InputError

EVERY_CLASS = "".join(SCRIPTS.values())


@pytest.fixture
def small(tmp_path):
    """Options of a data set that is drawn in a fraction of a second."""
    return {"classes": 5, "train_per_class": 4, "test_per_class": 2, "cache": tmp_path / "cache"}


def request_of(**changes) -> cache.Request:
    fields = {"characters": tuple(choose(3)), "per_class": 2, "part": "train", "size": 16, "difficulty": 1.0, "seed": 0}
    return cache.Request(**{**fields, **changes})


# The classes


@pytest.mark.parametrize("face", FACES)
def test_no_class_is_ever_drawn_with_the_box_for_a_missing_glyph(face):
    font = TTFont(path_of(face), lazy=True)
    names, missing = font.getBestCmap(), font.getGlyphOrder()[0]
    for character in EVERY_CLASS:
        if face in faces_of(character):
            assert names.get(ord(character), missing) != missing, character
            assert draw(face, character, 24).getextrema()[1] > 128, f"{character} is blank"


def test_a_face_that_lacks_a_character_is_not_asked_for_it():
    assert "cmr10" in faces_of("A")
    assert "cmr10" not in faces_of("Ж")
    assert faces_of("\U0010ffff") == ()


def test_each_character_is_one_class_in_its_own_script_with_faces_enough():
    assert len(EVERY_CLASS) == len(set(EVERY_CLASS)) == MAX_CLASSES >= 300
    for script, characters in SCRIPTS.items():
        assert characters == "".join(sorted(characters))
        for character in characters:
            assert script_of(character) == script
            assert len(faces_of(character)) >= MIN_FACES
            assert unicodedata.normalize("NFKD", character) == character


def test_of_characters_that_look_alike_at_most_one_is_a_class():
    for alike in ("AΑА", "oO0οОՕ", "cCсϹ", "lI|Ι", "vV", "xX", "sSЅ", "pPР", "BΒВ", "Жж", "αɑ"):
        assert sum(character in EVERY_CLASS for character in alike) <= 1, alike


def test_the_list_of_classes_can_be_found_again():
    found = candidates()
    assert set(EVERY_CLASS) < set(found)
    start = found[:20]
    assert distinct(start) == [character for character in start if character in EVERY_CLASS]


def test_a_difference_ignores_size_and_slant_and_sees_a_missing_stroke():
    o, large_o, e, f, oblique, bar = range(6)
    difference = differences(["o", "O", "E", "F", "/", "-"])
    assert difference[o, large_o] < 0.4 < 0.6 < difference[e, f]
    assert difference[oblique, bar] == np.inf
    assert np.array_equal(difference, difference.T)


def test_more_classes_include_the_first_ones_and_any_number_mixes_the_scripts():
    assert choose(60)[:20] == choose(20)
    assert sorted(choose(MAX_CLASSES)) == sorted(EVERY_CLASS)
    for script, characters in SCRIPTS.items():
        share = len(characters) / MAX_CLASSES
        assert sum(script_of(c) == script for c in choose(100)) == pytest.approx(100 * share, abs=1.5)


# The images


def test_every_image_shows_its_character_with_enough_ink_and_contrast():
    luma = np.array([0.299, 0.587, 0.114])
    place = np.indices((32, 32)).reshape(2, -1) / 32
    for character in choose(MAX_CLASSES)[::3]:
        image, ink = (make(character, 32, 1.0, np.random.default_rng(ord(character))) for make in (photograph, ink_of))
        assert 0.02 < ink.mean() < 0.6, character
        light = np.stack([ink.ravel(), np.ones(ink.size), *place], axis=1)
        contrast = np.linalg.lstsq(light, (image @ luma).ravel())[0][0]
        assert abs(contrast) > 25, character


def test_difficulty_0_prints_a_face_and_two_colours_that_differ_in_full():
    images = [photograph("A", 32, 0.0, np.random.default_rng(k)) for k in range(6)]
    for image in images:
        assert (image.min(), image.max()) == (0, 255)
        assert np.array_equal(image[..., 0], image[..., 2])
    assert len({image.tobytes() for image in images}) > 1


@pytest.mark.parametrize("size", [16, 33, 64])
def test_images_come_in_any_size(size):
    assert photograph("Ж", size, 1.0, np.random.default_rng(0)).shape == (size, size, 3)


# The data set


def test_it_is_a_data_set_with_readable_names(small):
    train = build_dataset("glyphs", **small)
    assert (len(train), train.num_classes) == (20, 5)
    assert train.labels.tolist() == [label for label in range(5) for _ in range(4)]
    assert train.class_names[0] == "A LATIN CAPITAL LETTER A"
    assert train.paths[:2] == [
        "train/U+0041 LATIN CAPITAL LETTER A/0000.png",
        "train/U+0041 LATIN CAPITAL LETTER A/0001.png",
    ]
    assert len(set(train.paths)) == 20
    assert (train.load(7).mode, train.load(7).size) == ("RGB", (32, 32))
    assert len(build_dataset("glyphs", part="test", **small)) == 10


def test_parts_and_seeds_share_no_image(small):
    sets = [Glyphs("train", **small), Glyphs("test", **small), Glyphs("train", seed=1, **small)]
    images = [dataset.load(row).tobytes() for dataset in sets for row in range(len(dataset))]
    assert len(set(images)) == len(images)
    assert len({dataset.fingerprint for dataset in sets}) == 3


def test_an_image_stays_the_same_when_classes_and_images_are_added(small):
    few, many = Glyphs(**small), Glyphs(**{**small, "classes": 8, "train_per_class": 6})
    row_of = {path: row for row, path in enumerate(many.paths)}
    for row, path in enumerate(few.paths):
        assert few.load(row).tobytes() == many.load(row_of[path]).tobytes()


def test_it_is_pickled_without_its_images(small):
    dataset = Glyphs(**small, image_size=64)
    sent = pickle.dumps(dataset)
    assert len(sent) < dataset.load(0).width ** 2
    copy = pickle.loads(sent)
    assert copy.load(3).tobytes() == dataset.load(3).tobytes()
    assert copy.fingerprint == dataset.fingerprint


def test_views_read_the_same_images(small):
    dataset = Glyphs(**small)
    view = dataset.of_classes([3])
    assert view.load(1).tobytes() == dataset.load(13).tobytes()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("classes", MAX_CLASSES + 1, f"there are {MAX_CLASSES}"),
        ("classes", 1, "at least 2"),
        ("classes", 2.0, "whole number"),
        ("train_per_class", 0, "at least 1"),
        ("test_per_class", True, "whole number"),
        ("image_size", 8, "at least 16"),
        ("image_size", 512, "16 to 256"),
        ("seed", -1, "at least 0"),
        ("difficulty", 1.5, "at least 0 and of at most 1"),
        ("difficulty", float("nan"), "at least 0"),
        ("difficulty", "hard", "at least 0"),
        ("part", "val", "'train' or 'test'"),
    ],
)
def test_an_option_out_of_range_is_named_and_nothing_is_drawn(small, option, value, expected):
    with pytest.raises(InputError, match=option) as error:
        Glyphs(**{**small, option: value})
    assert expected in str(error.value)
    assert not small["cache"].exists()


# The cache


def test_any_number_of_processes_draws_the_same_bytes(tmp_path):
    request = request_of(characters=tuple(choose(6)))
    for processes in (1, 2):
        cache.render(request, tmp_path / f"{processes}.npy", processes=processes)
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "2.npy").read_bytes()
    assert np.array_equal(np.load(tmp_path / "1.npy"), np.concatenate([request.draw(c) for c in request.characters]))


def test_two_programs_that_draw_at_once_leave_one_complete_file(small, tmp_path):
    script = (
        "import sys; from lowshot.data import build_dataset\n"
        "build_dataset('glyphs', classes=5, train_per_class=4)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    shared = tmp_path / "shared"
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", script], env={**os.environ, "LOWSHOT_CACHE": str(shared), "PYTHONHASHSEED": seed}
        )
        for seed in "12"
    ]
    assert [program.wait(60) for program in programs] == [0, 0]
    (theirs,) = shared.iterdir()
    Glyphs(**small)
    (ours,) = small["cache"].iterdir()
    assert (theirs.name, zlib.crc32(theirs.read_bytes())) == (ours.name, zlib.crc32(ours.read_bytes()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:40],
        lambda data: b"",
        lambda data: data.replace(b"|u1", b"|O8", 1),
        lambda data: b"PK\x03\x04" + data[4:],
    ],
    ids=["cut", "longer", "header only", "empty", "of objects", "of another format"],
)
def test_a_damaged_cache_is_drawn_again(small, damage):
    Glyphs(**small)
    (path,) = small["cache"].iterdir()
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    Glyphs(**small)
    assert path.read_bytes() == intact


def test_an_intact_cache_is_not_drawn_again(small, monkeypatch):
    Glyphs(**small)
    monkeypatch.setattr(cache, "render", None)
    Glyphs(**small)


def test_an_interrupted_rendering_leaves_nothing(tmp_path, monkeypatch):
    drawn = cache.Request.draw

    def interrupted(request, character):
        if character == request.characters[-1]:
            raise KeyboardInterrupt
        return drawn(request, character)

    monkeypatch.setattr(cache.Request, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.render(request_of(), tmp_path / "part.npy")
    assert list(tmp_path.iterdir()) == []


def test_images_held_open_outlive_a_second_rendering(tmp_path):
    mapped = cache.cached_images(request_of(), tmp_path)
    before = mapped.copy()
    (path,) = tmp_path.iterdir()
    cache.render(request_of(), path)
    assert np.array_equal(mapped, before)
    assert not mapped.flags.writeable


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"part": "test"},
        {"size": 17},
        {"difficulty": 0.5},
        {"per_class": 3},
        {"characters": ("A", "C", "D")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_the_pixels_changes_the_name_of_the_cache(change):
    assert request_of(**change).fingerprint != request_of().fingerprint


def test_a_change_of_renderer_or_tools_changes_the_name_of_the_cache(monkeypatch):
    before = request_of().fingerprint
    for name, value in (("RENDERER", 0), ("pillow_version", "0")):
        with monkeypatch.context() as patch:
            patch.setattr(cache, name, value)
            assert request_of().fingerprint != before
    assert request_of().fingerprint == before


def test_a_cache_folder_that_cannot_be_written_is_named(small, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"file.*LOWSHOT_CACHE"):
        Glyphs(**{**small, "cache": tmp_path / "file" / "cache"})


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("LOWSHOT_CACHE", "/a")
    assert cache.default_folder() == Path("/a")
    monkeypatch.delenv("LOWSHOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache.default_folder() == Path("/b/lowshot")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert cache.default_folder() == Path("/c/.cache/lowshot")
