"""Teaching, asking, renaming, removing, undoing: on a tiny network, with photos of colours."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lowshot.errors import InputError
from lowshot.recogniser import Recogniser
from lowshot.recogniser import synced as module
from tests.recogniser.conftest import photo, write_photos

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def colours(tmp_path: Path) -> Recogniser:
    opened = Recogniser.create(tmp_path / "colours")
    opened.teach(write_photos(tmp_path / "photos", {"red": 4, "green": 3, "blue": 2}))
    return opened


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def answers_of(opened: Recogniser) -> tuple[list[str], np.ndarray]:
    queries = [photo(colour, seed) for colour in ("red", "green", "blue", "grey") for seed in range(100, 104)]
    return opened.classes, opened.predict_proba(queries)


def test_a_taught_class_is_recognised(colours: Recogniser) -> None:
    assert colours.classes == ["blue", "green", "red"]
    assert colours.shots() == {"blue": 2, "green": 3, "red": 4}
    answers = colours.predict([photo("red", 50), photo("blue", 51)])
    assert [answer.class_ for answer in answers] == ["red", "blue"]
    assert answers[0].nearest is not None
    assert answers[0].nearest.startswith("red/")
    assert answers[0].error is None
    probabilities = colours.predict_proba([photo("red", 50)])
    assert probabilities.sum() == pytest.approx(1)
    assert answers[0].probability == pytest.approx(probabilities.max())


def test_a_new_class_joins_and_the_known_ones_stay(colours: Recogniser) -> None:
    taught = colours.teach({"grey": [photo("grey", 0)]})
    assert (taught.added, taught.new) == ({"grey": 1}, ["grey"])
    found = [answer.class_ for answer in colours.predict([photo(c, 60) for c in ("red", "green", "blue", "grey")])]
    assert found == ["red", "green", "blue", "grey"]


def test_a_loaded_recogniser_gives_the_same_probabilities(colours: Recogniser) -> None:
    names, expected = answers_of(colours)
    loaded = Recogniser.load(colours.folder)
    assert answers_of(loaded)[0] == names
    assert np.array_equal(answers_of(loaded)[1], expected)
    (colours.folder / "classifier.safetensors").unlink()  # it only saves time
    assert np.allclose(answers_of(Recogniser.load(colours.folder))[1], expected, atol=1e-12)


def test_a_classifier_file_of_another_state_is_not_used(colours: Recogniser) -> None:
    old = (colours.folder / "classifier.safetensors").read_bytes()
    colours.teach({"grey": [photo("grey", 0)]})
    (colours.folder / "classifier.safetensors").write_bytes(old)
    assert np.array_equal(answers_of(Recogniser.load(colours.folder))[1], answers_of(colours)[1])


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("teach"), st.sampled_from(["red", "green", "blue", "grey"]), st.integers(0, 5)),
        st.tuples(st.just("remove"), st.sampled_from(["red", "green", "blue", "grey"]), st.just(0)),
        st.tuples(st.just("forget"), st.sampled_from(["red", "green", "blue", "grey"]), st.integers(0, 5)),
        st.tuples(st.just("undo"), st.just(""), st.just(0)),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_any_order_of_changes_equals_teaching_what_remains_at_once(
    changes: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each change is mirrored on a plain set of (class, photo), with a stack of the sets before."""
    folder = tmp_path_factory.mktemp("order")
    opened = Recogniser.create(folder / "a")
    known: set[tuple[str, int]] = set()
    before: list[set[tuple[str, int]]] = []
    for what, name, seed in changes:
        present = {seed for cls, seed in known if cls == name}
        after = set(known)
        if what == "teach" and seed not in present:
            opened.teach({name: [named(name, seed)]})
            after.add((name, seed))
        elif what == "remove" and present:
            opened.remove(name)
            after = {one for one in known if one[0] != name}
        elif what == "forget" and seed in present:
            opened.move_photo(f"{name}/{seed}.png", None)
            after.discard((name, seed))
        elif what == "undo" and before:
            opened.undo()
            known = before.pop()
            continue
        if after != known:
            before = [*before, known][-9:]
            known = after
    groups = {name: [named(name, seed) for cls, seed in sorted(known) if cls == name] for name, _ in sorted(known)}
    assert opened.classes == sorted(groups)
    if not groups:
        return
    once = Recogniser.create(folder / "b")
    once.teach(groups)
    assert once.shots() == opened.shots()
    assert np.array_equal(answers_of(once)[1], answers_of(opened)[1])
    assert np.array_equal(answers_of(Recogniser.load(folder / "a"))[1], answers_of(once)[1])
    assert once.state.unknown_at == opened.state.unknown_at
    assert once.state.estimate == opened.state.estimate


