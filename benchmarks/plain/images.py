"""Images of a data configuration, loaded by PIL and torchvision's transforms of PIL images."""

from __future__ import annotations

import json
import os

import torch
import yaml
from PIL import Image, ImageEnhance
from torchvision import transforms


class Jitter:
    def __init__(self, strengths: dict[str, float]) -> None:
        self.strengths = strengths

    def __call__(self, image: Image.Image) -> Image.Image:
        for name, strength in self.strengths.items():
            factor = 1 + strength * (2 * float(torch.rand(1)) - 1)
            image = getattr(ImageEnhance, name)(image).enhance(factor)
        return image


class Listed(torch.utils.data.Dataset):
    def __init__(self, meta: str, rootdir: str, transform: transforms.Compose) -> None:
        with open(meta) as file:
            content = json.load(file)
        self.names, self.labels = content["image_names"], content["image_labels"]
        self.root, self.transform = rootdir, transform

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        image = Image.open(os.path.join(self.root, self.names[row])).convert("RGB")
        return self.transform(image), self.labels[row]


def loader(config: str, shuffle: bool) -> torch.utils.data.DataLoader:
    with open(config) as file:
        content = yaml.safe_load(file)
    params = content["transform_params"]
    steps = {
        "RandomSizedCrop": lambda: transforms.RandomResizedCrop(params["image_size"]),
        "CenterCrop": lambda: transforms.CenterCrop(params["image_size"]),
        "Scale": lambda: transforms.Resize(params["scale"]),
        "ImageJitter": lambda: Jitter(params["jitter_params"]),
        "RandomHorizontalFlip": lambda: transforms.RandomHorizontalFlip(),
        "ToTensor": lambda: transforms.ToTensor(),
        "Normalize": lambda: transforms.Normalize(params["mean"], params["std"]),
    }
    transform = transforms.Compose([steps[name]() for name in params["transform_list"]])
    options = content["data_loader_params"]
    return torch.utils.data.DataLoader(
        Listed(**content["dataset_params"], transform=transform),
        batch_size=options["batch_size"],
        shuffle=shuffle,
        num_workers=options["num_workers"],
    )
