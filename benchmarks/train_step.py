"""Images per second of our training step against a plain loop, measured in turns in one process.

    python benchmarks/train_step.py [--threads N] [--rounds N] [--json FILE]

Both train ResNet10 with the small stem on the same 128 images of 32×32 with SGD. The plain loop is what one writes
first: float32, contiguous, torch's own convolutions and optimiser defaults. Ours is what training runs: bfloat16
autocast where the processor has it, channels_last, tiny maps as matrix products, SGD over all parameters at once.
Rounds alternate, and the ratio is that of the medians. On a machine that is busy with other things give --threads 1:
otherwise the time that threads wait for each other is measured too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric

from lowshot.data import Normalize
from lowshot.devices import resolve_precision
from lowshot.representation import TrainSettings, build_backbone
from lowshot.representation.backbones.conv import Conv3x3
from lowshot.representation.step import Trainer

BATCH, SIZE, CLASSES, STEPS_PER_ROUND, SECONDS = 128, 32, 100, 3, 50
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def plain_step(images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    model = build_backbone("resnet10", CLASSES, stem="small")
    for module in model.modules():
        if isinstance(module, Conv3x3):
            module.max_matrix_size = 0  # torch's convolution for every map
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)

    def step() -> None:
        scores, _ = model((images / 255 - mean) / std)
        optimizer.zero_grad()
        F.cross_entropy(scores, labels).backward()
        optimizer.step()

    return step


def our_step(images: torch.Tensor, labels: torch.Tensor, precision: str) -> Callable[[], None]:
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)  # type: ignore[arg-type]
    backbone = build_backbone("resnet10", CLASSES, stem="small")
    trainer = Trainer(fabric, backbone, Normalize(MEAN, STD), TrainSettings())

    def step() -> None:
        trainer.step(images, labels, 0.1)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15, help=f"at most; the whole ends after {SECONDS} s")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8)
    labels = torch.randint(CLASSES, (BATCH,))
    precision = resolve_precision("auto")
    steps = {"plain": plain_step(images, labels), "ours": our_step(images, labels, precision)}
    end = time.perf_counter() + SECONDS
    rounds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()  # the first one chooses kernels
    for _ in range(args.rounds):
        for name, step in steps.items():
            begin = time.perf_counter()
            for _ in range(STEPS_PER_ROUND):
                step()
            rounds[name].append(BATCH * STEPS_PER_ROUND / (time.perf_counter() - begin))
        if time.perf_counter() > end:
            break
    speed = {name: statistics.median(values) for name, values in rounds.items()}
    ratio = speed["ours"] / speed["plain"]
    print(f"ResNet10, {SIZE}×{SIZE}, batch {BATCH}, {args.threads} threads, {len(rounds['ours'])} rounds")
    for name, what in (("plain", "float32, contiguous"), ("ours", f"{precision}, channels_last")):
        print(f"  {name:6}{what:28}{speed[name]:8.0f} images/s")
    print(f"  ratio {ratio:.2f}")
    result = {"images_per_second": speed, "ratio": ratio, "threads": args.threads, "precision": precision}
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
