"""The content of a checkpoint is data: nothing is opened or fetched for it, and it is built only if it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from lowshot.errors import InputError
from lowshot.representation import build_backbone, load_backbone
from lowshot.torch_files import save_torch
from tests.hub import fill_cache
from tests.offline import run_offline

SOURCES: dict[str, dict[str, Any]] = {
    "timm:resnet10t": {
        "pretrained": True,
        "pretrained_cfg": {"url": "http://127.0.0.1:9/weights.bin", "hf_hub_id": "nobody/nothing"},
        "pretrained_cfg_overlay": {"file": "/etc/passwd"},
        "checkpoint_path": "/etc/passwd",
        "cache_dir": "/nonexistent",
    },
    "torchvision:resnet18": {"weights": "IMAGENET1K_V1", "weights_backbone": "DEFAULT"},
}


def content(name: str = "timm:resnet10t", num_classes: Any = 4, **options: Any) -> dict[str, Any]:
    """A checkpoint of freshly built weights, whose description says that they come from elsewhere as well."""
    state = build_backbone(name, 4).state_dict()
    return {"epoch": 1, "state": state, "backbone": {"name": name, "num_classes": num_classes, "kwargs": options}}


def test_loading_and_converting_a_checkpoint_never_connects_and_opens_no_other_file(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.ckpt" for number in range(len(SOURCES))]
    for path, (name, options) in zip(paths, SOURCES.items()):
        save_torch(path, content(name, **options))
    done = run_offline(
        """
        from lowshot.compat.convert import convert
        from lowshot.errors import InputError
        from lowshot.representation import load_backbone

        seen = []
        sys.addaudithook(lambda event, arguments: seen.append(str(arguments[0])) if event == "open" else None)
        for path in sys.argv[1:]:
            print(load_backbone(path).config["kwargs"])
            try:
                convert(path, path + ".tar")
            except InputError as error:
                print(error)
        assert not [path for path in seen if path in ("/etc/passwd", "/nonexistent")], seen
        """,
        *paths,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("{}\n") == len(SOURCES)
    assert done.stdout.count("the original program has no network") == len(SOURCES)


def test_a_backbone_that_is_built_with_weights_from_elsewhere_does_not_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    fill_cache(tmp_path, "resnet10t.c3_in1k")
    (file,) = tmp_path.rglob("model.safetensors")
    for source in (True, str(file)):
        assert build_backbone("timm:resnet10t", 4, pretrained=source).config["kwargs"] == {}


@pytest.mark.parametrize("option", ["pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"])
def test_timms_own_sources_of_weights_are_refused(option: str) -> None:
    with pytest.raises(InputError, match=f"option '{option}' is not taken; weights are given by pretrained: true or"):
        build_backbone("timm:resnet10t", 4, **{option: SOURCES["timm:resnet10t"][option]})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        *[({"kwargs": value}, "backbone.kwargs") for value in (None, "x", 3, [], [["a", 1]])],
        *[({"name": value}, "backbone.name") for value in (None, 3, ["resnet10"], {})],
        *[({"num_classes": value}, "backbone.num_classes") for value in (None, "4", -1, 0, 4.0, True, [4])],
        ({"num_classes": 10**7}, "Of another shape|far larger than its weights"),
        ({"num_classes": 10**12}, "far larger than its weights|cannot be built"),
        ({"num_classes": 10**30}, "cannot be built|far larger"),
        ({"name": "nothing"}, "unknown backbone 'nothing'"),
        ({"name": "timm:nothing"}, "has no model 'nothing'"),
        ({"name": "timm:hf-hub:nobody/nothing"}, "has no model"),
        ({"kwargs": {"no_such_option": 1}}, "cannot be built with options"),
        ({"kwargs": {"num_classes": 3}}, "cannot be built"),
        ({"kwargs": {"features_only": True}}, "leave features_only out"),
        ({"kwargs": {"in_chans": 1}}, "Of another shape"),
        ({"kwargs": {"in_chans": 10**9}}, "far larger than its weights|cannot be built"),
        ({"kwargs": {"layers": [1000, 1000, 1000, 1000]}}, "far larger than its weights|cannot be built"),
        ({"further": 1}, "backbone.further"),
    ],
)
def test_a_description_that_cannot_be_built_is_refused_in_a_line(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    one = content()
    one["backbone"] |= changed
    save_torch(tmp_path / "c.ckpt", one)
    with pytest.raises(InputError, match=rf"^checkpoint .*c\.ckpt[^\n]*({message})[^\n]*$"):
        load_backbone(tmp_path / "c.ckpt")


@pytest.mark.parametrize("value", [None, "x", 3, [], {}])
def test_a_description_of_another_kind_is_refused(tmp_path: Path, value: Any) -> None:
    save_torch(tmp_path / "c.ckpt", {**content(), "backbone": value})
    with pytest.raises(InputError, match="'backbone' must have name, num_classes and kwargs"):
        load_backbone(tmp_path / "c.ckpt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w * float("nan"), "holds NaN or infinity in classifier.weight"),
        (lambda w: w[:2], "classifier.weight is 2×512, not 4×512"),
        (lambda w: w.to_sparse(), "weights must be dense and real. Not so: classifier.weight"),
        (lambda w: w * 1j, "weights must be dense and real"),
        (lambda w: w[:1, :1].expand(2**20, 2**20), "weights must be dense and real"),
        (lambda w: w.tolist(), "must map names to tensors"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    one = content()
    one["state"]["classifier.weight"] = change(one["state"]["classifier.weight"])
    save_torch(tmp_path / "c.ckpt", one)
    with pytest.raises(InputError, match=message):
        load_backbone(tmp_path / "c.ckpt")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_plain_weights_are_answered_in_a_line_that_says_how_to_use_them(tmp_path: Path, wrap: Any) -> None:
    state = build_backbone("timm:resnet10t", 4).trunk.state_dict()
    save_torch(tmp_path / "w.pt", wrap(state))
    safetensors.torch.save_file({name: value.clone() for name, value in state.items()}, tmp_path / "w.safetensors")
    for name in ("w.pt", "w.safetensors"):
        with pytest.raises(InputError) as caught:
            load_backbone(tmp_path / name)
        message = str(caught.value)
        assert "holds plain weights" in message
        assert "docs/features.md" in message
        assert len(message.splitlines()) == 1
        assert len(message) < 400
