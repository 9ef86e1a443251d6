"""The formats: a few good files of each, how they are damaged, and what a user's command does with them."""

from __future__ import annotations

import functools
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.fuzz.mutations import json_text, mutated_bytes, mutated_text, mutated_tree

DIM, CLASSES, PER_CLASS = 4, 8, 6
LABELS = np.repeat(np.arange(CLASSES), PER_CLASS)
NAMES = [f"class {c}" for c in range(CLASSES)]
PATHS = [f"{c}/{row}.png" for row, c in enumerate(LABELS)]


@dataclass(frozen=True)
class Target:
    """A format.

    Attributes:
        suffix (str): The end of the file's name.
        seeds (callable): A function that makes good files in a folder: bytes, or trees that are written as text.
        damage (callable): A function from a good file to damaged bytes.
        read (callable): The reading that a user's command does; it may write into the folder.
        dump (callable): A function that writes a tree as text.
    """

    suffix: str
    seeds: Callable[[Path], list[Any]]
    damage: Callable[[Any, random.Random], bytes]
    read: Callable[[Path, Path], None]
    dump: Callable[[Any], str | bytes] = json_text

    def intact(self, seed: Any) -> bytes:
        """The file of a seed."""
        made = seed if isinstance(seed, bytes) else self.dump(seed)
        return made if isinstance(made, bytes) else made.encode()


def features() -> np.ndarray:
    means = np.random.default_rng(0).normal(size=(CLASSES, DIM))
    return (means[LABELS] + 0.3 * np.random.default_rng(1).normal(size=(len(LABELS), DIM))).astype(np.float32)


def store(path: Path) -> Path:
    from lowshot.features import FeatureStore

    if not path.exists():
        with FeatureStore.create(path, DIM, len(LABELS), class_names=NAMES) as out:
            out.append(features(), LABELS, PATHS)
    return path


# ------------------------------------------------------------------------------------------------- text formats


