from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.data import Transforms, build_transforms
from lowshot.errors import InputError, LowshotError
from lowshot.features import FeatureStore
from lowshot.features.engines import ENGINES
from lowshot.features.loading import ahead
from lowshot.features.processes import run_in_processes
from tests.features.fakes import Pictures, TinyBackbone

ROOT = Path(__file__).parents[2]

Extract = Callable[..., Path]


def record_rows(pictures: Pictures) -> list[int]:
    """A list to which each row is added when it is loaded."""
    loaded: list[int] = []
    pictures._open = lambda row, load=pictures._open: (loaded.append(row), load(row))[1]  # type: ignore[method-assign]
    return loaded


def test_features_are_what_the_backbone_gives_image_by_image(
    extract: Extract, backbone: TinyBackbone, pictures: Pictures, transforms: Transforms
) -> None:
    backbone.train()
    path = extract(precision="32-true")
    assert backbone.training, "the caller's model is left as it was"
    store = FeatureStore.open(path)
    with torch.no_grad():
        backbone.eval()
        expected = [
            backbone(transforms.normalize(transforms.eval(pictures.load(row))[None]))[1][0].numpy() for row in range(37)
        ]
    np.testing.assert_allclose(store.features, expected, atol=1e-5)
    np.testing.assert_array_equal(store.labels, pictures.labels)
    assert (store.paths, store.class_names) == (pictures.paths, pictures.class_names)


def test_the_file_says_what_it_was_made_from(extract: Extract, backbone: TinyBackbone, pictures: Pictures) -> None:
    attributes = FeatureStore.open(extract(attributes={"recipe": "abc"})).attributes
    assert attributes["backbone"] == "tiny"
    assert attributes["precision"] == "bf16-mixed"
    assert attributes["dataset_fingerprint"] == pictures.fingerprint
    assert attributes["recipe"] == "abc"
    with torch.no_grad():
        backbone.conv.weight[0, 0, 0, 0] += 1
    assert FeatureStore.open(extract("g.h5")).attributes["fingerprint"] != attributes["fingerprint"]


def test_reduced_precision_is_close_to_full(extract: Extract) -> None:
    full, reduced = (FeatureStore.open(extract(name, precision=name)).features for name in ("32-true", "bf16-mixed"))
    np.testing.assert_allclose(full, reduced, atol=0.05)
    assert not np.array_equal(full, reduced)


def test_loader_processes_change_nothing(extract: Extract, uninterrupted: bytes) -> None:
    assert extract(workers=1).read_bytes() == uninterrupted


def test_an_interrupted_call_is_continued_to_the_same_bytes(
    tmp_path: Path, extract: Extract, uninterrupted: bytes, pictures: Pictures
) -> None:
    with pytest.raises(InputError, match=r"c0/21\.png cannot be read: it is damaged"):
        extract(dataset=Pictures(37, fails_at=21))
    assert not (tmp_path / "f.h5").exists()
    loaded = record_rows(pictures)
    assert extract().read_bytes() == uninterrupted
    assert min(loaded) == 20, "five batches of four were done"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "uninterrupted.h5"]


