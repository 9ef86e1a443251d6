"""Several training processes on one machine, judged by what they write."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import multiprocessing

from lowshot.errors import InputError
from lowshot.plugins import import_plugin
from lowshot.representation import launch, training
from tests.representation.tiny import train, weights

# A loss that writes down, for each step and process, the classifier it was given and the labels it saw.
WITNESS = """
import os
import torch
from pathlib import Path
from lowshot.registry import LOSSES
from lowshot.representation.losses import SGMLoss

@LOSSES.register("witness_{name}", "SGM that leaves a trace, for tests")
class Witness(SGMLoss):
    def __init__(self, folder):
        super().__init__()
        self.folder, self.step = Path(folder), 0

    def formula(self, features, scores, labels, classifier_weight):
        rank = torch.distributed.get_rank()
        torch.save((classifier_weight.detach().clone(), labels), self.folder / f"{{self.step}}_{{rank}}.pt")
        self.step += 1
        return super().formula(features, scores, labels, classifier_weight)
"""


@pytest.fixture
def witness(tmp_path, request):
    """A plugin file with a loss that is registered under a name of its own, and where that loss writes."""
    name = request.node.name.split("[")[0]
    plugin, folder = tmp_path / f"{name}.py", tmp_path / "trace"
    plugin.write_text(WITNESS.format(name=name))
    folder.mkdir()
    return plugin, {"loss": f"witness_{name}", "loss_options": {"folder": str(folder)}}


def check(folder, path) -> None:
    """Equal weights in both processes at each step, different images, finite weights at the end."""
    traces = sorted(folder.glob("*_0.pt"))
    assert len(traces) == 4  # 10 images in batches of 2 × 2, 2 epochs
    for file in traces:
        first = torch.load(file, weights_only=True)
        second = torch.load(folder / file.name.replace("_0", "_1"), weights_only=True)
        assert torch.equal(first[0], second[0])
        assert len(first[1]) == len(second[1]) == 2
    assert not torch.equal(torch.load(traces[0], weights_only=True)[0], torch.load(traces[-1], weights_only=True)[0])
    assert all(bool(torch.isfinite(value).all()) for value in weights(path).values())


def test_two_processes_started_here_train_one_network(witness, tmp_path):
    plugin, loss = witness
    import_plugin(plugin)
    path = train(tmp_path / "run", devices=2, **loss)
    assert path.name == "epoch_002.ckpt"
    check(tmp_path / "trace", path)
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    assert "MASTER_PORT" not in os.environ


def refuses(fabric, argument):
    raise InputError(f"{argument} cannot be trained on")


def test_an_error_in_a_started_process_reaches_the_caller_as_it_was(monkeypatch):
    """The process is a thread here; what a real one does more is to end with torch's error around the text."""

    def in_thread(fabric, function, *args):
        with ThreadPoolExecutor() as pool, contextlib.suppress(InputError):
            pool.submit(function, None, *args).result()
        raise multiprocessing.ProcessRaisedException("Traceback ...", 0, 1)

    monkeypatch.setattr(launch, "_call", in_thread)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    with pytest.raises(InputError, match=r"^this cannot be trained on$"):
        launch.launch(refuses, "this", devices=2, precision="32-true")


def test_an_abort_on_the_way_out_does_not_lose_a_finished_run(tmp_path, monkeypatch):
    def work_and_abort(work, run, devices, precision):
        launch.launch(work, run, devices, precision)
        raise launch.ProcessDied("signal SIGABRT")

    monkeypatch.setattr(training, "launch", work_and_abort)
    assert train(tmp_path, epochs=1).name == "epoch_001.ckpt"
    monkeypatch.setattr(training, "launch", lambda *args: work_and_abort(lambda *args: "", *args[1:]))
    with pytest.raises(launch.ProcessDied):
        train(tmp_path, epochs=2)


def test_processes_that_torchrun_started_are_used_for_one_run_after_another(witness, tmp_path):
    plugin, loss = witness
    code = (
        "import sys; from pathlib import Path; import lowshot.plugins\n"
        "from tests.representation.tiny import train\n"
        f"lowshot.plugins.import_plugin({str(plugin)!r}); out = Path({str(tmp_path)!r})\n"
        f"paths = [train(out / 'run', **{loss!r}), train(out / 'second', epochs=1)]\n"
        "assert all(path.is_file() for path in paths)"
    )
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    shared |= {"TORCHELASTIC_RUN_ID": "test", "OMP_NUM_THREADS": 1, "PYTHONPATH": "."}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {key: str(value) for key, value in (shared | {"RANK": r, "LOCAL_RANK": r}).items()},
        )
        for r in range(2)
    ]
    assert [process.wait(timeout=120) for process in ranks] == [0, 0]
    check(tmp_path / "trace", tmp_path / "run" / "checkpoints" / "epoch_002.ckpt")
    assert (tmp_path / "second" / "checkpoints" / "epoch_001.ckpt").is_file()
