"""Recognisers on the hub: a stand-in server on this machine, and folders."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lowshot.errors import InputError, LowshotError
from lowshot.recogniser import Recogniser
from lowshot.recogniser.shots import read_shots, read_thumbnails
from tests.recogniser.conftest import photo, write_photos
from tests.recogniser.hub_server import Hub, running_hub

pytestmark = pytest.mark.usefixtures("tiny")

QUERIES = [photo(colour, 80) for colour in ("red", "green", "blue")]


@pytest.fixture
def colours(tiny: None, tmp_path: Path) -> Recogniser:
    opened = Recogniser.create(tmp_path / "colours")
    opened.teach(write_photos(tmp_path / "photos", {"red": 4, "green": 3, "blue": 2}))
    opened.move_photo("red/03.png", None)
    return opened


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    with running_hub() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.endpoint)
        template = running.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_of_this_test")
        yield running


def test_what_was_pushed_is_fetched(colours: Recogniser, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert "user/birds" in colours.push_to_hub("user/birds")
    said = "".join(capsys.readouterr())
    assert "shares the features and file names of 8 photos, with small pictures of them" in said
    assert "private" in (
        hub.created[0].get("visibility"),
        *(key for key, value in hub.created[0].items() if value is True),
    )
    files = hub.models["user/birds"]
    assert {"recogniser.json", "shots.h5", "README.md", "classifier.safetensors", "config.json"} == set(files)
    assert 'Recogniser.from_pretrained("user/birds")' in files["README.md"].decode()
    fetched = Recogniser.from_pretrained("user/birds")
    assert (fetched.classes, fetched.shots()) == (colours.classes, colours.shots())
    np.testing.assert_array_equal(fetched.predict_proba(QUERIES), colours.predict_proba(QUERIES))


def test_a_fetched_one_is_copied_before_it_is_taught(colours: Recogniser, hub: Hub, tmp_path: Path) -> None:
    colours.push_to_hub("user/birds")
    cached = Recogniser.from_pretrained("user/birds")
    for change in (lambda: cached.teach({"grey": [photo("grey", 0)]}), cached.undo, lambda: cached.remove("red")):
        with pytest.raises(InputError, match="cannot be changed, it lies in the cache"):
            change()
    own = Recogniser.from_pretrained("user/birds", tmp_path / "own")
    own.teach({"grey": [photo("grey", 0)]})
    assert "grey" in Recogniser.load(tmp_path / "own").classes
    assert cached.save(tmp_path / "saved").remove("red") is None
    assert Recogniser.from_pretrained("user/birds").classes == colours.classes


def test_nothing_but_a_recogniser_is_fetched(colours: Recogniser, hub: Hub, tmp_path: Path) -> None:
    colours.push_to_hub("user/birds")
    hub.models["user/birds"] |= {"evil.py": b"raise SystemExit", "model.pkl": b"1", "history/evil.so": b"1"}
    fetched = Recogniser.from_pretrained("user/birds")
    names = {str(path.relative_to(fetched.folder)) for path in fetched.folder.rglob("*") if path.is_file()}
    assert not {"evil.py", "model.pkl", "history/evil.so"} & names
    hub.models["user/other"] = {"README.md": b"another thing"}
    with pytest.raises(InputError, match="user/other on the hub is no recogniser"):
        Recogniser.from_pretrained("user/other")


def test_what_the_hub_refuses_is_said(colours: Recogniser, hub: Hub) -> None:
    with pytest.raises(InputError, match="the hub has no model 'user/none'"):
        Recogniser.from_pretrained("user/none")
    with pytest.raises(InputError, match="no name of a model"):
        Recogniser.from_pretrained("user/two/three")
    with pytest.raises(InputError, match="no name of a model"):
        colours.push_to_hub("a b")
    hub.status = 403
    with pytest.raises(LowshotError, match="user/birds: the hub cannot be reached, or refuses"):
        colours.push_to_hub("user/birds")


def test_a_copy_without_pictures_has_none(colours: Recogniser, tmp_path: Path) -> None:
    assert any(read_thumbnails(colours.folder, range(9)))
    colours.save_pretrained(tmp_path / "shared", thumbnails=False)
    shared = Recogniser.from_pretrained(tmp_path / "shared")
    assert shared.state.thumbnails is False
    assert not any(read_thumbnails(shared.folder, range(9)))
    assert b"JFIF" not in (tmp_path / "shared" / "shots.h5").read_bytes()
    np.testing.assert_array_equal(shared.predict_proba(QUERIES), colours.predict_proba(QUERIES))


def test_a_copy_has_nothing_of_what_was_removed_unless_it_is_asked_for(colours: Recogniser, tmp_path: Path) -> None:
    removed = read_shots(colours.folder, 9, 12).digests[colours.state.removed[0]]
    colours.save_pretrained(tmp_path / "shared")
    shared = Recogniser.load(tmp_path / "shared")
    assert shared.state.history == []
    assert removed.encode() not in (shared.folder / "shots.h5").read_bytes()
    with pytest.raises(InputError, match="no earlier state"):
        shared.undo()
    colours.save_pretrained(tmp_path / "whole", history=True)
    whole = Recogniser.load(tmp_path / "whole")
    whole.undo()
    assert whole.shots()["red"] == 4
    with pytest.raises(InputError, match="exists already"):
        colours.save_pretrained(tmp_path / "whole")


def test_the_hub_is_imported_when_it_is_used(colours: Recogniser) -> None:
    program = f"""
import sys
from lowshot.recogniser import Recogniser
Recogniser.load({str(colours.folder)!r})
assert "huggingface_hub" not in sys.modules
sys.modules["huggingface_hub"] = None
try:
    Recogniser.from_pretrained("user/birds")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.startswith("InputError the hub needs the package huggingface_hub: pip install 'lowshot[hub]'")