def recipe_seeds(folder: Path) -> list[Any]:
    given = {part: str(store(folder / f"{part}.hdf5")) for part in ("train", "test")}
    methods = {
        "linear": {"classifier": "logistic", "params": {"n_steps": 5, "lr": 0.1}, "grid": {"lr": [0.1, 1.0]}},
        "more": {"classifier": "ridge", "generator": "noise", "n_per_class": 4},
    }
    common = {
        "name": "fuzzed",
        "output": str(folder / "out"),
        "split": {"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 3},
        "generators": {"noise": {"generator": "difference", "params": {"random_state": 0}}},
        "tune": {"target": "mean_all_top1"},
        "evaluate": {"n_shots": [1, 2], "methods": methods},
        "report": {"title": "A title", "metrics": ["all_top1"]},
    }
    images = {
        "data": {"dataset": "glyphs", "options": {"classes": 8, "train_per_class": 4, "test_per_class": 2}},
        "train": {"backbone": "resnet10", "epochs": 1, "batch_size": 4, "lr": 0.1},
        "representations": {"a": {"label": "A"}, "b": {"train": {"loss": "sgm", "loss_weight": 0.1}}},
        "episodes": {"n_way": 2, "n_shots": [1], "n_query": 1, "n_tasks": 2},
    }
    return [{**common, "representations": {"given": {"features": given}}}, {**common, **images}]


def read_recipe(path: Path, folder: Path) -> None:
    from lowshot.pipeline import validate_recipe

    validate_recipe(path)


def split_seeds(folder: Path) -> list[Any]:
    from lowshot.data import ClassSplit

    ClassSplit([0, 3], [1, 6], [2, 7], [4, 5], NAMES).to_json(folder / "good.json")
    return [json.loads((folder / "good.json").read_text())]


def read_split(path: Path, folder: Path) -> None:
    from lowshot.data import ClassSplit

    split = ClassSplit.from_json(path)
    split.check(NAMES)
    for setup in ("val", "test"):
        split.setup(setup)
    split.check_labels(LABELS)
    _ = split.fingerprint


def experiment_seeds(folder: Path) -> list[Any]:
    from lowshot.data import Experiments

    Experiments.random(LABELS, PATHS, n_experiments=1, max_shots=3, class_names=NAMES).write(
        str(folder / "good_{:d}.json")
    )
    bare = [np.flatnonzero(c == LABELS).tolist() for c in range(CLASSES)]
    return [json.loads((folder / "good_1.json").read_text()), bare]


def read_experiments(path: Path, folder: Path) -> None:
    from lowshot.data import Experiments

    os.replace(path, folder / "splitfile_1.json")
    experiments = Experiments.from_files(str(folder / "splitfile_{:d}.json"))
    experiments.check(LABELS, PATHS)
    experiments.shots(1, 2, np.arange(CLASSES))


def result_seeds(folder: Path) -> list[Any]:
    record = {
        **{
            "recipe": "r",
            "representation": "given",
            "method": "ridge",
            "classifier": "ridge",
            "params": {"alpha": 1.0},
        },
        **{"setup": "test", "n_shots": 1, "experiment": 1, "unit": "0123", "unit_size": 1, "task": "0123-1"},
        **{"all_top1": 0.5, "all_top5": 1.0, "novel_top5": 0.25, "prior": None, "seconds": 0.1, "base_seconds": 0.2},
        **{"data": {"train": "a", "test": "b", "split": "c", "base": 2, "novel": 2, "classes": 8}, "features": "f"},
        **{"shots": "s", "seed": 0, "host": "h", "time": "2026-01-01T00:00:00+0000", "versions": {"lowshot": "0"}},
        **{"classes": {"base": [1, 2], "novel": [4, 5]}, "class_names": list("abcd"), "queries_by_class": [4, 4, 2, 4]},
        **{"top1_by_class": [1, 2, 1, 0], "top5_by_class": [4, 4, 2, 4], "novel_only_top5_by_class": [2, 4]},
        **{"answered_as": {"base": [3, 2, 3], "novel": [1, 2, 3]}, "answers": "a", "confusions": [[1, 4, 2, 7]]},
    }
    return [record]


def damaged_results(tree: Any, rng: random.Random) -> bytes:
    lines = [json_text({**tree, "n_shots": n, "unit": f"u{n}"}).encode() for n in (1, 2, 5)]
    lines[rng.randrange(3)] = mutated_text(tree, json_text, rng).replace(b"\n", b" ")
    return b"\n".join(lines) + b"\n" * rng.randrange(2)


def read_results(path: Path, folder: Path) -> None:
    from lowshot.benchmark import ResultStore
    from lowshot.benchmark.results import read_records
    from lowshot.report.class_results import class_results
    from lowshot.report.class_views import class_section
    from lowshot.report.comparison import compare
    from lowshot.report.difference_views import difference_section
    from lowshot.report.differences import find_differences
    from lowshot.report.stores import open_stores
    from lowshot.report.table_data import build_tables
    from lowshot.report.tables import to_csv, to_markdown

    _ = ResultStore(path).records
    read_records(path)
    found = compare(open_stores([path]))
    to_markdown(found.records, None, found.setup)
    to_csv(found.records, None, found.setup)
    tables = [find_differences(found.records, table) for table in build_tables(found.records, None, found.setup)]
    difference_section(tables)
    results = class_results(found.records, found.setup)
    class_section(results, [(one.representation, one.method) for one in results], None)


# ----------------------------------------------------------------------------------------------- binary formats


def feature_seeds(folder: Path) -> list[Any]:
    return [store(folder / "good.hdf5").read_bytes()]


def read_features(path: Path, folder: Path) -> None:
    from lowshot.features import FeatureStore

    found = FeatureStore.open(path)
    _ = found.labels, found.paths, found.class_names, found.attributes, found.fingerprint
    if len(found):
        found.rows([0, len(found) - 1])
    found.check_finite()


def checkpoint_seeds(folder: Path) -> list[Any]:
    return ["lowshot", "original"]


@functools.cache
def network() -> Any:
    """A backbone of a few weights, so that an input takes milliseconds."""
    from torch import nn

    from lowshot.registry import BACKBONES
    from lowshot.representation import build_backbone
    from lowshot.representation.backbones import Backbone

    @BACKBONES.register("fuzz_tiny", "one convolution, for fuzzing")
    def tiny(num_classes: int, width: int = 4) -> Backbone:
        return Backbone(nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width)), width, num_classes)

    return build_backbone("fuzz_tiny", 3, width=4)


