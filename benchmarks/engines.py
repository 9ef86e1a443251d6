"""Inference engines of the extraction against eager torch, and a whole extraction from JPEGs against its engine alone.

    python benchmarks/engines.py [--threads N] [--networks NAME …] [--json FILE]

For each network: images per processor-second of every installed engine on one ready batch of 16 images of 224 pixels,
as a ratio of eager torch in float32 too (the network as it is, without what engine torch does to it), and the least
cosine of an image's features with those. The engines take turns, ROUNDS times, and the shortest time of each counts:
processor seconds are little disturbed by other work on the machine.

Then an extraction with the fastest engine in float32 from 128 JPEG files of 500 × 375 pixels, reading, decoding,
resizing and writing included, against the same engine on ready batches, after the engine has started: "end to end" is
the processor time of the engine alone over that of the extraction. Where all cores are busy, it is the ratio of rates.

Weights are random except those of efficientnet_lite0, so cosines of the other networks say little about their published
weights. Targets in float32: 3 × eager torch on efficientnet_lite0, 1.8 × on ViT-S, 1.2 × on ResNet-50, and 0.85 end to
end.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lowshot.data import Transforms, build_dataset, build_transforms
from lowshot.devices import resolve_precision
from lowshot.features import Embedder
from lowshot.features.engines import ENGINES
from lowshot.features.engines.choice import least_cosine
from lowshot.features.extraction_work import ExtractionWork
from lowshot.representation import build_backbone, load_pretrained

NETWORKS = ("efficientnet_lite0", "torchvision:resnet50", "timm:vit_small_patch16_224")
BATCH, ROUNDS, FILES = 16, 3, 128


def network(name: str) -> tuple[torch.nn.Module, Transforms]:
    if name == "efficientnet_lite0":
        return load_pretrained(name).backbone.eval(), build_transforms("imagenet", mean=(0.5,) * 3, std=(0.5,) * 3)
    return build_backbone(name, 10).eval(), build_transforms("imagenet")


def shortest(works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Processor seconds of each, the shortest of rounds in which they take turns."""
    seconds = dict.fromkeys(works, float("inf"))
    for work in works.values():
        work()
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            work()
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds


def compare(backbone: torch.nn.Module, transforms: Transforms) -> dict[str, dict[str, float]]:
    """Images per processor-second of each engine, and how its features agree."""
    images = torch.randint(0, 256, (BATCH, 3, 224, 224), dtype=torch.uint8)
    eager = copy.deepcopy(backbone)
    works: dict[str, Callable[[], Any]] = {}

    def plain() -> np.ndarray:
        with torch.inference_mode():
            return eager(transforms.normalize(images))[1].numpy()

    works["eager 32-true"] = plain
    fast = resolve_precision("auto")
    for name, kind in ENGINES.items():
        for precision in dict.fromkeys(("32-true", fast)):
            if kind.installed() and precision in kind.precisions:
                engine = kind(backbone, transforms.normalize, precision, torch.device("cpu"))

                def run(engine: Any = engine) -> np.ndarray:
                    with engine:
                        return engine(images)

                works[f"{name} {precision}"] = run
    reference = plain()
    seconds = shortest(works)
    return {
        name: {
            "images_per_cpu_second": BATCH / seconds[name],
            "ratio": seconds["eager 32-true"] / seconds[name],
            "cosine": least_cosine(work(), reference),
        }
        for name, work in works.items()
    }


def end_to_end(backbone: torch.nn.Module, transforms: Transforms, name: str, folder: Path) -> dict[str, float]:
    """Images per processor-second of an extraction from files and of its engine alone, after the engine has started."""
    images = build_dataset("image_folder", root=folder / "photos", train_folder=".")
    embedder = Embedder(backbone, transforms, engine=name, precision="32-true")
    embedder.settle(name, "32-true")
    pixels = torch.stack([embedder.transform(images.load(row)) for row in range(BATCH)])
    start = time.process_time()
    embedder.features(pixels)
    start_seconds = time.process_time() - start
    work = ExtractionWork(embedder, images, folder / "f.h5", BATCH, 0, "float32")
    best = {"bare": [float("inf")] * 2, "whole": [float("inf")] * 2}

    def bare() -> None:
        with embedder:
            for _ in range(FILES // BATCH):
                embedder.features(pixels)

    def whole() -> None:
        (shard,) = work.shards(1)
        work.extract(shard, lambda steps=1, note=None: None)
        work.join([shard], {})

    for _ in range(ROUNDS):
        for kind, call in (("bare", bare), ("whole", whole)):
            clock, processor = time.perf_counter(), time.process_time()
            call()
            seconds = [time.perf_counter() - clock, time.process_time() - processor]
            best[kind] = [min(a, b) for a, b in zip(best[kind], seconds)]
    return {
        "bare_per_cpu_second": FILES / best["bare"][1],
        "whole_per_cpu_second": FILES / best["whole"][1],
        "end_to_end": best["bare"][1] / best["whole"][1],
        "end_to_end_by_the_clock": best["bare"][0] / best["whole"][0],
        "start_cpu_seconds": start_seconds,
    }


def write_photos(folder: Path) -> None:
    """Smooth colours with noise, of about the size that a photograph has as a JPEG."""
    rng = np.random.default_rng(0)
    for number in range(FILES):
        smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
        noisy = np.asarray(smooth) + rng.normal(scale=12, size=(375, 500, 3))
        path = folder / "photos" / f"c{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        write_photos(Path(place))
        for name in args.networks:
            backbone, transforms = network(name)
            print(f"{name}, {args.threads} threads{'':12}images/cpu-s    × eager   least cosine")
            engines = compare(backbone, transforms)
            for engine, numbers in engines.items():
                print(
                    f"  {engine:32}{numbers['images_per_cpu_second']:10.1f}{numbers['ratio']:11.2f}"
                    f"{numbers['cosine']:15.5f}",
                    flush=True,
                )
            full = {key: value for key, value in engines.items() if key.endswith("32-true") and "eager" not in key}
            fastest = max(full, key=lambda key: full[key]["ratio"]).partition(" ")[0]
            files = end_to_end(backbone, transforms, fastest, Path(place))
            print(
                f"  500-pixel JPEGs to features file, {fastest} in float32: {files['whole_per_cpu_second']:.1f} "
                f"images/cpu-s of {files['bare_per_cpu_second']:.1f} bare: {files['end_to_end']:.2f} "
                f"({files['end_to_end_by_the_clock']:.2f} by the clock); "
                f"started in {files['start_cpu_seconds']:.1f} cpu-s",
                flush=True,
            )
            result[name] = {"engines": engines, "files": files}
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
