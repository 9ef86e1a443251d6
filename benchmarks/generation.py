"""Generating features for ImageNet's 311 novel classes, from one shot to 20 examples: time, and size of the file.

The plain baseline generates class by class. Ratios are of processor seconds, which other programs on the machine hardly
change.

    python benchmarks/generation.py                 # all generators
    python benchmarks/generation.py DeltaEncoder    # one of them
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lowshot.hallucination import AnalogyGenerator, CalibrationGenerator, DeltaEncoder, DifferenceGenerator, Generator


def seconds(action: Callable[[int], object]) -> tuple[float, float]:
    """The least wall and processor seconds of three calls, which get the numbers from 0."""
    wall, processor = [], []
    for number in range(3):
        start = time.perf_counter(), time.process_time()
        action(number)
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return min(wall), min(processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="classes of generators; all by default")
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
    analogies = AnalogyGenerator(n_clusters=100, n_rounds=2, n_steps=1, device="cpu")
    generators: list[tuple[Generator, slice]] = [
        (analogies, few),
        (DeltaEncoder(n_steps=1, device="cpu"), few),
        (CalibrationGenerator(), slice(None)),
        (DifferenceGenerator(), slice(None)),
    ]
    print(f"{args.novel} classes, 1 shot -> {args.per_class} each, {args.dim} dimensions (target: under 1 s)")
    for generator, rows in generators:
        name = type(generator).__name__
        if args.names and name not in args.names:
            continue
        generator.fit(features[rows], labels[rows])
        made = len(generator.generate(shots, np.arange(args.novel), args.per_class, 0)[0])
        wall, ours = seconds(lambda seed, g=generator: g.generate(shots, np.arange(args.novel), args.per_class, seed))
        _, plain = seconds(
            lambda seed, g=generator: [
                g.generate(shots[c : c + 1], np.array([c]), args.per_class, seed) for c in range(args.novel)
            ]
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generator"
            generator.save(path)
            size = path.stat().st_size / 2**20
        times = f"{wall:6.3f} s, {ours:6.3f} s of the processor; plain {plain:6.3f} s, {plain / ours:5.1f}x"
        print(f"  {name:22} {times}, for {made} features; file {size:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
