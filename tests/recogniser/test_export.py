"""Exports to ONNX: the same answers as the recogniser, from a file that needs neither lowshot nor torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from lowshot.classifiers import MatchingNetwork, Ridge
from lowshot.data import build_transforms
from lowshot.data.preprocessing import Preprocessing
from lowshot.errors import InputError, LowshotError
from lowshot.features import Embedder
from lowshot.recogniser import Recogniser
from lowshot.recogniser.graph import Head, PhotosToAnswers, as_onnx
from lowshot.recogniser.model import Examples, Model
from lowshot.recogniser.onnx_format import About, portable_preprocessing
from lowshot.recogniser.pixels import pixels_of
from lowshot.recogniser.start import BaseClasses, Start
from lowshot.recogniser.state import BackboneState, BaseState, ClassifierState, ClassState, State
from tests.recogniser.conftest import photo, tiny_network, write_photos

CLASSIFIERS: list[tuple[str, dict[str, Any]]] = [
    ("nearest_mean", {}),
    ("nearest_mean", {"metric": "euclidean", "feature_transform": "none"}),
    ("ridge", {}),
    ("gaussian", {}),
    ("gaussian", {"predictive": True}),
    ("cosine", {}),
    ("logistic", {}),
    ("prototypical", {}),
    ("teen", {}),
    ("ranpac", {"n_projected": 50}),
    ("gaussian_kernel", {}),
    ("gaussian_text", {}),
    ("gaussian_cosine", {}),
    ("weight_generator", {}),
    ("wdae_gnn", {}),
    ("prototypical_hallucination", {}),
    ("prototype_matching", {}),
    ("matching_network", {}),
]


@pytest.fixture
def colours(tiny: None, tmp_path: Path) -> Recogniser:
    opened = Recogniser.create(tmp_path / "colours")
    opened.teach(write_photos(tmp_path / "photos", {"red": 4, "green": 3, "blue": 2}))
    return opened


def asked(path: Path, images: list[Image.Image]) -> dict[str, np.ndarray]:
    """The outputs of a file, as a program without lowshot gets them."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["lowshot"])
    settings = About.model_validate_json(json.dumps(about)).preprocessing
    pixels = np.stack([pixels_of(image, settings) for image in images])
    names = ["probabilities", "unknown", "similarity", "features"]
    return {**dict(zip(names, session.run(names, {"pixels": pixels}))), "about": about}


@pytest.mark.parametrize(("name", "params"), CLASSIFIERS, ids=str)
@pytest.mark.parametrize("count", [1, 8])
def test_every_classifier_gives_the_same_answers(
    colours: Recogniser, tmp_path: Path, name: str, params: dict[str, Any], count: int
) -> None:
    colours.set_classifier(name, params)
    done = colours.export_onnx(tmp_path / "colours.onnx")
    assert (done.photos, done.difference < 1e-3) == (9, True)
    assert done.images == 9 + 9
    queries = [photo(colour, 90 + i) for i, colour in enumerate(["red", "green", "blue", "grey"] * 2)][:count]
    found = asked(tmp_path / "colours.onnx", queries)
    expected = colours.predict_proba(queries)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-3)
    assert (found["probabilities"].argmax(axis=1) == expected.argmax(axis=1)).all()
    unknown = [answer.unknown for answer in colours.predict(queries)]
    assert found["unknown"].tolist() == unknown
    assert (found["similarity"] < found["about"]["unknown_at"]).tolist() == unknown
    assert found["features"].shape == (count, 12)


def test_the_metadata_say_how_to_ask(colours: Recogniser, tmp_path: Path) -> None:
    colours.export_onnx(tmp_path / "colours.onnx")
    about = asked(tmp_path / "colours.onnx", [photo("red", 1)])["about"]
    assert about["classes"] == colours.classes
    assert about["temperature"] == colours.state.temperature
    assert about["unknown_at"] == colours.state.unknown_at
    assert about["preprocessing"]["size"] == [16, 16]


def test_a_mean_of_two_views_is_inside(tiny: None, tmp_path: Path) -> None:
    opened = Recogniser.create(tmp_path / "two", views="flip")
    opened.teach(write_photos(tmp_path / "photos", {"red": 2, "blue": 2}))
    opened.export_onnx(tmp_path / "two.onnx")
    queries = [photo("red", 5), photo("blue", 6)]
    found = asked(tmp_path / "two.onnx", queries)["probabilities"]
    np.testing.assert_allclose(found, opened.predict_proba(queries), atol=1e-3)


@pytest.mark.parametrize("views", ["five_crop", "ten_crop", "affine"])
def test_views_of_several_crops_answer_and_have_no_form_in_onnx(tiny: None, tmp_path: Path, views: str) -> None:
    start = Start("any", {}, tiny_network("any").backbone, build_transforms("imagenet", image_size=16))
    crops = Recogniser.create(tmp_path / "crops", views=views, start=start)
    crops.teach(write_photos(tmp_path / "photos", {"red": 2, "blue": 2}))
    assert Recogniser(tmp_path / "crops").predict([photo("red", 5)])[0].class_ == "red"
    with pytest.raises(InputError, match=f"{views} takes several crops"):
        crops.export_onnx(tmp_path / "crops.onnx")


def test_what_has_no_form_in_onnx_is_refused_with_the_reason(tiny: None, tmp_path: Path) -> None:
    crops = Recogniser.create(tmp_path / "crops")
    crops.teach(write_photos(tmp_path / "photos", {"red": 2, "blue": 2}))
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        crops.export_onnx(tmp_path / "crops.bin")
    with pytest.raises(InputError, match="knows no class"):
        Recogniser.create(tmp_path / "none").export_onnx(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="preset 'mine' of a plug-in"):
        portable_preprocessing({"preset": "mine"})
    assert not list(tmp_path.glob("*.onnx"))


