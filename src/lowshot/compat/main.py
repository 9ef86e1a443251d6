"""``main.py`` of the original: train a representation, a ``{epoch}.tar`` every few epochs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lowshot.compat.names import LOSS_NAMES, MODELS
from lowshot.compat.program import SWITCH, Flags, end, integer, parser, run


def flags() -> argparse.ArgumentParser:
    """Make a parser with the original's flags and defaults."""
    found = parser("main", "Train a representation on the base classes and save it as {epoch}.tar, epochs from 0.")
    add = found.add_argument
    add("--traincfg", required=True, help="YAML data configuration of the training images")
    add("--valcfg", required=True, help="YAML data configuration of the images to validate on")
    add("--model", default="ResNet18", help=", ".join(MODELS))
    add("--lr", default=0.1, type=float, help="learning rate")
    add("--momentum", default=0.9, type=float, help="momentum of SGD")
    add("--weight_decay", default=1e-4, type=float, help="L2 penalty on all parameters")
    add("--lr_decay", default=0.1, type=float, help="factor on the learning rate every step_size epochs")
    add("--step_size", default=30, type=int, help="epochs between two decays of the learning rate")
    add("--print_freq", default=10, type=int, help="accepted; a progress bar on a terminal takes its place")
    add("--save_freq", default=10, type=integer(1), help="epochs whose number it divides are saved, and the last one")
    add("--start_epoch", default=0, type=int, help="number of the first epoch")
    add("--stop_epoch", default=90, type=integer(1), help="number after that of the last epoch")
    add(
        "--allow_resume",
        default=0,
        type=int,
        choices=SWITCH,
        help="1 resumes from resume_file, or from the .tar of the highest number in checkpoint_dir",
    )
    add("--resume_file", help="checkpoint to resume from")
    add("--checkpoint_dir", required=True, help="folder for the checkpoints")
    add("--aux_loss_type", default="l2", help=f"{', '.join(LOSS_NAMES)}, a loss of `lowshot list losses`, or FILE.py")
    add("--aux_loss_wt", default=0.1, type=float, help="weight of the auxiliary loss; 0 trains a true baseline")
    add("--num_classes", default=1000, type=integer(1), help="outputs of the network, base and novel classes")
    add("--dampening", default=0.0, type=float, help="dampening of the momentum")
    add("--warmup_epochs", default=0, type=int, help="first epochs that run at warmup_lr")
    add("--warmup_lr", default=0.01, type=float, help="learning rate of the warm-up epochs")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _run, arguments)


def _run(given: Flags) -> None:
    from lowshot.compat.training import train

    train(given)


if __name__ == "__main__":
    end(main())
