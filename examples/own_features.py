"""Features that exist as .npy files, measured by a recipe that is written here."""

import os
import tempfile
from pathlib import Path

import numpy as np

from lowshot.benchmark import Engine
from lowshot.pipeline import run_recipe, validate_recipe

folder = Path(tempfile.mkdtemp())
os.chdir(folder)

rng = np.random.default_rng(0)
centres = rng.normal(size=(20, 64))
for part, per_class in {"train": 30, "test": 10}.items():  # stand for the features of your network
    labels = np.repeat(np.arange(20), per_class)
    np.save(f"{part}_features.npy", (centres[labels] + 2 * rng.normal(size=(len(labels), 64))).astype("float32"))
    np.save(f"{part}_labels.npy", labels)

Path("mine.yaml").write_text(
    """
name: mine
representations:
  mine:
    features:
      train: {features: train_features.npy, labels: train_labels.npy}
      test: {features: test_features.npy, labels: test_labels.npy}
split: {base: [5, 5], novel: [5, 5], experiments: 10, max_shots: 5}
evaluate:
  n_shots: [1, 5]
  methods:
    mean: {classifier: nearest_mean}
    ridge: {classifier: ridge}
    gaussian: {classifier: gaussian}
"""
)
print(validate_recipe("mine.yaml"))
run_recipe("mine.yaml", output=folder / "results", engine=Engine("serial"))  # prints the table
print("page:", folder / "results" / "report" / "report.html")
