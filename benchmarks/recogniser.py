"""Speed of a recogniser: adding a class to many, answers for photos, one photo from the command line.

    python benchmarks/recogniser.py [--classes 100 1000 10000] [--photos 1000] [--json FILE]

Photos are made here (300 x 225 px JPEGs of noise on gradients). Adding a class is timed without its forward passes, as
the whole call less the time of the network on the same photos. `predict` is compared with the bare forward pass of the
same engine on pixels that are ready, in the same run. The command line is a process of its own, in wall-clock seconds;
its part that is neither torch nor the network is the rest. Targets: 50 ms beyond the forward passes with 100 classes,
1 s with 10 000; 85 % of the bare rate; 3 s cold, of which at most 1 s is not loading torch or the network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lowshot.recogniser import Recogniser
from lowshot.recogniser import folder as folders
from lowshot.recogniser.photos import photos_at
from lowshot.recogniser.shots import Shots
from lowshot.recogniser.state import ClassState

SHOTS = 5


def made_photo(number: int) -> Image.Image:
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((300, 225), Image.Resampling.BICUBIC)
    noise = rng.integers(-12, 12, (225, 300, 3))
    return Image.fromarray((np.asarray(image).astype(int) + noise).clip(0, 255).astype(np.uint8))


def with_classes(folder: Path, n: int) -> Recogniser:
    """A recogniser of n classes of random features, as if they had been taught."""
    opened = Recogniser.create(folder)
    dim = opened.state.backbone.dim
    rng = np.random.default_rng(0)
    centres = rng.exponential(size=(n, dim)).astype(np.float32)
    features = np.repeat(centres, SHOTS, 0) + 0.7 * rng.exponential(size=(n * SHOTS, dim)).astype(np.float32)
    names = [f"class {number:05d}" for number in range(n)]
    state = opened.state.model_copy(
        update={"classes": [ClassState(id=i, name=name) for i, name in enumerate(names)], "next_id": n}
    )
    shots = Shots(
        features,
        np.repeat(np.arange(n), SHOTS),
        [f"{i}.jpg" for i in range(n * SHOTS)],
        [f"{i:064x}" for i in range(n * SHOTS)],
        rng.integers(0, 2**63, n * SHOTS, dtype=np.uint64),
        [b""] * (n * SHOTS),
    )
    with folders.changing(folder):
        folders.commit(folder, state, "made", shots)
    return Recogniser.load(folder)


def adding(folder: Path, n: int) -> dict[str, Any]:
    opened = with_classes(folder / f"r{n}", n)
    network = opened.network
    photos = [made_photo(10_000 * n + number) for number in range(SHOTS + 15)]
    opened.predict(photos[:SHOTS])
    opened.teach({"warm": photos[:SHOTS]})
    times, passes = [], []
    for repeat in range(3):
        own = photos[SHOTS * (repeat + 1) : SHOTS * (repeat + 2)]
        start = time.perf_counter()
        opened.teach({f"new {repeat}": own})
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
        list(network.see(photos_of(own), details=True))
        passes.append(time.perf_counter() - start)
    return {"classes": n, "seconds": min(times), "forward": min(passes), "beyond": min(times) - min(passes)}


def photos_of(images: list[Image.Image]) -> list[Any]:
    from lowshot.recogniser.photos import as_photo

    return [as_photo(image, number) for number, image in enumerate(images)]


def answering(folder: Path, n: int) -> dict[str, Any]:
    photos = folder / "photos"
    photos.mkdir()
    for number in range(n):
        made_photo(number).save(photos / f"{number:06d}.jpg", quality=90)
    opened = with_classes(folder / "answers", 100)
    listed = photos_at([photos])
    list(opened.answers(listed[:128]))  # the engine is chosen and ready
    embedder = opened.network.embedder
    pixels = torch.stack([embedder.transform(photo.open().image) for photo in listed[:32]])
    rates: dict[str, float] = {"bare": 0.0, "predict": 0.0}
    for _ in range(2):
        start = time.perf_counter()
        with embedder:
            for _ in range(max(1, n // 32)):
                embedder.features(pixels)
        rates["bare"] = max(rates["bare"], 32 * max(1, n // 32) / (time.perf_counter() - start))
        start = time.perf_counter()
        answers = sum(1 for _ in opened.answers(listed))
        rates["predict"] = max(rates["predict"], answers / (time.perf_counter() - start))
    return {**rates, "share": rates["predict"] / rates["bare"], "engine": embedder.engine}


def command_line(folder: Path) -> dict[str, float]:
    photo = folder / "one.jpg"
    made_photo(1).save(photo)
    with_classes(folder / "cold", 100)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    whole = ["-m", "lowshot", "predict", str(folder / "cold"), str(photo)]
    network = [
        "-c",
        "import torch; from lowshot.representation import load_pretrained; "
        "m = load_pretrained('efficientnet_lite0').backbone; "
        "torch.inference_mode().__enter__(); m(torch.zeros(1, 3, 224, 224))",
    ]
    found = {}
    for name, arguments in (("whole", whole), ("torch and network", network)):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
            times.append(time.perf_counter() - start)
        found[name] = min(times)
    return {**found, "rest": found["whole"] - found["torch and network"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results["cold"] = command_line(folder)
        cold = results["cold"]
        print(
            f"one photo, cold: {cold['whole']:.2f} s, of which torch and network {cold['torch and network']:.2f} s, "
            f"the rest {cold['rest']:.2f} s"
        )
        results["adding"] = []
        for n in options.classes:
            row = adding(folder, n)
            results["adding"].append(row)
            print(
                f"a class of {SHOTS} photos to {n:6d} classes: {1000 * row['seconds']:.0f} ms, "
                f"{1000 * row['beyond']:.0f} ms beyond the forward passes"
            )
        results["predict"] = row = answering(folder, options.photos)
        print(
            f"predict, {options.photos} photos on {row['engine']}: {row['predict']:.0f} photos/s, bare forward pass "
            f"{row['bare']:.0f}: {100 * row['share']:.0f} %"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