@pytest.mark.parametrize(
    ("change", "same_bytes"),
    [
        ({"resume": False}, True),
        ({"backbone": TinyBackbone()}, False),
        ({"transforms": build_transforms("small", image_size=7)}, False),
        ({"precision": "32-true"}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_without_resume_or_with_another_backbone_it_starts_over(
    extract: Extract, uninterrupted: bytes, pictures: Pictures, change: dict[str, object], same_bytes: bool
) -> None:
    with pytest.raises(InputError):
        extract(dataset=Pictures(37, fails_at=21))
    loaded = record_rows(pictures)
    assert (extract(**change).read_bytes() == uninterrupted) is same_bytes
    assert min(loaded) == 0


@pytest.mark.parametrize("installed", [True, False])
def test_it_goes_on_with_the_engine_that_it_began_with(
    extract: Extract, pictures: Pictures, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """It starts over where that is no longer installed."""
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError):
        extract(engine="onnxruntime", precision="32-true", dataset=Pictures(37, fails_at=21))
    monkeypatch.setattr(ENGINES["onnxruntime"], "installed", classmethod(lambda cls: installed))
    loaded = record_rows(pictures)
    attributes = FeatureStore.open(extract(precision="32-true")).attributes
    assert attributes["engine"] == ("onnxruntime" if installed else "torch")
    assert min(loaded) == (20 if installed else 0)


@pytest.mark.parametrize("damage", ["garbage", "short", "gone"])
def test_damaged_partial_files_are_started_over(
    tmp_path: Path, extract: Extract, uninterrupted: bytes, damage: str
) -> None:
    with pytest.raises(InputError):
        extract(dataset=Pictures(37, fails_at=21))
    (state,), (rows,) = tmp_path.glob(".f.h5.*.json"), tmp_path.glob(".f.h5.*.rows")
    if damage == "garbage":
        state.write_bytes(b'{"done": ')
    elif damage == "short":
        rows.write_bytes(rows.read_bytes()[:-1])
    else:
        rows.unlink()
    assert extract().read_bytes() == uninterrupted


def test_a_killed_process_is_continued_to_the_same_bytes(
    tmp_path: Path, extract: Extract, uninterrupted: bytes
) -> None:
    script = """
        import sys, torch
        from lowshot.data.transforms import build_transforms
        from lowshot.features import extract_features, shard
        from tests.features.fakes import Pictures, TinyBackbone
        shard.SYNC_SECONDS = 0
        torch.manual_seed(0)
        images = Pictures(37, seconds=0.05)
        extract_features(TinyBackbone(), images, build_transforms("small", image_size=8), sys.argv[1], batch_size=4)
    """
    target = tmp_path / "f.h5"
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(target)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not any('"done": 0' not in path.read_text() for path in tmp_path.glob(".f.h5.*-37.json")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not target.exists()
    assert extract().read_bytes() == uninterrupted


def test_what_a_process_left_that_was_killed_while_it_wrote_its_state_is_removed(
    tmp_path: Path, extract: Extract
) -> None:
    (tmp_path / "..f.h5.0-12.json.abc_1.part").write_text("{")
    extract()
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


def test_two_processes_write_the_bytes_of_one_even_after_one_failed(
    tmp_path: Path, extract: Extract, uninterrupted: bytes
) -> None:
    with pytest.raises(InputError, match=r"c0/30\.png cannot be read"):
        extract(dataset=Pictures(37, fails_at=30), devices=2)
    assert not (tmp_path / "f.h5").exists()
    assert extract(devices=2).read_bytes() == uninterrupted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "uninterrupted.h5"]


def test_a_killed_process_ends_the_others() -> None:
    start = time.monotonic()
    with pytest.raises(LowshotError, match=r"ended early \(signal 9\).*run it again"):
        run_in_processes(sleep_or_die, ["sleep", "die"], lambda: None)
    assert time.monotonic() - start < 60


def sleep_or_die(what: str, number: int) -> None:
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(120)


@pytest.mark.parametrize("names", [("WORLD_SIZE", "RANK"), ("SLURM_NTASKS", "SLURM_PROCID")], ids=["torchrun", "slurm"])
def test_ranks_of_a_launcher_share_the_images(tmp_path: Path, uninterrupted: bytes, names: tuple[str, str]) -> None:
    script = """
        import sys, torch
        from lowshot.data.transforms import build_transforms
        from lowshot.features import FeatureStore, extract_features
        from tests.features.fakes import Pictures, TinyBackbone
        torch.manual_seed(0)
        args = Pictures(37), build_transforms("small", image_size=8), sys.argv[1]
        path = extract_features(TinyBackbone(), *args, batch_size=4)
        assert len(FeatureStore.open(path)) == 37
    """
    size, number = names
    with_port = {**os.environ, size: "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "f.h5")],
            cwd=ROOT,
            env={**with_port, number: str(rank), "SLURM_LOCALID": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    assert [rank.wait(300) for rank in ranks] == [0, 0]
    assert (tmp_path / "f.h5").read_bytes() == uninterrupted


def test_features_that_are_not_finite_name_the_image(tmp_path: Path, extract: Extract, backbone: TinyBackbone) -> None:
    with torch.no_grad():
        backbone.conv.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"NaN or infinity for image c0/0\.png \(row 0\)"):
        extract()
    assert not (tmp_path / "f.h5").exists()


def test_nothing_to_do_and_unknown_precision_are_refused(extract: Extract) -> None:
    with pytest.raises(InputError, match="no images"):
        extract(dataset=Pictures(0))
    with pytest.raises(InputError, match=r"'bf16'.*bf16-mixed"):
        extract(precision="bf16")


def test_loading_ahead_keeps_order_and_passes_errors_on() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise InputError("the sixth")

    loaded = ahead(items())
    assert list(itertools.islice(loaded, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="the sixth"):
        next(loaded)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_refusal_before_the_file_is_written_keeps_the_rows(extract, tmp_path, capsys):
    def refuse():
        assert not (tmp_path / "f.h5").exists()
        raise InputError("not now")

    with pytest.raises(InputError, match="not now"):
        extract("f.h5", before_write=refuse)
    assert not (tmp_path / "f.h5").exists()
    capsys.readouterr()
    store = FeatureStore.open(extract("f.h5"))
    assert f"{len(store)} from an earlier run" in " ".join(capsys.readouterr().err.split())
