"""What the views flip, ten_crop and affine bring on CIFAR-100, with efficientnet_lite0 at 128 pixels.

    python benchmarks/views.py --data cifar100.zip

25 test images of each class: n of them are shots and 20 others queries, in 40 draws that all views share. The
classifier is the nearest class mean by cosine, over all 100 classes. Gains are differences within a draw, with 95 %
intervals over draws. It needs the engine openvino. Without --data it does nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from lowshot.data import build_dataset
from lowshot.features.engines import ENGINES
from lowshot.features.views import VIEWS, views_transform
from lowshot.representation import load_pretrained

SIDE, PER_CLASS, QUERIES, DRAWS, BATCH = 128, 25, 20, 40, 50


def extracted(data: Path) -> dict[str, np.ndarray]:
    """Unit features (100, PER_CLASS, D) of each kind of views; all of them from one extraction."""
    found = load_pretrained("efficientnet_lite0")
    transforms = found.preprocessing.changed(image_size=SIDE).transforms()
    images = build_dataset("auto", part="test", root=data)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(np.flatnonzero(images.labels == c))[:PER_CLASS] for c in range(100)])
    engine = ENGINES["openvino"](found.backbone, transforms.normalize, "32-true", torch.device("cpu"))
    thirteen = views_transform(transforms.eval, "affine")  # five crops, the centre last, and eight distortions
    parts: dict[str, list[np.ndarray]] = {name: [] for name in VIEWS}
    for start in range(0, len(rows), BATCH):
        pixels = torch.stack([thirteen(images.load(int(row))) for row in rows[start : start + BATCH]])
        upright = [engine(view) for view in pixels.unbind(1)]
        mirrored = [engine(view.flip(-1)) for view in pixels[:, :5].unbind(1)]
        parts["one"].append(upright[4])
        parts["flip"].append((upright[4] + mirrored[4]) / 2)
        parts["five_crop"].append(np.mean(upright[:5], axis=0))
        parts["ten_crop"].append(np.mean(upright[:5] + mirrored, axis=0))
        parts["affine"].append(np.mean(upright, axis=0))
    joined = {name: np.concatenate(part) for name, part in parts.items()}
    return {
        name: (rows / np.linalg.norm(rows, axis=1, keepdims=True)).reshape(100, PER_CLASS, -1)
        for name, rows in joined.items()
    }


def accuracies(features: np.ndarray, n_shots: int) -> np.ndarray:
    """Top-1 and top-5 in per cent of each draw, (DRAWS, 2)."""
    found = []
    truth = np.repeat(np.arange(100), QUERIES)
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permuted(np.tile(np.arange(PER_CLASS), (100, 1)), axis=1)
        means = np.take_along_axis(features, order[:, :n_shots, None], 1).mean(1)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        queries = np.take_along_axis(features, order[:, PER_CLASS - QUERIES :, None], 1).reshape(len(truth), -1)
        scores = queries @ means.T
        top5 = np.argpartition(-scores, 5, axis=1)[:, :5]
        found.append([(scores.argmax(1) == truth).mean(), (top5 == truth[:, None]).any(1).mean()])
    return 100 * np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="CIFAR-100 as a zip or folder of images")
    data = parser.parse_args().data
    if data is None:
        print("no --data: nothing to measure")
        return
    features = extracted(data)
    for n_shots in (1, 5):
        base = accuracies(features["one"], n_shots)
        for name, rows in features.items():
            values = accuracies(rows, n_shots)
            gain = values - base
            width = 1.96 * gain.std(axis=0) / DRAWS**0.5
            print(
                f"n = {n_shots} {name:9} top-1 {values.mean(0)[0]:.2f} ({gain.mean(0)[0]:+.2f} ± {width[0]:.2f})  "
                f"top-5 {values.mean(0)[1]:.2f} ({gain.mean(0)[1]:+.2f} ± {width[1]:.2f})"
            )


if __name__ == "__main__":
    main()
