"""Low-shot Visual Recognition by Shrinking and Hallucinating Features (Hariharan & Girshick, ICCV 2017), section 4."""

from __future__ import annotations

import numpy as np

from lowshot.checks import check_count
from lowshot.devices import pick_device
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.files import fingerprint
from lowshot.hallucination.analogies.cache import ArrayCache, Folder
from lowshot.hallucination.analogies.classifier import fit_classifier
from lowshot.hallucination.analogies.clusters import fit_centroids
from lowshot.hallucination.analogies.mining import mine_analogies
from lowshot.hallucination.base import Generator
from lowshot.hallucination.sampling import draw_pairs
from lowshot.papers import HARIHARAN_2017
from lowshot.registry import GENERATORS

CHUNK_ROWS = 8192
LAYERS = ("fc1", "fc2", "fc3")


@GENERATORS.register(
    "analogies",
    "a network completes analogies mined among base classes (Hariharan & Girshick 2017)",
    bibtex=HARIHARAN_2017,
)
class AnalogyGenerator(Generator):
    """Apply a change that was seen between two centroids of a base class to a shot.

    Fitting clusters each base class, finds pairs of centroids of different classes with similar differences
    (:func:`~lowshot.hallucination.mine_analogies`), and trains a network G to complete such analogies. Generating draws
    a base class and two different centroids c, d of it (the same one twice where it has only one), all uniformly, and
    returns G(shot, c, d). Unlike ``difference``, which adds the same change to any shot, G adapts it to this shot.

    G ends in a ReLU where no base feature is negative, and then generated features are not, as in the paper. Where some
    are (``signed_``), as those of transformers, it ends linearly.

    Args:
        n_clusters (int): The most centroids of a base class.
        n_rounds (int): The most iterations of k-means.
        lr (float): The learning rate of G, divided by 10 after each third of the steps. The original takes 0.1, and 1
            for SGM features.
        n_steps (int): The number of training steps of G.
        batch_size (int): The number of analogies in a step.
        mse_weight (float): The weight of the mean squared error; that of the classification loss is 1.
        hidden (int): The width of G's hidden layers.
        precision (str): The precision of matrix products in training. "medium" lets a device use its bfloat16 or TF32
            units, "highest" is float32.
        random_state (int): The seed of clusters, initial weights and batches, and of :meth:`generate` where it is
            given none.
        cache (path-like, optional): A folder that saves classifier, centroids and analogies for the next fit on the
            same features.
        device (str): The device that mines and trains: "auto" (a GPU if there is one), "cpu", "cuda", …
        n_jobs (int, optional): The number of classes clustered or mined at a time on the CPU; None takes every core.
        kmeans_init (str): The initialisation of k-means, "k-means++" or "random_directions", the original's; see
            :func:`~lowshot.hallucination.fit_centroids`.

    Attributes:
        weights_ (dict of str to array): G's float32 parameters: "fc1.weight" (hidden, 3 D), "fc1.bias", "fc2.weight", …
        concatenated_centroids_ (array, (M, D) float32): The centroids, class after class.
        counts_ (array, (C,) int64): The number of centroids of each base class.
        n_analogies_ (int): The number of mined analogies.
        history_ (list of dict): Both losses at about fifty steps of training.
    """

    min_base_classes = 2
    fitted_arrays = (
        "concatenated_centroids_",
        "counts_",
        *(f"weights_/{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")),
    )
    local_params = ("cache", "device", "n_jobs")
    optional_params = {"kmeans_init": "k-means++"}

    def __init__(
        self,
        n_clusters: int = 100,
        n_rounds: int = 20,
        lr: float = 0.1,
        n_steps: int = 120_000,
        batch_size: int = 128,
        mse_weight: float = 10.0,
        hidden: int = 512,
        precision: str = "medium",
        random_state: int = 0,
        cache: Folder = None,
        device: str = "auto",
        n_jobs: int | None = None,
        kmeans_init: str = "k-means++",
    ) -> None:
        self.n_clusters = n_clusters
        self.n_rounds = n_rounds
        self.lr = lr
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.mse_weight = mse_weight
        self.hidden = hidden
        self.precision = precision
        self.random_state = random_state
        self.cache = cache
        self.device = device
        self.n_jobs = n_jobs
        self.kmeans_init = kmeans_init

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        # Imported here so that listing generators, or generating with a fitted one, does not wait for torch.
        from lowshot.hallucination.analogies.regressor import TrainingSettings, train_regressor

        settings = TrainingSettings(
            hidden=self.hidden,
            lr=self.lr,
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            mse_weight=self.mse_weight,
            precision=self.precision,
        )
        n_clusters, n_rounds = check_count("n_clusters", self.n_clusters), check_count("n_rounds", self.n_rounds)
        device = pick_device(self.device)
        if not features.any():
            raise InputError("all base features are zero, so there is nothing to learn: check how they were made")
        classes = np.unique(labels)
        rows = np.arange(len(classes))
        if classifier_weight is None:
            classifier_weight = self._fitted_classifier(features, labels)
        elif classes.dtype.kind not in "iu" or classes[0] < 0 or classes[-1] >= len(classifier_weight):
            raise InputError(
                f"the classifier has rows for labels 0 to {len(classifier_weight) - 1}, but the base labels run from "
                f"{classes[0]} to {classes[-1]}: take labels and classifier from the same training"
            )
        else:
            rows = classes

        seed, jobs = self.random_state, self.n_jobs
        centroids = fit_centroids(
            features,
            labels,
            n_clusters,
            n_rounds,
            init=self.kmeans_init,
            random_state=seed,
            n_jobs=jobs,
            cache=self.cache,
        )
        analogies = mine_analogies(centroids, device=device, n_jobs=jobs, cache=self.cache)
        if not len(analogies):
            raise InputError(
                "no analogies between the base classes: no two differences of centroids point the same way. "
                "Each class needs at least two different features and two clusters"
            )
        self.concatenated_centroids_ = centroids.values
        self.counts_ = centroids.counts
        self.n_analogies_ = len(analogies)
        self.weights_, self.history_ = train_regressor(
            centroids.values,
            analogies,
            classifier_weight,
            rows[centroids.class_of],
            settings,
            random_state=seed,
            device=device,
            signed=self.signed_,
        )

    def _check_learned(self, learned: LearnedState) -> None:
        centroids = learned.array("concatenated_centroids_", "centroids", "D")
        learned.counts("counts_", "classes", total=len(centroids))
        dim = learned.sizes["D"]
        for layer, out, into in (("fc1", "hidden", 3 * dim), ("fc2", "hidden", "hidden"), ("fc3", dim, "hidden")):
            learned.check(f"weights_/{layer}.bias", self.weights_[f"{layer}.bias"], out)
            learned.check(f"weights_/{layer}.weight", self.weights_[f"{layer}.weight"], out, into)

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        c, d = draw_pairs(self.counts_, len(seeds), rng)
        made = np.empty_like(seeds)
        for first in range(0, len(seeds), CHUNK_ROWS):
            part = slice(first, first + CHUNK_ROWS)
            centroids = self.concatenated_centroids_
            made[part] = self._complete(np.concatenate([seeds[part], centroids[c[part]], centroids[d[part]]], axis=1))
        return made

    def _complete(self, x: np.ndarray) -> np.ndarray:
        """(N, D) output of G for (N, 3 D) concatenated seeds, c and d."""
        for layer in LAYERS:
            x = x @ self.weights_[f"{layer}.weight"].T + self.weights_[f"{layer}.bias"]
            if not self.signed_ or layer != LAYERS[-1]:
                x = np.maximum(x, 0)
        return x

    def _fitted_classifier(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        stored = ArrayCache(self.cache)
        name = f"classifier-{fingerprint(self.provenance_['base_features'], self.random_state)}"
        if (found := stored.load(name)) is not None:
            return found["weight"]
        weight = fit_classifier(features, labels, self.random_state)
        stored.save(name, weight=weight)
        return weight
