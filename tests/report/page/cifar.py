"""A report as large as that of the CIFAR-100 recipe: 4 representations, 21 methods, 5 numbers of shots, 100 classes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from lowshot.report import Example, Section
from lowshot.report.class_views import TestImages
from lowshot.report.figures.strip import strip_plot
from lowshot.report.writing import Report

REPRESENTATIONS = ("Baseline", "SGM", "Batch SGM", "L2")
CLASSIFIERS = ("Linear", "Nearest mean", "Cosine", "Ridge", "Gaussian", "Prototypical", "Matching networks")
METHODS = tuple(name + further for name in CLASSIFIERS for further in ("", " + analogies", " + calibration"))
N_SHOTS = (1, 2, 5, 10, 20)
BASE, NOVEL = range(40), range(40, 100)
QUERIES = 100
"""Test images of a class."""


def photo(seed: int) -> Image.Image:
    """A 32×32 image with the colours and edges of a photograph."""
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1.5))


def records(representations=REPRESENTATIONS, methods=METHODS, experiments: int = 5) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    classes = {"base": list(BASE), "novel": list(NOVEL)}
    names = [f"class {i}" for i in range(100)]
    found = []
    for place, (representation, method, n) in enumerate(product(representations, methods, N_SHOTS)):
        skill = 0.3 + 0.1 * np.log(n) + 0.05 * (place % 7) / 7
        for experiment in range(1, experiments + 1):
            top1 = rng.binomial(QUERIES, np.clip(rng.normal(skill, 0.1, 100), 0.02, 0.98))
            top5 = np.minimum(QUERIES, top1 + rng.binomial(QUERIES, 0.2, 100))
            share = {
                f"{scope}_top{k}": float(right[part].mean() / QUERIES)
                for k, right in ((1, top1), (5, top5))
                for scope, part in (
                    ("novel", slice(40, None)),
                    ("all", slice(None)),
                    ("all_prior", slice(None)),
                    ("novel_only", slice(40, None)),
                    ("base", slice(40)),
                )
            }
            pairs = [[int(a), int(b), 30, int(a)] for a, b in zip(rng.permutation(100)[:20], rng.permutation(100))]
            found.append(
                {
                    "representation": representation,
                    "method": method,
                    "setup": "test",
                    "n_shots": n,
                    "experiment": experiment,
                    "unit": f"{representation} {method} {n}",
                    "unit_size": experiments,
                    "task": f"{representation} {method} {n} {experiment}",
                    "answers": f"{representation} {method} {n} {experiment}",
                    "data": {"base": 40, "novel": 60, "train": "a", "test": "b", "split": "c"},
                    "seconds": float(rng.uniform(0.1, 9)),
                    "base_seconds": float(rng.uniform(1, 90)),
                    **share,
                    "top1_by_class": top1.tolist(),
                    "top5_by_class": top5.tolist(),
                    "answered_as": {"base": [2000, 1000, 1000], "novel": [3000, 2000, 1000]},
                    "classes": classes,
                    "class_names": names,
                    "queries_by_class": [QUERIES] * 100,
                    "confusions": [pair for pair in pairs if pair[0] != pair[1]],
                }
            )
    return found


def training_log(seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "epoch": epoch,
            "loss": 4 / epoch + rng.uniform(0, 0.1),
            "cross_entropy": 3.5 / epoch,
            "auxiliary": 9 / epoch,
            "train_top1": 1 - 0.9 / epoch,
            "val_top1": None if epoch % 5 else 0.4,
            "val_top5": None if epoch % 5 else 0.7,
        }
        for epoch in range(1, 16)
    ]


def write(folder: Path) -> Path:
    """Write the report, with a strip of images such as a section on a generator has."""
    examples = [Example(photo(i), f"class {i}", f"class {i + i % 2}", "L2", METHODS[i // 10], 1) for i in range(40)]
    strip = replace(strip_plot(examples[:30]), name="strip")
    return Report(records(), "test").write(
        folder,
        sections=[Section("Generator analogies on Baseline", "Nearest images.", [strip])],
        images=TestImages(of_row=photo, of_class=lambda label: photo(1000 + label)),
        title="cifar100",
        description="40 base and 60 novel classes.",
        training_logs={name: training_log(i) for i, name in enumerate(REPRESENTATIONS)},
        examples=examples,
        recipe_yaml="name: cifar100\n" * 60,
        provenance={"host": "a host", "versions": {"numpy": "2"}},
        notes=[],
    )