def torch_bytes(kind: str, rng: random.Random | None = None) -> bytes:
    """A checkpoint of lowshot's, or one of the original's; with ``rng`` its description is damaged."""
    import torch

    state, file = network().state_dict(), io.BytesIO()
    config = network().config if rng is None else mutated_tree(network().config, rng)
    own = {"backbone": config, "state": state, "epoch": 1}
    torch.save(own if kind == "lowshot" else {"epoch": 1, "state": {f"module.{n}": v for n, v in state.items()}}, file)
    return file.getvalue()


def damaged_checkpoint(kind: str, rng: random.Random) -> bytes:
    return torch_bytes("lowshot", rng) if rng.random() < 0.4 else mutated_bytes(torch_bytes(kind), rng)


def read_checkpoint(path: Path, folder: Path) -> None:
    from lowshot.compat.formats.recognise import recognise
    from lowshot.representation.checkpoints import load_backbone

    if recognise(path).format == "lowshot":
        load_backbone(path)


def classifier_seeds(folder: Path) -> list[Any]:
    from lowshot.classifiers.persistence import save_classifier
    from lowshot.registry import CLASSIFIERS

    seeds = []
    quick = {"logistic": {"n_steps": 3}, "prototypical": {"n_episodes": 2}, "matching_network": {"n_episodes": 2}}
    quick |= {"ranpac": {"n_projected": 20}}
    for name in ("weight_generator", "wdae_gnn", "prototypical_hallucination", "prototype_matching"):
        quick[name] = {"n_episodes": 2, **({"n_steps": 3} if name.startswith("w") else {})}
    for name in CLASSIFIERS.names():
        base = LABELS < CLASSES // 2
        fitted = CLASSIFIERS.build(name, **quick.get(name, {})).fit_base(features()[base], LABELS[base])
        save_classifier(fitted.fit_novel(features()[~base], LABELS[~base]), folder / "good.safetensors")
        seeds.append((folder / "good.safetensors").read_bytes())
    return seeds


def read_classifier(path: Path, folder: Path) -> None:
    from lowshot.classifiers.persistence import load_classifier

    load_classifier(path).predict(features())


def generator_seeds(folder: Path) -> list[Any]:
    from lowshot.registry import GENERATORS

    seeds = []
    for name, params in (
        ("difference", {}),
        ("calibration", {}),
        ("delta_encoder", {"hidden": 8, "n_steps": 5, "batch_size": 4}),
        ("analogies", {"n_clusters": 2, "n_steps": 5, "batch_size": 4}),
    ):
        generator = GENERATORS.build(name, **params).fit(np.abs(features()), LABELS)
        generator.save(folder / "good.safetensors")
        seeds.append((folder / "good.safetensors").read_bytes())
    return seeds


def read_generator(path: Path, folder: Path) -> None:
    from lowshot.hallucination import Generator

    Generator.load(path).generate(np.abs(features()[:3]), LABELS[:3], 5, random_state=0)