def named(colour: str, seed: int) -> Image.Image:
    image = photo(colour, seed)
    image.filename = f"{seed}.png"
    return image


def test_ten_changes_can_be_undone(colours: Recogniser) -> None:
    expected = []
    for seed in range(12):
        expected.append(answers_of(colours)[1])
        colours.teach({"red": [photo("red", 20 + seed)]})
    for number in range(10):
        assert colours.undo().startswith("taught 1 photos")
        assert np.array_equal(answers_of(colours)[1], expected[-1 - number])
    with pytest.raises(InputError, match="has no earlier state: the last 10 changes can be undone"):
        colours.undo()
    assert np.array_equal(answers_of(Recogniser.load(colours.folder))[1], expected[2])


def test_a_state_that_could_not_be_read_again_is_not_written(
    colours: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = colours.folder.joinpath("recogniser.json").read_bytes()
    decide = module.decide

    def beyond(*arguments: Any) -> Any:
        state, classifier = decide(*arguments)
        return state.model_copy(update={"unknown_at": 1.0000001}), classifier

    monkeypatch.setattr(module, "decide", beyond)
    with pytest.raises(InputError, match="unknown_at"):
        colours.teach({"grey": [photo("grey", 0)]})
    assert colours.folder.joinpath("recogniser.json").read_bytes() == before
    assert "grey" not in Recogniser.load(colours.folder).classes


def test_a_change_of_another_process_is_not_undone_in_place_of_the_one_meant(colours: Recogniser) -> None:
    meant = colours.state.number
    other = Recogniser.load(colours.folder)
    other.rename(other.classes[0], "renamed")
    before = colours.folder.joinpath("recogniser.json").read_bytes()
    with pytest.raises(InputError, match=f"the state is {meant + 1} by now, not {meant}"):
        colours.undo(meant)
    assert colours.folder.joinpath("recogniser.json").read_bytes() == before
    assert other.undo(meant + 1).startswith("renamed")


def test_after_undoing_another_way_is_open(colours: Recogniser) -> None:
    colours.teach({"grey": [photo("grey", 0)]})
    colours.undo()
    assert colours.classes == ["blue", "green", "red"]
    colours.teach({"grey": [photo("grey", 1)], "red": [photo("red", 30)]})
    assert colours.shots() == {"blue": 2, "green": 3, "grey": 1, "red": 5}
    colours.undo()
    colours.undo()
    assert colours.classes == []


def test_renaming_changes_names_alone(colours: Recogniser) -> None:
    before = colours.predict_proba([photo("red", 70)])[0]
    colours.rename("red", "crimson")
    assert colours.classes == ["blue", "crimson", "green"]
    assert np.allclose(colours.predict_proba([photo("red", 70)])[0], before[[0, 2, 1]])
    with pytest.raises(InputError, match="class 'blue' exists already"):
        colours.rename("crimson", "blue")
    with pytest.raises(InputError, match=r"no class 'crimsom'. Did you mean"):
        colours.rename("crimsom", "x")


def test_a_removed_photo_is_erased_once_no_state_refers_to_it(colours: Recogniser) -> None:
    import h5py

    colours.remove("red")
    for seed in range(11):
        colours.teach({"grey": [photo("grey", seed)]})
    with h5py.File(colours.folder / "shots.h5") as file:
        names = [name.decode() for name in file["names"][...].tolist()]
        assert names.count("") == 4
        assert not file["features"][[row for row, name in enumerate(names) if not name]].any()
    assert colours.shots() == {"blue": 2, "green": 3, "grey": 11}


def test_repetitions_are_named_and_not_taught(colours: Recogniser, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    assert colours.teach(photos).added == {}
    assert len(colours.teach(photos).repeated) == 9
    other = colours.teach({"green": [photos / "red" / "00.png"], "grey": [photo("grey", 0)]})
    assert other.repeated == [
        f"{photos / 'red' / '00.png'} is the same file as 00.png of class 'red', so it was not taught as 'green': a "
        "photo has one class"
    ]
    large = Image.open(photos / "red" / "01.png").resize((80, 80), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg")
    assert (
        "is the same picture as 01.png, which 'red' was taught already"
        in (colours.teach({"red": [tmp_path / "large.jpg"]}).repeated[0])
    )
    assert colours.shots()["red"] == 4
    colours.teach({"red": [tmp_path / "large.jpg"]}, keep_repeated=True)
    assert colours.shots()["red"] == 5


def test_a_moved_photo_belongs_to_its_new_class(colours: Recogniser) -> None:
    colours.move_photo("red/00.png", "green")
    assert colours.shots() == {"blue": 2, "green": 4, "red": 3}
    colours.move_photo("blue/00.png", "navy")
    colours.move_photo("blue/01.png", "navy")
    assert colours.classes == ["green", "navy", "red"]
    assert colours.state.id_of.keys() == {"green", "navy", "red"}
    with pytest.raises(InputError, match=r"no taught photos called 'red/77.png'"):
        colours.move_photo("red/77.png", "green")


def test_one_class_answers_that_class(tmp_path: Path) -> None:
    opened = Recogniser.create(tmp_path / "one")
    opened.teach({"red": [photo("red", 0), photo("red", 1)]})
    (answer,) = opened.predict([photo("red", 2)])
    assert (answer.class_, answer.probability, answer.runner_up) == ("red", 1.0, None)
    assert opened.state.unknown_at > 0.3  # other things are unknown, and not this class for lack of another


def test_an_empty_recogniser_says_how_to_teach_it(tmp_path: Path) -> None:
    opened = Recogniser.create(tmp_path / "empty")
    with pytest.raises(InputError, match=r"knows no class yet: lowshot teach .*empty PHOTOS"):
        opened.predict([photo("red", 0)])


def test_unreadable_photos_stop_teaching_unless_they_are_skipped(colours: Recogniser, tmp_path: Path) -> None:
    before = contents(colours.folder)
    folder = write_photos(tmp_path / "more", {"red": 2}, first=80)
    (folder / "red" / "bad.jpg").write_bytes(b"no photo")
    whole = (folder / "red" / "80.png").read_bytes()
    (folder / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"2 of 4 photos cannot be used: .*bad.jpg.*Nothing was taught"):
        colours.teach(folder)
    assert contents(colours.folder) == before
    taught = colours.teach(folder, skip_bad=True)
    assert taught.added == {"red": 2}
    assert len(taught.unreadable) == 2


def test_a_bad_photo_among_others_is_an_answer_with_its_error(colours: Recogniser, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    good, bad, missing = colours.predict([photo("red", 90), tmp_path / "bad.jpg", tmp_path / "none.jpg"])
    assert good.class_ == "red"
    assert bad.class_ is None
    assert "bad.jpg is not one of" in str(bad.error)
    assert "none.jpg" in str(missing.error)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/b", "has a slash"),
        ("x\x1b[31m", "control characters"),
        ("a" * 300, "has 300 characters: at most 100"),
        ("  ", "is empty"),
        ("..", "is empty"),
        ("Red", "differ by case or Unicode form alone"),
        ("ｒｅｄ", "differ by case or Unicode form alone"),
    ],
)
def test_impossible_class_names_change_nothing(colours: Recogniser, name: str, message: str) -> None:
    before = contents(colours.folder)
    with pytest.raises(InputError, match=message):
        colours.teach({name: [photo("red", 99)]})
    with pytest.raises(InputError, match=message):
        colours.rename("blue", name)
    assert contents(colours.folder) == before


def test_names_of_both_unicode_forms_are_one_class(colours: Recogniser) -> None:
    colours.teach({"café": [photo("grey", 0)]})
    colours.teach({"cafe\u0301": [photo("grey", 1)]})
    assert colours.shots()["café"] == 2


def test_classes_without_photos_and_folders_without_classes_are_refused(colours: Recogniser, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="class 'x' has no photos"):
        colours.teach({"x": []})
    (tmp_path / "flat").mkdir()
    photo("red", 0).save(tmp_path / "flat" / "a.png")
    with pytest.raises(InputError, match=r"holds photos but no class folders: expected .*--class NAME"):
        colours.teach(tmp_path / "flat")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        colours.teach(tmp_path / "nothing")


def test_a_recogniser_is_made_in_no_folder_of_photos(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", {"red": 1})
    with pytest.raises(InputError, match=r"photos holds other files \(red\) and no recogniser"):
        Recogniser.create(photos)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file is a file"):
        Recogniser.create(tmp_path / "file")


def edited(colours: Recogniser, **changes: object) -> None:
    path = colours.folder / "recogniser.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "lowshot-recogniser-9"}, "written by a newer one; update lowshot"),
        ({"format": 3}, "needs the key 'format'"),
        ({"rows": 50}, "has 9 of 50 photos"),
        ({"rows": "x"}, "rows: Input should be a valid integer"),
        ({"removed": [77]}, "removed must name different rows"),
        ({"classes": [{"id": 0, "name": "a/b"}]}, "has a slash"),
        ({"unheard": 1}, "unheard: Extra inputs are not permitted"),
        ({"temperature": 0.0}, "temperature: Input should be greater than 0"),
    ],
)
def test_a_damaged_or_newer_state_is_refused(colours: Recogniser, changes: dict[str, object], message: str) -> None:
    edited(colours, **changes)
    with pytest.raises(InputError, match=message):
        Recogniser.load(colours.folder)


def test_truncated_files_are_named(colours: Recogniser) -> None:
    path = colours.folder / "recogniser.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"recogniser\.json"):
        Recogniser.load(colours.folder)
    path.write_bytes(whole)
    shots = colours.folder / "shots.h5"
    whole = shots.read_bytes()
    for length in range(0, len(whole), len(whole) // 40):
        shots.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"shots\.h5"):
            Recogniser.load(colours.folder)


def test_shots_of_another_width_are_refused(colours: Recogniser) -> None:
    import h5py

    with h5py.File(colours.folder / "shots.h5", "r+") as file:
        features = file["features"][...]
        del file["features"]
        file["features"] = features[:, :5]
    with pytest.raises(InputError, match="belongs to another recogniser"):
        Recogniser.load(colours.folder)


def test_other_weights_than_were_taught_are_refused(colours: Recogniser) -> None:
    state = json.loads((colours.folder / "recogniser.json").read_text())
    edited(colours, backbone={**state["backbone"], "fingerprint": "0" * 16})
    assert (
        Recogniser.load(colours.folder).predict([photo("red", 0)])[0].class_ == "red"
    )  # built otherwise, but the same
    edited(colours, backbone={**state["backbone"], "fingerprint": "0" * 16, "probe": state["backbone"]["probe"][::-1]})
    with pytest.raises(InputError, match="was taught with other weights"):
        Recogniser.load(colours.folder).predict([photo("red", 0)])


def test_a_copy_is_independent(colours: Recogniser, tmp_path: Path) -> None:
    copied = colours.save(tmp_path / "copy")
    copied.remove("red")
    assert colours.classes == ["blue", "green", "red"]
    assert copied.classes == ["blue", "green"]
    with pytest.raises(InputError, match="exists already"):
        colours.save(tmp_path / "copy")


def test_without_thumbnails_no_picture_is_kept(tmp_path: Path) -> None:
    from lowshot.recogniser.shots import read_thumbnails

    kept, bare = Recogniser.create(tmp_path / "a"), Recogniser.create(tmp_path / "b", thumbnails=False)
    for opened in (kept, bare):
        opened.teach({"red": [photo("red", 0)]})
    assert read_thumbnails(kept.folder, [0])[0].startswith(b"\xff\xd8")
    assert read_thumbnails(bare.folder, [0]) == [b""]


def _teach(folder: Path, name: str, seeds: range) -> None:
    opened = Recogniser.load(folder)
    for seed in seeds:
        opened.teach({name: [photo(name, seed)]})


def test_two_processes_that_teach_at_once_lose_nothing(colours: Recogniser) -> None:
    context = multiprocessing.get_context("fork")  # so that the tiny network is there as well
    processes = [
        context.Process(target=_teach, args=(colours.folder, name, range(200, 206))) for name in ("red", "grey")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert Recogniser.load(colours.folder).shots() == {"blue": 2, "green": 3, "grey": 6, "red": 10}
    assert Recogniser.load(colours.folder).state.number == 13


def test_a_reader_sees_a_whole_state_while_another_process_writes(colours: Recogniser) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_teach, args=(colours.folder, "grey", range(300, 312)))
    process.start()
    seen = set()
    while process.is_alive():
        seen.add(Recogniser.load(colours.folder).shots().get("grey", 0))
    process.join()
    assert process.exitcode == 0
    assert seen <= set(range(13))
    assert Recogniser.load(colours.folder).shots()["grey"] == 12


def test_a_read_only_folder_answers_and_refuses_to_learn(colours: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    opened = Recogniser.load(colours.folder)
    assert opened.predict([photo("red", 0)])[0].class_ == "red"
    with pytest.raises(InputError, match=r"colours cannot be written: Read-only file system"):
        opened.teach({"grey": [photo("grey", 0)]})


@pytest.mark.parametrize("at", range(8))
def test_a_full_disk_at_any_write_leaves_the_state_before(
    colours: Recogniser, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lowshot import files

    names, expected = answers_of(colours)
    written = 0
    real = files.commit

    def fails(temporary: Path, target: Path) -> None:
        nonlocal written
        written += 1
        if written == at + 1:
            raise OSError(28, "No space left on device")
        real(temporary, target)

    monkeypatch.setattr(files, "commit", fails)
    said = ""
    try:
        colours.teach({"grey": [photo("grey", 0)]})
    except InputError as refused:
        said = str(refused)
    complete = not said
    assert complete or "is unchanged: it cannot be written: No space left on device" in said
    monkeypatch.setattr(files, "commit", real)
    loaded = Recogniser.load(colours.folder)
    if complete:
        assert "grey" in loaded.classes
    else:
        assert answers_of(loaded)[0] == names
        assert np.array_equal(answers_of(loaded)[1], expected)
        loaded.teach({"grey": [photo("grey", 0)]})
    assert "grey" in loaded.classes


def test_large_recognisers_append_and_join(colours: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowshot.recogniser.shots.REWRITTEN_BYTES", 0)
    monkeypatch.setattr("lowshot.recogniser.shots.JOINED_AT", 1.2)
    first = (colours.folder / "shots.h5").read_bytes()
    names = []
    for seed in range(6):
        colours.teach({"grey": [photo("grey", seed)]})
        names.append(sorted(path.name for path in colours.folder.glob("shots*.h5")))
        assert Recogniser.load(colours.folder).shots()["grey"] == seed + 1
    assert names[0] == ["shots-9.h5", "shots.h5"]
    assert ["shots.h5"] in names
    assert first != (colours.folder / "shots.h5").read_bytes()
    colours.undo()
    colours.teach({"grey": [photo("grey", 40)]})
    assert Recogniser.load(colours.folder).shots()["grey"] == 6


def test_a_folder_that_vanishes_is_named(colours: Recogniser) -> None:
    shutil.rmtree(colours.folder)
    with pytest.raises(InputError, match="is not there"):
        Recogniser.load(colours.folder)
