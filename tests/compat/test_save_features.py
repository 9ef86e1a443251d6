"""``save_features``: float32 features of images as they lie, equal to the plain network's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lowshot.features import FeatureStore
from tests.compat import fixture
from tests.compat.formats.old_files import save, state
from tests.compat.workspace import run
from tests.reference import resnet


def test_features_are_those_of_the_plain_network_in_float32(folder: Path) -> None:
    """Relative to their size they differ by less than 1e-5; products in bfloat16 would make it 1e-3."""
    weights = state("ResNet10", 30, seed=1)
    save(folder / "net30.tar", {"epoch": 3, "state": weights})
    names = [f"val/n10000000/turned_{number}.JPEG" for number in range(3)]
    turned = Image.Exif()
    turned[0x0112] = 3
    rng = np.random.default_rng(0)
    for name in names:
        image = Image.fromarray(rng.integers(0, 256, (fixture.SIZE, fixture.SIZE, 3), dtype=np.uint8))
        image.save(folder / "images/imagenet" / name, exif=turned)
    (folder / "list.json").write_text(json.dumps({"image_names": names, "image_labels": [0, 1, 2]}))
    bare = {"transform_list": ["ToTensor", "Normalize"], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    fixture.write_config(folder / "config.yaml", "list.json", bare, batch_size=2)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("imagenet", "images/imagenet"))
    arguments = ["--modelfile", "net30.tar", "--num_classes", "30", "--outfile", "f/x.hdf5", "--cfg", "config.yaml"]
    assert run("save_features", *arguments) == 0
    found = FeatureStore.open(folder / "f/x.hdf5")
    assert found.labels.tolist() == [0, 1, 2]
    assert found.attributes["precision"] == "32-true"
    pixels = np.stack([np.asarray(Image.open(folder / "images/imagenet" / name)) for name in names])
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - torch.tensor(bare["mean"])[:, None, None]) / (
        torch.tensor(bare["std"])[:, None, None]
    )
    plain = {name.removeprefix("module."): value.double() for name, value in weights.items()}
    with torch.no_grad():
        _, expected = resnet.forward("ResNet10", plain, images.double())
    difference = np.linalg.norm(found.features - expected.numpy(), axis=1) / np.linalg.norm(expected.numpy(), axis=1)
    assert difference.max() < 1e-5
