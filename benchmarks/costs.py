"""The cost of one item of each stage on one core, and of all items of ImageNet-1k and ImageNet-21k.

    python benchmarks/costs.py                 # about three minutes; the table of docs/scaling.md

Everything runs on one thread and is timed in processor seconds, so that other work on the machine does not count.
The totals are items × measured cost: divide by the cores you have. Data loading is a line of its own: loader processes
share the cores with the network.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image

from lowshot.classifiers import Logistic, Ridge
from lowshot.data import build_transforms
from lowshot.devices import resolve_precision
from lowshot.features.folding import fold_batch_norm
from lowshot.hallucination import Analogies
from lowshot.hallucination.analogies import native
from lowshot.hallucination.analogies.clusters import Centroids, fit_centroids
from lowshot.hallucination.analogies.pairs import PairTable
from lowshot.hallucination.analogies.regressor import TrainingSettings, train_regressor
from lowshot.representation import TrainSettings, build_backbone
from lowshot.representation.step import Trainer

DIM, CLUSTERS, PER_CLASS = 512, 100, 1300
EPOCHS, GENERATOR_STEPS, RUNS, RUN_STEPS = 90, 120_000, 25, 10_000


@dataclass(frozen=True)
class Scale:
    """Sizes of a data set: half of ImageNet-21k's classes as base classes is our assumption, as ImageNet-1k's 389."""

    name: str
    images: int
    base_classes: int
    in_play: int

    @property
    def base_images(self) -> int:
        return self.base_classes * PER_CLASS if self.name == "ImageNet-1k" else self.images // 2


SCALES = (Scale("ImageNet-1k", 1_281_167 + 50_000, 389, 507), Scale("ImageNet-21k", 14_197_122, 10_920, 10_920))


@dataclass(frozen=True)
class Cost:
    """Core seconds of one item, and how many there are at a scale."""

    stage: str
    item: str
    seconds: float
    count: Callable[[Scale], float]


def per_call(call: Callable[[], object], least: float) -> float:
    """Processor seconds of one call, the shortest of those that fit in ``least`` seconds; the first is thrown away."""
    call()
    best, end = float("inf"), time.perf_counter() + least
    while True:
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
        if time.perf_counter() > end:
            return best


def training(name: str, batch: int, seconds: float) -> float:
    fabric = Fabric(accelerator="cpu", devices=1, precision=resolve_precision("auto"))  # type: ignore[arg-type]
    transforms = build_transforms("imagenet")
    trainer = Trainer(fabric, build_backbone(name, 1000), transforms.normalize, TrainSettings())
    images, labels = torch.randint(256, (batch, 3, 224, 224), dtype=torch.uint8), torch.randint(1000, (batch,))
    return per_call(lambda: trainer.step(images, labels, 0.1), seconds) / batch


def extraction(name: str, batch: int, seconds: float) -> float:
    images = torch.randn(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    backbone = fold_batch_norm(build_backbone(name, 1000).eval(), images[:1]).to(memory_format=torch.channels_last)
    device_type, precision = "cpu", resolve_precision("auto")

    @torch.no_grad()
    def forward() -> None:
        with torch.autocast(device_type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            backbone(images)

    return per_call(forward, seconds) / batch


def decoding(part: str, seconds: float) -> float:
    """One photograph of ImageNet's usual size, from JPEG to the tensor that is sent to the network."""
    smooth = Image.fromarray(np.random.default_rng(0).integers(256, size=(16, 20, 3), dtype=np.uint8)).resize(
        (500, 375)
    )
    file = io.BytesIO()
    smooth.save(file, "JPEG", quality=90)
    transform = getattr(build_transforms("imagenet"), part)

    def load() -> None:
        with Image.open(io.BytesIO(file.getvalue())) as image:
            transform(image.convert("RGB"))

    return per_call(load, seconds)


def features(rng: np.random.Generator, rows: int) -> np.ndarray:
    """(rows, DIM) float32 that vary in few directions, as a network's do, cut off at zero."""
    basis = rng.standard_normal((20, DIM), dtype=np.float32) * np.geomspace(1, 0.1, 20, dtype=np.float32)[:, None]
    return np.maximum(rng.standard_normal((rows, 20), dtype=np.float32) @ basis + 0.3, 0)


