"""build_dataset: one call for every data set, `auto` chooses by what the root is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lowshot.data import build_dataset
from lowshot.errors import InputError
from lowshot.files import write_json
from tests.data.conftest import zip_tree


def test_auto_takes_folders_zips_and_lists(parts: Path, tmp_path: Path) -> None:
    zip_tree(parts, tmp_path / "images.zip")
    (tmp_path / "images.zip").rename(tmp_path / "without_suffix")
    write_json(parts / "some.json", {"image_names": ["train/ant/0.png"], "image_labels": [0]})
    assert len(build_dataset("auto", "test", parts)) == 9
    assert len(build_dataset("auto", "test", tmp_path / "without_suffix")) == 9
    assert len(build_dataset("auto", root=parts / "some.json")) == 1
    assert len(build_dataset("auto", root=parts, train_list="some.json")) == 1
    (parts / "some.json").rename(parts / "train.json")
    assert len(build_dataset("auto", root=parts)) == 1


def test_auto_refuses_what_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no images")
    with pytest.raises(InputError, match=r"notes.txt is neither a folder, a zip nor a JSON list"):
        build_dataset("auto", root=tmp_path / "notes.txt")
    with pytest.raises(InputError, match="nowhere does not exist"):
        build_dataset("auto", root=tmp_path / "nowhere")


def test_mistakes_in_the_call_are_named(parts: Path) -> None:
    with pytest.raises(InputError, match="part 'val' of a data set: expected 'train' or 'test'"):
        build_dataset("auto", "val", parts)
    with pytest.raises(InputError, match=r"'image_foldr'.*image_folder"):
        build_dataset("image_foldr", root=parts)
    with pytest.raises(InputError, match=r"no parameter 'clas_depth'.*class_depth"):
        build_dataset("auto", root=parts, clas_depth=2)
    with pytest.raises(InputError, match="'image_zip' needs a root"):
        build_dataset("image_zip")


def test_the_home_folder_may_be_written_as_a_tilde(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(parts.parent))
    assert len(build_dataset("auto", root="~/parts")) == 9


@pytest.mark.parametrize("name", ["coco_detection", "coco_captions"])
def test_coco_is_refused_with_the_reason_and_a_way_out(name: str) -> None:
    with pytest.raises(InputError, match=r"one class per image.*image_folder"):
        build_dataset(name, root="/data/coco")


def test_data_sets_need_no_torch_to_be_imported_listed_or_opened(parts: Path) -> None:
    script = (
        "import sys; from lowshot.data import build_dataset, ClassSplit, Experiments; "
        "from lowshot.registry import DATASETS; print(DATASETS.names()); "
        f"build_dataset('auto', root={str(parts)!r}).load(0); assert 'torch' not in sys.modules"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for name in ("auto", "cifar10", "cifar100", "image_folder", "image_zip", "json_list", "lsun"):
        assert repr(name) in out.stdout
