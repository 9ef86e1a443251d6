"""Small synthetic features with a split and experiments, in files that the original's programs take."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

BASE = ([0, 1, 2], [3, 4, 5])
NOVEL = ([6, 7, 8], [9, 10, 11])
CLASSES = 12


def write_features(path: Path, features: np.ndarray, labels: np.ndarray, padding: int = 3) -> None:
    """As the original leaves them: three data sets, with rows at the end that mean nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = len(labels)
    with h5py.File(path, "w") as file:
        file["all_feats"] = np.concatenate([features, np.full((padding, features.shape[1]), -7)]).astype(np.float32)
        file["all_labels"] = np.concatenate([labels, np.zeros(padding)]).astype(np.int32)
        file["count"] = np.array([rows], np.int32)


def make(root: Path, dim: int = 8, per_class: int = 20, spread: float = 1.0, seed: int = 0) -> Path:
    """``features/net/{train,val}.hdf5``, ``label_idx.json`` and ``splitfile_1.json`` … of overlapping classes."""
    rng = np.random.default_rng(seed)
    centres = rng.gamma(1.0, 1.0, (CLASSES, dim))
    labels = {}
    for part, count in (("train", per_class), ("val", 12)):
        labels[part] = rng.permutation(np.repeat(np.arange(CLASSES), count))
        noise = rng.normal(0, spread, (len(labels[part]), dim))
        write_features(root / f"features/net/{part}.hdf5", np.maximum(centres[labels[part]] + noise, 0), labels[part])
    for number in (1, 2, 3):
        rows = [rng.permutation(np.flatnonzero(labels["train"] == c))[:10].tolist() for c in range(CLASSES)]
        (root / f"splitfile_{number}.json").write_text(json.dumps(rows))
    groups = {"base_classes_1": BASE[0], "base_classes_2": BASE[1], "base_classes": BASE[0] + BASE[1]}
    groups |= {"novel_classes_1": NOVEL[0], "novel_classes_2": NOVEL[1]}
    (root / "label_idx.json").write_text(json.dumps({**groups, "label_names": [f"c{c}" for c in range(CLASSES)]}))
    return root


_FILES = {
    "lowshotmeta": "label_idx.json",
    "experimentpath": "splitfile_{:d}.json",
    "trainfile": "features/net/train.hdf5",
    "testfile": "features/net/val.hdf5",
    "outdir": "results",
}
LOW_SHOT = [word for flag, value in _FILES.items() for word in (f"--{flag}", value)]
"""The flags that every run on these files has."""
