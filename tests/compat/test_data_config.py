"""The original's YAML data configurations."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageEnhance
from torchvision import transforms as torchvision

from lowshot.compat.data_config import read_config, read_source, transforms_of
from lowshot.compat.data_schema import TransformParams
from lowshot.compat.transforms import ImageJitter, RandomSizedCrop, image_transform, normalisation
from lowshot.data import ImageDataset
from lowshot.data.sets.json_list import json_list
from lowshot.data.sets.lsun import CATEGORIES
from lowshot.errors import InputError
from tests.compat import fixture
from tests.data.conftest import noise, write_tree


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "images", ["b/1.png", "a/1.png", "a/0.png"])
    (tmp_path / "list.json").write_text('{"image_names": ["b/1.png", "a/1.png"], "image_labels": [7, 2]}')
    return tmp_path


def config(folder: Path, **changes: Any) -> Path:
    """A valid configuration with some keys changed; None leaves one out."""
    value: dict[str, Any] = {
        "dataset_type": "MetaDataset",
        "dataset_params": {"meta": "list.json", "rootdir": "images"},
        "transform_params": fixture.VAL_TRANSFORM,
        "data_loader_params": {"batch_size": 4, "num_workers": 64},
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({key: part for key, part in value.items() if part is not None}))
    return path


def test_a_list_keeps_its_order_and_its_labels(folder: Path) -> None:
    source = read_source(config(folder), 10)
    assert source.images.paths == ["b/1.png", "a/1.png"]
    assert source.images.labels.tolist() == [7, 2]
    assert source.images.load(0).size == (8, 8)
    assert source.batch_size == 4
    assert 0 < source.workers < 64  # more processes than cores would only be in each other's way


def test_image_names_may_be_absolute_and_need_no_root(folder: Path) -> None:
    (folder / "list.json").write_text(f'{{"image_names": ["{folder}/images/a/0.png"], "image_labels": [0]}}')
    source = read_source(config(folder, dataset_params={"meta": "list.json"}), 1)
    assert source.images.load(0).size == (8, 8)


def test_images_are_opened_as_they_lie_in_their_files(folder: Path) -> None:
    """As the original opens them: no EXIF rotation, and an alpha channel is dropped, whatever colours it hides."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 12, 4), dtype=np.uint8)
    pixels[..., 3] //= 2
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = Image.fromarray(pixels[..., :3]).quantize(8)
    files = {
        "alpha.png": lambda path: Image.fromarray(pixels).save(path),
        "grey alpha.png": lambda path: Image.fromarray(pixels[..., 2:]).save(path),
        "palette.png": lambda path: palette.save(path, transparency=0),
        "turned.jpg": lambda path: Image.fromarray(pixels[..., :3]).save(path, exif=turned),
        "grey.png": lambda path: Image.fromarray(pixels[..., 0]).save(path),
        "inks.jpg": lambda path: Image.fromarray(pixels).convert("RGB").convert("CMYK").save(path),
    }
    for name, save in files.items():
        save(folder / "images" / name)
    listed = {"image_names": list(files), "image_labels": [0] * len(files)}
    (folder / "list.json").write_text(json.dumps(listed))
    images = read_source(config(folder), 1).images
    for row, name in enumerate(files):
        found = images.load(row)
        with Image.open(folder / "images" / name) as image:
            assert np.array_equal(np.asarray(found), np.asarray(image.convert("RGB"))), name
    assert np.array_equal(np.asarray(images.load(0)), pixels[..., :3])
    assert images.load(3).size == (12, 8)
    assert images.subset([3]).load(0).size == (12, 8)
    upright = json_list(folder, train_list="list.json", image_root=folder / "images")
    assert upright.load(3).size == (8, 12)
    assert images.fingerprint != upright.fingerprint


