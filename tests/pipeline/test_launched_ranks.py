"""The ranks of a launcher, torchrun or SLURM, run one recipe together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.features import FeatureStore
from tests.pipeline.recipes import records

Write = Callable[..., Path]

WITNESS = """

from pathlib import Path
import torch


@BACKBONES.register("witness", "pipeline_tiny that leaves a file per process that trains it, for tests")
def witness(num_classes: int) -> Backbone:
    place, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    (Path(__file__).parent / f"rank-{place}-of-{ranks}").touch()
    return tiny(num_classes)
"""


@pytest.mark.parametrize("names", [("WORLD_SIZE", "RANK"), ("SLURM_NTASKS", "SLURM_PROCID")], ids=["torchrun", "slurm"])
def test_the_ranks_of_a_launcher_run_one_recipe_together(names: tuple[str, str], write_recipe: Write) -> None:
    path = write_recipe(representations={"baseline": {"train": {"backbone": "witness"}}})
    with open(path.parent / "tiny_backbone.py", "a") as plugin:
        plugin.write(WITNESS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    size, number = names
    shared = {**os.environ, size: "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    if size == "WORLD_SIZE":
        shared |= {"LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "lowshot", "run", str(path)],
            env={**shared, number: str(rank), "LOCAL_RANK": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"},
        )
        for rank in range(2)
    ]
    for rank in ranks:
        rank.wait(300)  # judged by what they leave: gloo may abort a process whose work is done
    out = path.parent / "out"
    assert {f.name for f in path.parent.glob("rank-*")} == {"rank-0-of-2", "rank-1-of-2"}
    assert len(FeatureStore.open(out / "features" / "baseline" / "train.hdf5")) == 16 * 8
    epochs = (out / "representations" / "baseline" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in epochs] == [1, 2]
    assert len([r for r in records(out) if r["setup"] == "test"]) == 2 * 2
    assert (out / "report" / "report.html").exists()
