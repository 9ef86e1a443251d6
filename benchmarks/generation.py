"""Generating features for ImageNet's 311 novel classes, from one shot to 20 examples: time, and size of the file.

python benchmarks/generation.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from lowshot.hallucination import AnalogyGenerator, CalibrationGenerator, DeltaEncoder, DifferenceGenerator, Generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=int, default=389, help="base classes")
    parser.add_argument("--per-base", type=int, default=600, help="examples of each")
    parser.add_argument("--novel", type=int, default=311)
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--dim", type=int, default=512)
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(args.base), args.per_base)
    features = np.maximum(rng.standard_normal((len(labels), args.dim), dtype=np.float32), 0)
    shots = np.maximum(rng.standard_normal((args.novel, args.dim), dtype=np.float32), 0)

    # Training decides nothing about the time to generate: few steps, on clusters that are quickly found.
    few = slice(0, 4 * args.per_base)
    analogies = AnalogyGenerator(n_clusters=100, n_rounds=2, n_steps=1, device="cpu").fit(features[few], labels[few])
    generators: list[Generator] = [
        analogies,
        DeltaEncoder(n_steps=1, device="cpu").fit(features[few], labels[few]),
        CalibrationGenerator().fit(features, labels),
        DifferenceGenerator().fit(features, labels),
    ]
    print(f"{args.novel} classes, 1 shot -> {args.per_class} each, {args.dim} dimensions (target: under 1 s)")
    for generator in generators:
        seconds = []
        for seed in range(3):
            start = time.perf_counter()
            made, _ = generator.generate(shots, np.arange(args.novel), args.per_class, seed)
            seconds.append(time.perf_counter() - start)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generator"
            generator.save(path)
            size = path.stat().st_size / 2**20
        print(f"  {type(generator).__name__:22} {min(seconds):6.3f} s for {len(made)} features; file {size:.0f} MiB")


if __name__ == "__main__":
    main()