def test_damaged_images_are_named_however_they_are_opened(folder: Path) -> None:
    (folder / "images/a/1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"image a/1\.png is not one of JPEG"):
        read_source(config(folder), 10).images.load(1)
    (folder / "images/a/1.png").unlink()
    with pytest.raises(InputError, match=r"image a/1\.png cannot be read"):
        read_source(config(folder), 10).images.load(1)


def test_a_folder_of_classes_is_sorted(folder: Path) -> None:
    source = read_source(config(folder, dataset_type="ImageFolder", dataset_params={"root": "images"}), 2)
    assert source.images.paths == ["a/0.png", "a/1.png", "b/1.png"]
    assert source.images.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("kind", "params", "asked"),
    [
        ("CIFAR10", {}, ("cifar10", "train", {"download": False})),
        ("CIFAR100", {"train": False, "download": True}, ("cifar100", "test", {"download": True})),
        ("LSUN", {"classes": "val"}, ("lsun", "test", {"categories": list(CATEGORIES)})),
        ("LSUN", {"classes": ["tower_train", "bridge_train"]}, ("lsun", "train", {"categories": ["tower", "bridge"]})),
    ],
)
def test_torchvisions_sets_are_asked_for_with_their_part(
    kind: str, params: dict[str, Any], asked: tuple[Any, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def build(name: str, part: str, root: Path, **options: Any) -> ImageDataset:
        calls.append((name, part, options))
        return ImageDataset(["a"], [0], ["only"])

    monkeypatch.setattr("lowshot.compat.data_config.build_dataset", build)
    read_source(config(folder, dataset_type=kind, dataset_params={"root": "images", **params}), 1)
    assert calls == [asked]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset_type": "Metadataset"}, "dataset_type: unknown data set 'Metadataset'. Did you mean 'MetaDataset'"),
        ({"dataset_type": None}, "dataset_type: is missing"),
        ({"dataset_parms": {}}, "dataset_parms: unknown key. Did you mean 'dataset_params'"),
        ({"dataset_params": {"rootdir": "images"}}, "dataset_params.meta: is missing"),
        ({"dataset_params": {"meta": "no.json"}}, "image list no.json does not exist"),
        ({"dataset_params": {"meta": "list.json", "rootdir": "no"}}, "rootdir: image folder no does not exist"),
        ({"data_loader_params": {"batch_size": 0}}, "data_loader_params.batch_size"),
        ({"dataset_type": "CocoDetection"}, "boxes of several classes"),
        ({"dataset_type": "CocoCaptions"}, "five sentences"),
        ({"dataset_type": "CIFAR100", "dataset_params": {"root": "."}}, "CIFAR100 is not complete in "),
        ({"dataset_type": "LSUN", "dataset_params": {"root": ".", "classes": "tower"}}, "dataset_params.classes"),
    ],
)
def test_a_mistake_is_named_with_its_key(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_source(config(folder, **changes), 10)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transform_list": ["CenterCrup", "ToTensor"]}, "unknown transform 'CenterCrup'. Did you mean 'CenterCrop'"),
        ({"transform_list": ["ToTensor", "CenterCrop"]}, "cannot run"),
        ({"transform_list": ["CenterCrop"]}, "cannot run"),
        ({"mean": None}, "transform_params: mean: is missing, and Normalize"),
        ({"scale": None}, "scale: is missing, and Scale"),
        ({"transform_list": ["ImageJitter", "ToTensor"]}, "jitter_params: is missing, and ImageJitter"),
        ({"jitter_params": {"Hue": 1}}, "transform_params.jitter_params.Hue"),
        ({"jitter_params": {"Color": -0.1}}, "transform_params.jitter_params.Color"),
        ({"std": [0.2, 0, 0.2]}, "transform_params.std.1"),
        ({"mean": [0.2, math.nan, 0.2]}, "transform_params.mean.1"),
    ],
)
def test_a_transform_that_cannot_run_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    params = {key: value for key, value in {**fixture.VAL_TRANSFORM, **changes}.items() if value is not None}
    with pytest.raises(InputError) as caught:
        read_config(config(folder, transform_params=params))
    assert message in str(caught.value)


def test_labels_out_of_range_are_named_with_image_and_row(folder: Path) -> None:
    with pytest.raises(InputError, match=r"image b/1.png \(row 0\) has label 7, but there are 5 classes"):
        read_source(config(folder), 5)


def test_yaml_with_code_in_it_is_refused_and_does_not_run(folder: Path) -> None:
    (folder / "config.yaml").write_text("dataset_type: !!python/object/apply:os.mkdir [ran]\n")
    with pytest.raises(InputError, match="is not valid YAML"):
        read_config(folder / "config.yaml")
    assert not (folder / "ran").exists()


def test_the_transforms_do_what_their_names_say() -> None:
    params = TransformParams(**fixture.VAL_TRANSFORM)
    image = noise(0, (72, 36))
    pixels = image_transform(params)(image)
    assert np.array_equal(pixels.permute(1, 2, 0), np.asarray(image)[2:34, 20:52])  # already 36 high: cropped only
    mean, std = (np.array(fixture.VAL_TRANSFORM[key]).reshape(3, 1, 1) for key in ("mean", "std"))
    expected = (pixels.numpy() / 255 - mean) / std
    np.testing.assert_allclose(normalisation(params)(pixels[None])[0], expected, atol=1e-5)
    plain = TransformParams(transform_list=["ToTensor"])
    np.testing.assert_allclose(normalisation(plain)(pixels[None])[0], pixels.numpy() / 255, atol=1e-6)
    train = image_transform(TransformParams(**fixture.TRAIN_TRANSFORM))
    assert train(image).shape == (3, 32, 32)
    assert not torch.equal(train(image), train(image))
    assert torch.equal(pickle.loads(pickle.dumps(image_transform(params)))(image), pixels)


