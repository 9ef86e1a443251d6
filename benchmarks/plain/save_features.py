"""Save the features of a list of images."""

from __future__ import annotations

import argparse

import h5py
import torch
from images import loader
from network import Network


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("cfg", "outfile", "modelfile"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--model", default="ResNet10")
    parser.add_argument("--num_classes", default=1000, type=int)
    given = parser.parse_args()
    network = Network(given.model, given.num_classes)
    state = torch.load(given.modelfile, weights_only=True)["state"]
    network.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
    network.eval()
    images = loader(given.cfg, shuffle=False)
    count, rows = 0, len(images.dataset)
    with h5py.File(given.outfile, "w") as file, torch.no_grad():
        labels = file.create_dataset("all_labels", (rows,), "i")
        features = None
        for batch, batch_labels in images:
            found = network(batch)[1].numpy()
            if features is None:
                features = file.create_dataset("all_feats", (rows, found.shape[1]), "f")
            features[count : count + len(found)] = found
            labels[count : count + len(found)] = batch_labels.numpy()
            count += len(found)
        file.create_dataset("count", (1,), "i")[0] = count


if __name__ == "__main__":
    main()