def picture(kind: str, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(256, size=(12, 10, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def zip_seeds(folder: Path) -> list[Any]:
    seeds = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for part in ("train", "test"):
                for label in ("a", "b"):
                    for number in range(2):
                        archive.writestr(f"{part}/{label}/{number}.png", picture("PNG", number))
        seeds.append(file.getvalue())
    return seeds


def read_zip(path: Path, folder: Path) -> None:
    from lowshot.data import build_dataset

    for part in ("train", "test"):
        images = build_dataset("auto", part=part, root=path)
        for row in range(min(4, len(images))):
            images.load(row)


def image_seeds(folder: Path) -> list[Any]:
    import pillow_heif

    pillow_heif.register_heif_opener()
    kinds = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "HEIF", "JPEG2000", "QOI", "DDS", "SGI", "PPM")
    return [picture(kind) for kind in kinds]


def read_image(path: Path, folder: Path) -> None:
    from lowshot.data.decode import decode

    with open(path, "rb") as file:
        np.asarray(decode(file, str(path)))


# -------------------------------------------------------------------------------------------------- recognisers


def recogniser(folder: Path) -> Path:
    """A recogniser of random features, in the state after two changes."""
    from lowshot.recogniser import folder as folders
    from lowshot.recogniser.shots import Shots
    from lowshot.recogniser.state import BackboneState, ClassifierState, ClassState, State

    made = folder / "recogniser"
    if not made.exists():
        made.mkdir()
        network = BackboneState(name="efficientnet_lite0", preprocessing={"preset": "small"}, dim=DIM, fingerprint="0")
        classes = [ClassState(id=c, name=name) for c, name in enumerate(NAMES)]
        state = State(
            number=0,
            backbone=network,
            classes=classes,
            next_id=CLASSES,
            classifier=ClassifierState(name="nearest_mean"),
        )
        n = len(LABELS)
        shots = Shots(
            features(), LABELS, PATHS, [f"{row:064x}" for row in range(n)], np.arange(n, dtype=np.uint64), [b"x"] * n
        )
        with folders.changing(made):
            folders.commit(made, state, "created", shots)
            folders.commit(made, state.model_copy(update={"removed": [3]}), "removed a photo")
    return made


def state_seeds(folder: Path) -> list[Any]:
    return [json.loads((recogniser(folder) / "recogniser.json").read_text())]


def shots_seeds(folder: Path) -> list[Any]:
    return [(recogniser(folder) / "shots.h5").read_bytes()]


def read_recogniser(path: Path, folder: Path, name: str) -> None:
    from lowshot.recogniser import Recogniser
    from lowshot.recogniser.shots import read_thumbnails

    changed = recogniser(folder) / name
    whole = changed.read_bytes()
    changed.write_bytes(path.read_bytes())
    try:
        opened = Recogniser.load(recogniser(folder))
        opened.model.probabilities(features()[:3])
        opened.model.nearest(features()[:3])
        read_thumbnails(opened.folder, [0, 5])
    finally:
        changed.write_bytes(whole)


TARGETS = {
    "recipe": Target(
        ".yaml", recipe_seeds, lambda t, rng: mutated_text(t, yaml.safe_dump, rng), read_recipe, yaml.safe_dump
    ),
    "split": Target(".json", split_seeds, lambda t, rng: mutated_text(t, json_text, rng), read_split),
    "experiments": Target(".json", experiment_seeds, lambda t, rng: mutated_text(t, json_text, rng), read_experiments),
    "results": Target(".jsonl", result_seeds, damaged_results, read_results),
    "features": Target(".hdf5", feature_seeds, mutated_bytes, read_features),
    "checkpoint": Target(".ckpt", checkpoint_seeds, damaged_checkpoint, read_checkpoint, torch_bytes),
    "classifier": Target(".safetensors", classifier_seeds, mutated_bytes, read_classifier),
    "generator": Target(".safetensors", generator_seeds, mutated_bytes, read_generator),
    "zip": Target(".zip", zip_seeds, mutated_bytes, read_zip),
    "image": Target(".img", image_seeds, mutated_bytes, read_image),
    "recogniser": Target(
        ".json",
        state_seeds,
        lambda t, rng: mutated_text(t, json_text, rng),
        functools.partial(read_recogniser, name="recogniser.json"),
    ),
    "shots": Target(".h5", shots_seeds, mutated_bytes, functools.partial(read_recogniser, name="shots.h5")),
}