def test_a_file_with_other_answers_is_not_kept(
    colours: Recogniser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "colours.onnx"
    target.write_bytes(b"before")
    monkeypatch.setattr(
        "lowshot.recogniser.graph.Head.forward",
        lambda self, features: (self.scores(features).softmax(1).flip(1), features[:, 0] > 0, features[:, 0]),
    )
    with pytest.raises(LowshotError, match="not kept: its answers differ"):
        colours.export_onnx(target)
    assert target.read_bytes() == b"before"
    assert not list(tmp_path.glob(".*onnx*"))


def test_nothing_is_printed_and_nothing_warns(
    colours: Recogniser, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    capfd.readouterr()
    colours.export_onnx(tmp_path / "colours.onnx")
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


def test_a_missing_package_is_named(colours: Recogniser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime: pip install 'lowshot\[onnx\]'"):
        colours.export_onnx(tmp_path / "colours.onnx")


DESCRIPTIONS = [
    *(
        Preprocessing((h, w), (rh, rw), mode, interpolation).description
        for mode in ("center", "squash", "border")
        for (h, w, rh, rw) in ((24, 24, 28, 28), (24, 16, 24, 16), (40, 24, 33, 21))
        for interpolation in ("bilinear", "bicubic", "nearest", "lanczos")
    ),
    build_transforms("imagenet", image_size=28).description,
    build_transforms("imagenet", image_size=28, resize=20).description,
    build_transforms("small", image_size=24).description,
]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=str)
def test_the_pixels_are_those_of_the_transforms(description: dict[str, Any]) -> None:
    preset = description["preset"]
    values = {name: value for name, value in description.items() if name != "preset"}
    transforms = (
        Preprocessing.from_dict(values).transforms() if preset == "weights" else build_transforms(preset, **values)
    )
    settings = portable_preprocessing(transforms.description)
    for width, height in ((30, 30), (61, 37), (37, 64), (15, 90), (24, 24), (5, 4)):
        image = photo("red", width, 40).resize((width, height))
        expected = transforms.eval(image).permute(1, 2, 0).numpy().astype(int)
        found = pixels_of(image, settings)
        assert found.shape == expected.shape
        assert found.dtype == np.uint8
        assert np.abs(found - expected).max() <= 1


def test_the_default_network_exports(tmp_path: Path) -> None:
    opened = Recogniser.create(tmp_path / "lite")
    opened.teach(write_photos(tmp_path / "photos", {"red": 2, "green": 2, "blue": 1}))
    done = opened.export_onnx(tmp_path / "lite.onnx")
    assert done.difference < 1e-4
    queries = [photo(colour, 90, 80) for colour in ("red", "green", "blue")] * 3
    found = asked(tmp_path / "lite.onnx", queries[:8])["probabilities"]
    np.testing.assert_allclose(found, opened.predict_proba(queries[:8]), atol=1e-3)


def test_base_classes_export_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowshot.recogniser.embedding.load_pretrained", tiny_network)
    found = tiny_network("efficientnet_lite0")
    transforms = build_transforms("imagenet", image_size=16)
    with Embedder(found.backbone, transforms) as embedder:
        features = embedder.embed([photo(colour, seed) for colour in ("green", "grey", "red") for seed in range(4)])
    known = Ridge().fit_base(features, np.repeat([0, 1, 2], 4)).with_calibration_bias(0.1)
    start = Start(
        "efficientnet_lite0", {}, found.backbone, transforms, base=BaseClasses("here", ["green", "grey", "red"], known)
    )
    opened = Recogniser.create(tmp_path / "based", start=start)
    # One that is new, one that was known, and one of the known ones removed.
    opened.teach(write_photos(tmp_path / "photos", {"blue": 2, "red": 2}))
    opened.remove("grey")
    assert opened.classes == ["green", "red", "blue"]
    opened.export_onnx(tmp_path / "based.onnx")
    queries = [photo(colour, 70 + i) for i, colour in enumerate(["red", "green", "blue", "grey"])]
    found = asked(tmp_path / "based.onnx", queries)
    np.testing.assert_allclose(found["probabilities"], opened.predict_proba(queries), atol=1e-3)
    assert found["unknown"].tolist() == [answer.unknown for answer in opened.predict(queries)]


def test_a_trained_matching_network_exports() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 12)).astype(np.float32), np.repeat(np.arange(4), 10)
    known = MatchingNetwork(n_episodes=2, n_support=3).fit_base(X, y).fit_novel(X[:5] + 1, [7, 7, 8, 8, 8])
    examples = Examples(np.arange(5), X[:5] + 1, np.array([4, 4, 5, 5, 5]), ["a"] * 5)
    backbone = BackboneState(name="any", preprocessing={}, dim=12, fingerprint="any")
    state = State(
        number=0,
        backbone=backbone,
        base=BaseState(origin="here", names=list("abcd")),
        classes=[ClassState(id=0, name="x"), ClassState(id=1, name="y")],
        next_id=2,
        classifier=ClassifierState(name="matching_network"),
    )
    model = Model(state, examples, known)
    found = tiny_network("any")
    module = PhotosToAnswers(Embedder(found.backbone, found.preprocessing.transforms()), Head(model))
    session = onnxruntime.InferenceSession(as_onnx(module, 16, 16), providers=["CPUExecutionProvider"])
    pixels = rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    probabilities, _, _, features = session.run(None, {"pixels": pixels})
    np.testing.assert_allclose(probabilities, model.probabilities(features), atol=1e-4)