def clustering(seconds: float) -> float:
    X = features(np.random.default_rng(0), PER_CLASS)
    return per_call(lambda: fit_centroids(X, np.zeros(PER_CLASS, np.int64), CLUSTERS, 20, n_jobs=1), seconds)


def mining(seconds: float) -> float:
    """One ordered pair of classes, 100 centroids each."""
    rng = np.random.default_rng(0)
    classes = np.stack([features(rng, CLUSTERS) for _ in range(8)])
    kernel = native.load_kernel()
    if kernel is None:
        raise SystemExit("this benchmark needs a C compiler (cc)")
    miner = native.NativeMiner(PairTable(Centroids.of(classes)), kernel)
    return per_call(lambda: miner.best_of(0), seconds) / (len(classes) - 1)


def regressing(seconds: float) -> float:
    rng = np.random.default_rng(0)
    n, steps = 389 * CLUSTERS, 50
    analogies = Analogies(rng.integers(n, size=(100_000, 4)), np.ones(100_000, np.float32))
    weight = rng.standard_normal((389, DIM), dtype=np.float32) / 10
    problem = features(rng, n), analogies, weight, np.repeat(np.arange(389), CLUSTERS)
    return per_call(lambda: train_regressor(*problem, TrainingSettings(n_steps=steps), device="cpu"), seconds) / steps


def shots_of(rng: np.random.Generator, n_novel: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    return features(rng, n_novel * n), np.repeat(np.arange(1000, 1000 + n_novel), n)


def linear_classifier(seconds: float) -> float:
    """One SGD step of one of five runs that are trained together, 196 base and 311 novel classes."""
    rng, steps = np.random.default_rng(0), 10
    base_labels = np.repeat(np.arange(196), 50)
    known = Logistic(n_steps=steps).fit_base(features(rng, len(base_labels)), base_labels)
    runs = [shots_of(rng, 311, 5) for _ in range(5)]
    return per_call(lambda: known.fit_novel_runs(runs, range(5)), seconds) / steps / len(runs)


def closed_form(seconds: float) -> float:
    """One run of ridge: novel classes added to a base that is fitted once."""
    rng = np.random.default_rng(0)
    base_labels = np.repeat(np.arange(196), 50)
    known = Ridge().fit_base(features(rng, len(base_labels)), base_labels)
    run = shots_of(rng, 311, 5)
    return per_call(lambda: known.fit_novel_runs([run], [0]), seconds)


def costs(seconds: float) -> Iterator[Cost]:
    for name, batch in (("resnet10", 16), ("resnet50", 8)):
        yield Cost(f"train {name}", "image", training(name, batch, seconds), lambda s: EPOCHS * s.base_images)
    yield Cost("train: decode, augment", "image", decoding("train", seconds / 3), lambda s: EPOCHS * s.base_images)
    for name, batch in (("resnet10", 32), ("resnet50", 16)):
        yield Cost(f"extract {name}", "image", extraction(name, batch, seconds), lambda s: s.images)
    yield Cost("extract: decode, crop", "image", decoding("eval", seconds / 3), lambda s: s.images)
    yield Cost("fit-generator: k-means", "class", clustering(seconds), lambda s: s.base_classes)
    yield Cost("fit-generator: mining", "pair of classes", mining(seconds), lambda s: s.base_classes**2)
    yield Cost("fit-generator: regressor", "step", regressing(seconds), lambda s: GENERATOR_STEPS)
    # Score and gradient grow with the classes in play, which is what a step at this size was measured on.
    yield Cost(
        "evaluate: logistic", "step of a run", linear_classifier(seconds), lambda s: RUNS * RUN_STEPS * s.in_play / 507
    )
    yield Cost("evaluate: ridge", "run", closed_form(seconds), lambda s: RUNS * s.in_play / 507)


def amount(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}".replace(",", " ")
    return f"{seconds:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="spent on each measurement")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, 1 thread, precision {resolve_precision('auto')}\n")
    print("| stage | item | cost of one | " + " | ".join(f"{scale.name}, core time" for scale in SCALES) + " |")
    print("|---|---|---:|" + "---:|" * len(SCALES))
    for cost in costs(args.seconds):
        totals = " | ".join(amount(cost.seconds * cost.count(scale)) for scale in SCALES)
        print(f"| {cost.stage} | {cost.item} | {cost.seconds * 1e3:.3g} ms | {totals} |", flush=True)


if __name__ == "__main__":
    main()
