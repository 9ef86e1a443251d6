"""Images per second of feature extraction against the bare forward pass, and its memory for N and 4N images.

    python benchmarks/extraction.py [--data ZIP_OR_FOLDER] [--threads N] [--json FILE]

The bare pass calls the same backbone on one ready batch of the same shape, in the same precision, as often as there
are batches. Extraction loads, transforms, normalises, computes and writes a features file. The two take turns in one
process; the ratio is that of the medians. On a machine that is busy with other things give --threads 1. With --data the
images of a data set (such as a zip of PNG files) are decoded as well, at 32×32.

Peak memory is that of a fresh process for each number of images. Target: at least 0.9 of the bare pass, and a peak that
does not grow with the images but for their names and labels.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lowshot.data import ImageDataset, build_dataset, build_transforms
from lowshot.devices import resolve_precision
from lowshot.features import extract_features
from lowshot.features.engines import AUTOCAST
from lowshot.representation import build_backbone

CLASSES, ROUNDS = 100, 3
MEMORY_IMAGES = 8192


class Noise(ImageDataset):
    """Images in memory; a few distinct ones, however many rows there are."""

    def __init__(self, rows: int, size: int) -> None:
        super().__init__(
            [f"{row}.png" for row in range(rows)], np.arange(rows) % CLASSES, list(map(str, range(CLASSES)))
        )
        pixels = np.random.default_rng(0).integers(0, 256, (64, size, size, 3), dtype=np.uint8)
        self.images = [Image.fromarray(one) for one in pixels]

    def _open(self, row: int) -> Image.Image:
        return self.images[row % len(self.images)]


def cases(data: Path | None) -> dict[str, tuple[ImageDataset, str, int, dict[str, str], int]]:
    """Data set, preset, side, options of the backbone and batch size, by name."""
    found: dict[str, tuple[ImageDataset, str, int, dict[str, str], int]] = {
        "32×32 in memory": (Noise(8192, 32), "small", 32, {"stem": "small"}, 256),
        "224×224 in memory": (Noise(512, 256), "imagenet", 224, {}, 32),
    }
    if data is not None:
        images = build_dataset("auto", part="test", root=data)
        rows = np.random.default_rng(0).choice(len(images), min(8192, len(images)), replace=False)
        found[f"32×32 from {data.name}"] = (images.subset(np.sort(rows)), "small", 32, {"stem": "small"}, 256)
    return found


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(
    images: ImageDataset, preset: str, side: int, options: dict[str, str], batch: int, precision: str
) -> dict[str, float]:
    """Images per second of both, and their ratio."""
    backbone = build_backbone("resnet10", CLASSES, **options)
    transforms = build_transforms(preset, image_size=side)
    plain = copy.deepcopy(backbone).eval().to(memory_format=torch.channels_last)
    ready = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    batches = len(images) / batch
    dtype = AUTOCAST[precision]

    def bare() -> None:
        with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype is not None):
            for _ in range(round(batches)):
                plain(ready)

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nothing:

        def extraction() -> None:
            with contextlib.redirect_stderr(nothing):
                extract_features(
                    backbone, images, transforms, Path(folder) / "f.h5", batch_size=batch, precision=precision
                )

        seconds: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(ROUNDS):
            seconds["bare"].append(timed(bare) * batches / round(batches))
            seconds["ours"].append(timed(extraction))
    speed = {name: len(images) / statistics.median(values) for name, values in seconds.items()}
    return {"bare": speed["bare"], "ours": speed["ours"], "ratio": speed["ours"] / speed["bare"]}


def peak_memory(rows: int) -> float:
    """Peak MiB of this process after extracting so many images."""
    backbone = build_backbone("resnet10", CLASSES, stem="small")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.h5"
        extract_features(
            backbone, Noise(rows, 8), build_transforms("small", image_size=8, padding=2), path, batch_size=256
        )
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="zip or folder of images to decode as well")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    precision = resolve_precision("auto")
    print(f"ResNet10, {precision}, {args.threads} threads, medians of {ROUNDS} rounds, images/s")
    print(f"  {'':28}{'bare':>8}{'ours':>8}{'ratio':>8}")
    speeds = {}
    for name, case in cases(args.data).items():
        speeds[name] = compare(*case, precision)
        print(
            f"  {name:28}{speeds[name]['bare']:8.0f}{speeds[name]['ours']:8.0f}{speeds[name]['ratio']:8.2f}", flush=True
        )
    memory = {}
    for rows in (MEMORY_IMAGES, 4 * MEMORY_IMAGES):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            memory[rows] = pool.apply(peak_memory, (rows,))
        print(f"  peak memory for {rows:6} images {memory[rows]:8.0f} MiB", flush=True)
    result = {"images_per_second": speeds, "peak_mib": memory, "threads": args.threads, "precision": precision}
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
