"""Features, images, a checkpoint, a generator and a matching network that fit each other, and the commands on them."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lowshot.classifiers import MatchingNetwork
from lowshot.compat.formats.checkpoint import write_checkpoint
from lowshot.compat.formats.generator import write_generator
from lowshot.compat.formats.matching_network import write_matching_network
from lowshot.hallucination import AnalogyGenerator
from lowshot.representation import build_backbone
from tests.compat import features, fixture

DIM = 8
LOW_SHOT = ["low_shot", *features.LOW_SHOT, "--lowshotn", "1", "--maxiters", "2"]
GENERATION = [*LOW_SHOT, "--max_per_label", "3", "--generator_name", "analogies", "--generator_file", "generator.tar"]
SAVE = ["save_features", "--cfg", "images/val_save_data.yaml", "--outfile", "out/val.hdf5", "--modelfile", "net.tar"]
SAVE12 = [*SAVE, "--num_classes", "12"]
ANALOGIES = ["train_analogy_generator", "--lowshotmeta", "label_idx.json", "--outdir", "generation"]
WITH_NETWORK = [*ANALOGIES, "--numclasses", "12", "--networkfile", "net.tar", "--trainfile"]
MATCHING = ["matching_network", *features.LOW_SHOT, "--modelfile", "mn.tar", "--test"]
TRAIN = ["main", "--traincfg", "images/base_classes_train_template.yaml"]
TRAIN = [*TRAIN, "--valcfg", "images/base_classes_val_template.yaml", "--checkpoint_dir", "checkpoints"]

PLUGIN = """
import numpy as np

def init_generator(filename):
    return float(open(filename).read())

def do_generate(feats, labels, generator, max_per_label):
    more = [(row + generator, label) for row, label in zip(feats, labels) for _ in range(max_per_label - 1)]
    return np.vstack([feats, [row for row, _ in more]]), np.append(labels, [label for _, label in more])
"""


def run(program: str, *arguments: str | Path) -> int:
    """Run a program in this process; returns its exit code."""
    return importlib.import_module(f"lowshot.compat.{program}").main([str(word) for word in arguments])


def base_examples(dim: int = DIM) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((60, dim), np.float32), np.repeat(np.arange(6), 10)


def generator(dim: int = DIM) -> AnalogyGenerator:
    return AnalogyGenerator(n_clusters=3, n_steps=3, hidden=8).fit(*base_examples(dim))


def make(root: Path) -> Path:
    """Write everything that the commands above name; data configurations start from ``root``."""
    features.make(root)
    features.make(root / "wide", dim=512)
    fixture.make(root / "images")
    for path in (root / "images").glob("*.yaml"):
        path.write_text(path.read_text().replace("meta: ", "meta: images/").replace("imagenet", "images/imagenet"))
    write_checkpoint(root / "net.tar", build_backbone("resnet10", 12), 3)
    write_generator(root / "generator.tar", generator())
    write_matching_network(root / "mn.tar", MatchingNetwork(n_episodes=1, n_support=1).fit_base(*base_examples()))
    return root


def stamps(root: Path) -> dict[Path, int]:
    """Return the time at which each file and folder was last written."""
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


class Malice:
    """Unpickling this makes a folder."""

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, ("ran",)


def truncate(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[: Path(path).stat().st_size // 2])


def infect(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(pickle.dumps(Malice(), protocol=2))


def infect_zip(path: str) -> Callable[[], object]:
    return lambda: torch.save({"epoch": 3, "state": Malice()}, path)


def drop(path: str, *keys: str) -> Callable[[], object]:
    """Leave some parameters out of a checkpoint, or keys out of a generator."""

    def work() -> None:
        content = torch.load(path, weights_only=True)
        inner = content.get("state", content)
        for key in keys:
            del inner[key]
        torch.save(content, path)

    return work
