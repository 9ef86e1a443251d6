"""Published weights with and without a connection; the hub is a stand-in on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from lowshot.errors import InputError, LowshotError
from lowshot.representation import load_pretrained, published
from lowshot.representation.published import url_file
from tests.hub import drawn_weights, fill_cache, stand_in
from tests.offline import run_offline

LOAD = """
import json, sys, time
import torch, timm, huggingface_hub
from lowshot.errors import LowshotError
from lowshot.representation import load_pretrained

torch.set_num_threads(1)
for model in sys.argv[1:]:
    start = time.monotonic()
    try:
        found = load_pretrained(model)
        text, kind = float(next(found.backbone.trunk.parameters()).double().sum()), "loaded"
    except LowshotError as error:
        text, kind = str(error), type(error).__name__
    print(json.dumps([kind, text, time.monotonic() - start]))
"""


def load(models: Sequence[str], endpoint: str, cache: Path) -> list[list[str]]:
    """The outcome of loading each model in a process of its own: its kind, its text, and the seconds it took."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_CACHE": str(cache),
        "NO_PROXY": "127.0.0.1",
        "TORCH_HOME": str(cache),
    }
    command = [sys.executable, "-c", LOAD, *models]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_without_a_hub_the_message_comes_at_once_and_says_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}"
    model = "timm:vit_small_patch14_reg4_dinov2.lvd142m"
    (kind, text, seconds), (other, text_of_other, _) = load([model, "torchvision:resnet18"], endpoint, tmp_path)
    assert kind == "LowshotError"
    assert seconds < 5
    repository = "timm/vit_small_patch14_reg4_dinov2.lvd142m"
    place = (
        tmp_path / "models--timm--vit_small_patch14_reg4_dinov2.lvd142m" / "snapshots" / "main" / "model.safetensors"
    )
    for part in (model, f"{endpoint}/{repository}/resolve/main/model.safetensors", str(place), "efficientnet_lite0"):
        assert part in text
    assert "does not answer" in text
    assert other == "LowshotError"
    assert str(tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth") in text_of_other


def test_a_file_at_the_place_that_the_message_names_is_found_without_any_connection(tmp_path: Path) -> None:
    weights = fill_cache(tmp_path / "cached", "test_resnet.r160_in1k")
    named = tmp_path / "named" / "models--timm--test_resnet.r160_in1k" / "snapshots" / "main"
    named.mkdir(parents=True)
    (file,) = (tmp_path / "cached").rglob("model.safetensors")
    (named / "model.safetensors").write_bytes(file.read_bytes())
    for cache in ("cached", "named"):
        code = f"import os\nos.environ['HF_HUB_CACHE'] = {str(tmp_path / cache)!r}\n{LOAD}"
        done = run_offline(code, "timm:test_resnet.r160_in1k", "timm:test_resnet")
        assert done.returncode == 0, done.stderr
        for line in done.stdout.splitlines():
            kind, total, _ = json.loads(line)
            assert kind == "loaded", total
            assert total == pytest.approx(float(weights["conv1.0.weight"].double().sum()), abs=1e-9)


def test_answers_of_a_hub_become_advice(tmp_path: Path) -> None:
    answers = {
        "test_vit.r160_in1k": (403, "GatedRepo"),
        "test_efficientnet.r160_in1k": 401,
        "test_byobnet.r160_in1k": (404, "EntryNotFound"),
        "test_convnext.r160_in1k": "silence",
        "test_resnet.r160_in1k": drawn_weights("test_resnet.r160_in1k", seed=5),
    }
    with stand_in(answers) as endpoint:
        found = load([f"timm:{model}" for model in answers], endpoint, tmp_path)
    gated, refused, empty, silent, served = found
    for kind, text, _ in (gated, refused):
        assert kind == "InputError"
        assert "gated" in text
        assert "hf auth login" in text
        assert "efficientnet_lite0" in text
    assert empty[0] == "InputError"
    assert "has no weights of 'timm:test_byobnet.r160_in1k'" in empty[1]
    assert silent[0] == "LowshotError"
    assert "does not answer within 4 s" in silent[1]
    assert float(silent[2]) < 5
    assert served[0] == "loaded", served[1]
    assert served[1] == pytest.approx(
        float(answers["test_resnet.r160_in1k"]["conv1.0.weight"].double().sum()), abs=1e-9
    )
    (again,) = load(["timm:test_resnet.r160_in1k"], f"http://127.0.0.1:{closed_port()}", tmp_path)
    assert again[:2] == served[:2]


def test_a_file_of_an_address_is_taken_from_torchs_cache_or_refused_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(published, "PATIENCE", 0.5)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "here.pth").write_bytes(b"")
    assert url_file("m", "http://127.0.0.1:1/here.pth") == tmp_path / "hub" / "checkpoints" / "here.pth"
    with stand_in({"gated": 403, "slow": "silence"}) as endpoint:
        for name, error, message in (
            ("gated", InputError, "status 403"),
            ("missing", InputError, "has no weights of 'm'"),
            ("slow", LowshotError, "does not answer"),
        ):
            start = time.monotonic()
            with pytest.raises(error, match=message):
                url_file("m", f"{endpoint}/timm/{name}/weights-0123abcd.pth")
            assert time.monotonic() - start < 3


def test_weights_of_another_architecture_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    file = tmp_path / "resnet.safetensors"
    save_file(drawn_weights("test_resnet.r160_in1k"), file)
    for name in ("timm:test_vit", "efficientnet_lite0", "torchvision:resnet18", "resnet10", "timm:resnet10t"):
        with pytest.raises(InputError, match=f"does not fit {name}: it is of another architecture") as caught:
            load_pretrained(name, file)
        assert str(file) in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_gives_the_same_network_as_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, wrapped: bool
) -> None:
    from huggingface_hub import constants
    from safetensors.torch import save_file

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    weights = fill_cache(tmp_path / "cache", "test_vit.r160_in1k")
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(
            {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in weights.items()}} if wrapped else weights, file
        )
    else:
        save_file({f"module.{key}": value for key, value in weights.items()} if wrapped else weights, file)
    ours, hubs = load_pretrained("timm:test_vit", str(file)), load_pretrained("timm:test_vit.r160_in1k")
    assert ours.source == str(file)
    assert hubs.source == "hub"
    images = torch.randn(2, 3, *hubs.preprocessing.size)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(images)[1], hubs.backbone(images)[1], atol=0, rtol=0)
    assert ours.head is not None
    assert hubs.head is not None
    assert (ours.head.weight == hubs.head.weight).all()
    assert ours.head.class_names is None  # nobody says of what
    assert hubs.head.class_names is not None


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    for name, content in (("a.pth", b"not torch"), ("b.safetensors", b"\x05\0\0\0\0\0\0\0{bad}"), ("c.bin", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=str(tmp_path / name)):
            load_pretrained("efficientnet_lite0", tmp_path / name)
    torch.save({"conv_stem.weight": torch.full((32, 3, 3, 3), float("nan"))}, tmp_path / "d.pth")
    with pytest.raises(InputError, match="another architecture"):
        load_pretrained("efficientnet_lite0", tmp_path / "d.pth")
    torch.save({"epoch": 3}, tmp_path / "e.pth")
    with pytest.raises(InputError, match="hold no tensors by name"):
        load_pretrained("efficientnet_lite0", tmp_path / "e.pth")
