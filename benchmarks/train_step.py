"""Images per second of our training step against a plain loop, measured in turns in one process.

    python benchmarks/train_step.py [--threads N] [--rounds N] [--objectives] [--json FILE]

Both train ResNet10 with the small stem on the same 128 images of 32×32 with SGD. The plain loop is what one writes
first: float32, contiguous, torch's own convolutions and optimiser defaults. Ours is what training runs: bfloat16
autocast where the processor has it, channels_last, tiny maps as matrix products, SGD over all parameters at once.
Rounds alternate, and the ratio is that of the medians. On a machine that is busy with other things give --threads 1:
otherwise the time that threads wait for each other is measured too.

With --objectives the step of each objective is compared with ours without any, in processor seconds, since other work
on the machine changes those less: the ratio is the time of a step, so 1.5 is half as long again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric

from lowshot.data import Normalize
from lowshot.devices import resolve_precision
from lowshot.representation import TrainSettings, build_backbone
from lowshot.representation.backbones import attach_head
from lowshot.representation.backbones.conv import Conv3x3
from lowshot.representation.step import Trainer
from lowshot.torch_files import save_torch

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


def our_step(
    images: torch.Tensor, labels: torch.Tensor, precision: str, *objective: dict[str, dict[str, Any]]
) -> Callable[[], None]:
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)  # type: ignore[arg-type]
    settings = TrainSettings(objective=objective)
    backbone = attach_head(build_backbone("resnet10", CLASSES, stem="small"), settings.objective)
    trainer = Trainer(fabric, backbone, Normalize(MEAN, STD), settings)

    def step() -> None:
        trainer.step(images, labels, 0.1)

    return step


def measured(
    steps: Mapping[str, Callable[[], None]], rounds: int, clock: Callable[[], float], seconds: float
) -> tuple[dict[str, float], int]:
    """Images per second of each step, the median over rounds in which all take turns, and the number of rounds."""
    end = time.perf_counter() + seconds
    found: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()  # the first one chooses kernels
    for _ in range(rounds):
        for name, step in steps.items():
            begin = clock()
            for _ in range(STEPS_PER_ROUND):
                step()
            found[name].append(BATCH * STEPS_PER_ROUND / (clock() - begin))
        if time.perf_counter() > end:
            break
    return {name: statistics.median(values) for name, values in found.items()}, len(next(iter(found.values())))


def compare_objectives(args: argparse.Namespace, images: torch.Tensor, labels: torch.Tensor, precision: str) -> None:
    """Print the time of a step with each objective, relative to one without."""
    with tempfile.TemporaryDirectory() as folder:
        teacher = Path(folder) / "teacher.ckpt"
        backbone = build_backbone("resnet10", CLASSES, stem="small")
        save_torch(teacher, {"epoch": 1, "state": backbone.state_dict(), "backbone": backbone.config})
        objectives: dict[str, dict[str, Any]] = {
            **{name: {} for name in ("cosine_head", "mixup", "cutmix", "manifold_mixup", "label_smoothing", "ema")},
            "affine": {},
            "rotations": {"share": 0.5},
            "distillation": {"teacher": str(teacher)},
        }
        steps = {name: our_step(images, labels, precision, {name: params}) for name, params in objectives.items()}
    plain = our_step(images, labels, precision)
    speed, rounds = measured({"none": plain, **steps}, args.rounds, time.process_time, 4 * SECONDS)
    ratios = {name: speed["none"] / value for name, value in speed.items()}
    print(f"ResNet10, {SIZE}×{SIZE}, batch {BATCH}, {precision}, {args.threads} threads, {rounds} rounds")
    for name, ratio in ratios.items():
        print(f"  {name:18}{ratio:6.2f}")
    result = {"step_time_ratios": ratios, "threads": args.threads, "precision": precision}
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--rounds",
        type=int,
        default=15,
        help=f"at most; the whole ends after {SECONDS} s, four times that with --objectives",
    )
    parser.add_argument("--objectives", action="store_true", help="compare objectives with our step without any")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8)
    labels = torch.randint(CLASSES, (BATCH,))
    precision = resolve_precision("auto")
    if args.objectives:
        return compare_objectives(args, images, labels, precision)
    steps = {"plain": plain_step(images, labels), "ours": our_step(images, labels, precision)}
    speed, rounds = measured(steps, args.rounds, time.perf_counter, SECONDS)
    ratio = speed["ours"] / speed["plain"]
    print(f"ResNet10, {SIZE}×{SIZE}, batch {BATCH}, {args.threads} threads, {rounds} rounds")
    for name, what in (("plain", "float32, contiguous"), ("ours", f"{precision}, channels_last")):
        print(f"  {name:6}{what:28}{speed[name]:8.0f} images/s")
    print(f"  ratio {ratio:.2f}")
    result = {"images_per_second": speed, "ratio": ratio, "threads": args.threads, "precision": precision}
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
