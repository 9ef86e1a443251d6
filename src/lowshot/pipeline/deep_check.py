"""The check of ``lowshot validate --deep``: every file of every finished stage, read whole."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from lowshot.errors import InputError
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stamps import Stamps


def check_outputs(plan: Plan, arguments: Sequence[str]) -> str:
    """Compare the files of all finished stages with what was written.

    Args:
        plan (Plan): The plan of a recipe.
        arguments (sequence of str): The recipe, changes and options that name it on the command line.

    Returns:
        str: One line that counts the stages.

    Raises:
        InputError: Some are damaged: a line for each, and the commands that make them anew.
    """
    stamps = Stamps(plan.outputs.state)
    finished = [stage for stage in plan.stages if stamps.read(stage) is not None]
    damaged: dict[str, list[str]] = {stage.kind: [] for stage in finished}
    for stage in finished:
        damaged[stage.kind] += [f"{line} ({stage.key} wrote it)" for line in stamps.damage(stage)]
    kinds = [kind for kind, lines in damaged.items() if lines]
    if not kinds:
        return f"{len(finished)} of {len(plan.stages)} stages are finished, and their files are as they were written"
    commands = [f"lowshot {kind} {shlex.join(arguments)} --force" for kind in kinds]
    commands.append(f"lowshot run {shlex.join(arguments)}")
    raise InputError(
        "\n".join(
            [
                f"{plan.outputs.folder} has damaged files:",
                *(line for kind in kinds for line in damaged[kind]),
                f"To make them anew: {' && '.join(commands)}",
            ]
        )
    )