SIZES = [(40, 60), (60, 40), (33, 33), (200, 20), (500, 375), (31, 90)]
TORCHVISION = {
    "RandomSizedCrop": lambda: torchvision.RandomResizedCrop(32),
    "CenterCrop": lambda: torchvision.CenterCrop(32),
    "Scale": lambda: torchvision.Resize(36),
    "RandomHorizontalFlip": lambda: torchvision.RandomHorizontalFlip(),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("names", [["Scale", "CenterCrop"], ["RandomSizedCrop"], ["RandomHorizontalFlip"], ["Scale"]])
def test_pixels_are_those_of_torchvisions_transforms_of_pil_images(names: list[str], size: tuple[int, int]) -> None:
    """With the same state of torch's generator every pixel is equal, and so is the state afterwards."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    ours = image_transform(TransformParams(transform_list=[*names, "ToTensor"], image_size=32, scale=36))
    theirs = torchvision.Compose([TORCHVISION[name]() for name in names])
    for seed in range(12):
        torch.manual_seed(seed)
        found, state = ours(image), torch.get_rng_state()
        torch.manual_seed(seed)
        expected = np.asarray(theirs(image))
        assert np.array_equal(found.permute(1, 2, 0), expected)
        assert torch.equal(torch.get_rng_state(), state)


def first_torchvisions_crop(width: int, height: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """Width and height that RandomSizedCrop drew in 2017; None where ten attempts fail."""
    for _ in range(10):
        area, ratio = rng.uniform(0.08, 1) * width * height, rng.uniform(3 / 4, 4 / 3)
        w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if rng.random() < 0.5:
            w, h = h, w
        if w <= width and h <= height:
            return w, h
    return None


def test_crops_are_drawn_almost_as_in_2017() -> None:
    """Of 20 000 crops of a photograph, area and aspect ratio have the same distribution within the error of the test.

    Without the limits of a photograph, the logarithm of the ratio is uniform here, and F(l) = 1/2 + sinh(l) / (7/12)
    there: the two differ by 0.3 % at most.
    """
    log_ratios = np.linspace(-np.log(4 / 3), np.log(4 / 3), 1001)
    uniform, then = (log_ratios - log_ratios[0]) / np.ptp(log_ratios), 0.5 + np.sinh(log_ratios) / (7 / 12)
    assert then[[0, -1]] == pytest.approx([0, 1])
    assert 0.002 < np.abs(uniform - then).max() < 0.003
    torch.manual_seed(0)
    rng, n = np.random.default_rng(0), 20_000
    ours = np.array([RandomSizedCrop._draw(500, 375)[2:] for _ in range(n)])
    drawn = [first_torchvisions_crop(500, 375, rng) for _ in range(n)]
    assert None not in drawn
    theirs = np.array(drawn)
    limit = 1.63 * (2 / n) ** 0.5 + 0.003  # Kolmogorov and Smirnov's at 1 %, and the difference
    for of in (lambda sides: sides[:, 0] / sides[:, 1], lambda sides: sides[:, 0] * sides[:, 1]):
        values = np.sort(of(theirs))
        places = np.sort(of(ours))
        at = np.unique(np.concatenate([values, places]))
        distance = np.searchsorted(values, at, "right") - np.searchsorted(places, at, "right")
        assert np.abs(distance).max() / n < limit


@pytest.mark.parametrize("name", ["Brightness", "Contrast", "Color", "Sharpness"])
def test_jitter_is_pillows_enhancer_by_a_factor_of_up_to_its_strength(name: str) -> None:
    image = noise(1, (16, 16))
    torch.manual_seed(0)
    factors = [1 + 0.4 * (2 * torch.rand(()).item() - 1) for _ in range(50)]
    assert min(factors) < 0.65
    assert max(factors) > 1.35
    torch.manual_seed(0)
    enhancer = getattr(ImageEnhance, name)(image)
    for factor in factors:
        assert np.array_equal(ImageJitter({name: 0.4})(image), enhancer.enhance(factor))


def test_jitter_of_several_properties_follows_the_order_of_the_list() -> None:
    image = noise(1, (16, 16))
    torch.manual_seed(3)
    factors = [1 + strength * (2 * torch.rand(()).item() - 1) for strength in (0.4, 0.2)]
    torch.manual_seed(3)
    expected = ImageEnhance.Brightness(ImageEnhance.Color(image).enhance(factors[0])).enhance(factors[1])
    assert np.array_equal(ImageJitter({"Color": 0.4, "Brightness": 0.2})(image), expected)


def test_train_and_evaluation_must_normalise_alike(folder: Path) -> None:
    source = read_source(config(folder), 10)
    other = read_source(config(folder, transform_params={**fixture.VAL_TRANSFORM, "std": [1, 1, 1]}), 10)
    with pytest.raises(InputError, match="normalise differently"):
        transforms_of(source, other)
