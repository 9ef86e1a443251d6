"""Measure a classifier of your own beside others, on the same draws of shots."""

import tempfile
from pathlib import Path

import numpy as np

from lowshot.benchmark import Engine, run_benchmark, summarise
from lowshot.classifiers import Cosine, LowShotClassifier, NearestMean
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore


class NearestMedian(LowShotClassifier):
    """The class whose coordinate-wise median is nearest."""

    def _fit_base(self, X, codes):
        self._base_medians = self.medians_ = self._medians(X, codes)

    def _fit_novel(self, X, codes):
        medians = self._medians(X, codes)
        self.medians_ = np.vstack([self._base_medians, medians]) if self.n_base_classes_ else medians

    def _scores(self, X):
        return -((X[:, None] - self.medians_) ** 2).sum(axis=2)

    @staticmethod
    def _medians(X, codes):
        return np.stack([np.median(X[codes == code], axis=0) for code in range(codes.max() + 1)])


def made_up_features(file: Path, per_class: int, seed: int) -> FeatureStore:
    """Twenty classes with heavy tails: one coordinate of ten is six times as noisy, another one in each example."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(20, 32))
    labels = np.repeat(np.arange(20), per_class)
    noise = rng.normal(size=(len(labels), 32)) * np.where(rng.random((len(labels), 32)) < 0.1, 6, 1)
    with FeatureStore.create(file, dim=32, class_names=[f"class {c}" for c in range(20)]) as out:
        out.append((centres[labels] + noise).astype("float32"), labels)
    return FeatureStore.open(file)


folder = Path(tempfile.mkdtemp())
train, test = made_up_features(folder / "train.hdf5", 40, 1), made_up_features(folder / "test.hdf5", 20, 2)
split = ClassSplit.random(train.class_names, base=(5, 5), novel=(5, 5), seed=0)
experiments = Experiments.random(train.labels, train.paths, train.class_names, n_experiments=20, max_shots=5)

for classifier in (NearestMedian(), NearestMean(), Cosine(random_state=0)):
    records = run_benchmark(
        train, test, split, experiments, classifier, n_shots=(1, 5), prior=False, engine=Engine("serial")
    )
    one, five = summarise([record for record in records if record["setup"] == "test"], "all_top1")
    shown = [f"n = {mean.n_shots} {100 * mean.mean:.1f} ±{100 * mean.half_width:.1f}" for mean in (one, five)]
    print(f"{type(classifier).__name__:14s} top-1 over all classes: {', '.join(shown)}")
