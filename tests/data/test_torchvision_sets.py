"""CIFAR through torchvision, LSUN from its databases: on tiny files of the same form."""

from __future__ import annotations

import hashlib
import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lowshot.data import build_dataset
from lowshot.errors import InputError
from tests.data.conftest import encoded, noise


@pytest.fixture
def cifar_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-100's files with 6 training and 4 test images, and torchvision told of their digests."""
    from torchvision.datasets import CIFAR100

    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()

    def write(name: str, value: dict[str, Any]) -> str:
        data = pickle.dumps(value)
        (folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    def images(n: int) -> dict[str, Any]:
        data = np.random.default_rng(n).integers(0, 256, (n, 3072), dtype=np.uint8)
        return {"data": data, "fine_labels": [i % 3 for i in range(n)]}

    monkeypatch.setattr(CIFAR100, "train_list", [["train", write("train", images(6))]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", write("test", images(4))]])
    meta = {"filename": "meta", "key": "fine_label_names", "md5": write("meta", {"fine_label_names": ["a", "b", "c"]})}
    monkeypatch.setattr(CIFAR100, "meta", meta)
    return tmp_path


def test_cifar_has_torchvisions_rows_pixels_and_names(cifar_root: Path) -> None:
    from torchvision.datasets import CIFAR100

    dataset, oracle = build_dataset("cifar100", "test", cifar_root), CIFAR100(cifar_root, train=False)
    assert dataset.paths == ["test/a/00000", "test/b/00001", "test/c/00002", "test/a/00003"]
    for row, (image, label) in enumerate(oracle):
        assert dataset.load(row) == image
        assert dataset.labels[row] == label
    assert len(build_dataset("cifar100", "train", cifar_root)) == 6


def test_cifar_pickles_without_its_pixels(cifar_root: Path) -> None:
    dataset = build_dataset("cifar100", "train", cifar_root)
    data = pickle.dumps(dataset)
    assert len(data) < 3072
    assert pickle.loads(data).load(5) == dataset.load(5)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "CIFAR100"])
def test_missing_cifar_files_are_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"not complete in .*unpack https.*download: true"):
        build_dataset(name, root=tmp_path)


class FakeLmdb(ModuleType):
    """As much of the package lmdb as is called: databases are dicts, by file name."""

    Error = type("Error", (Exception,), {})

    def __init__(self, databases: dict[str, dict[bytes, bytes]]) -> None:
        super().__init__("lmdb")
        self.databases = databases

    def open(self, path: str, **options: Any) -> Any:
        if Path(path).name not in self.databases:
            raise self.Error(f"{path}: No such file or directory")
        return SimpleNamespace(begin=lambda: FakeTransaction(self.databases[Path(path).name]))


class FakeTransaction:
    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self.get = rows.get
        self.cursor = lambda: SimpleNamespace(iternext=lambda keys, values: iter(sorted(rows)))

    def __enter__(self) -> FakeTransaction:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def test_lsun_lists_categories_in_order_and_reads_images_by_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = {b"k2": encoded(noise(2)), b"k1": encoded(noise(1))}
    lmdb = FakeLmdb({"tower_val_lmdb": tower, "bridge_val_lmdb": {b"k3": encoded(noise(3))}})
    monkeypatch.setitem(sys.modules, "lmdb", lmdb)
    dataset = build_dataset("lsun", "test", tmp_path, categories=["bridge", "tower"])
    assert dataset.paths == ["bridge/k3", "tower/k1", "tower/k2"]
    assert dataset.labels.tolist() == [0, 1, 1]
    assert pickle.loads(pickle.dumps(dataset)).load(2).tobytes() == noise(2).tobytes()
    with pytest.raises(InputError, match=r"LSUN database .*bridge_train_lmdb cannot be opened"):
        build_dataset("lsun", "train", tmp_path, categories=["bridge"])
    with pytest.raises(InputError, match="no category 'castle': it has bedroom"):
        build_dataset("lsun", root=tmp_path, categories=["castle"])


def test_lsun_says_which_package_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(InputError, match="pip install lmdb"):
        build_dataset("lsun", root=tmp_path)
