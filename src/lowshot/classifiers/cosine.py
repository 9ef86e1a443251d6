"""A cosine classifier: weights learned for the base classes, imprinted for the novel ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from lowshot.checks import check_count
from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.class_weight import cumulative, draw_rows
from lowshot.classifiers.cosine_weights import CosineWeights
from lowshot.classifiers.transforms import unit_rows
from lowshot.estimator_files import LearnedState
from lowshot.papers import GIDARIS_2018, QI_2018
from lowshot.registry import CLASSIFIERS


class _Pool(NamedTuple):
    """Examples to draw from: (N, D) features, (N,) codes and (N,) weights, None for equal ones."""

    features: np.ndarray
    codes: np.ndarray
    weights: np.ndarray | None


@CLASSIFIERS.register(
    "cosine",
    "cosine classifier with a learned scale; novel weights imprinted, then fine-tuned",
    bibtex=GIDARIS_2018 + QI_2018,
)
class Cosine(CosineWeights, LowShotClassifier):
    """Scores are ``scale * cos(feature, weight)``, with weights and scale learned by cross-entropy.

    Gidaris and Komodakis (2018, arXiv 1804.09458) compare by cosine so that base weights learned from thousands of
    examples and novel weights made from a few have the same size; Qi et al. (2018, arXiv 1712.07136) imprint a novel
    class's weight: the normalised mean of its normalised shots. With ``n_steps=0`` and no fine-tuning this is
    ``nearest_mean`` by cosine; it differs in that base weights, and after fine-tuning all of them, are trained to
    discriminate. Unlike ``logistic`` no class can win by the length of its weight or by an intercept.

    Args:
        feature_transform (str): "l2", as in the papers, or "centred_l2", in place of their features without a last
            ReLU.
        scale (float): The initial scale; it is learned along with the weights.
        n_steps (int): The number of SGD steps on the base classes; 0 imprints them too. With long training, base
            weights turn away from each other and lose to imprinted ones, so with ``lr`` this tunes the balance of base
            and novel classes.
        fine_tune_steps (int): The number of SGD steps on all classes after imprinting, in batches with the share of
            base classes that the low-shot phase gives them. They need the base examples, so the fitted estimator
            stores these.
        batch_size (int): The number of examples in a batch.
        lr (float): The learning rate.
        momentum (float): The momentum of SGD.
        weight_decay (float): The weight decay of SGD.
        random_state (int): The seed of the batches.

    Attributes:
        coef_ (array, (C, D)): The weights, of length one.
        scale_ (float): The learned scale.
    """

    per_class_arrays = ("coef_",)
    feature_transforms = ("l2", "centred_l2")
    tuning_grid = {"scale": (5.0, 10.0, 20.0), "fine_tune_steps": (0, 100)}

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        scale: float = 10.0,
        n_steps: int = 500,
        fine_tune_steps: int = 0,
        batch_size: int = 500,
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        random_state: int = 0,
    ) -> None:
        self.feature_transform = feature_transform
        self.scale = scale
        self.n_steps = n_steps
        self.fine_tune_steps = fine_tune_steps
        self.batch_size = batch_size
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.random_state = random_state

    def _check_parameters(self) -> None:
        check_count("n_steps", self.n_steps, least=0)
        check_count("fine_tune_steps", self.fine_tune_steps, least=0)
        check_count("batch_size", self.batch_size)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        weights = self._example_weights(codes, base=True)
        self._fit_centre(X, codes, weights)
        if self.fine_tune_steps:
            self._base_examples_ = (X, codes)
        pool = _Pool(X, codes, None if weights is None else weights[codes])
        coef = self._unit_means(X, codes)
        self._base_coef_, self._base_scale_ = self._trained(coef, self.scale, [pool], self.n_steps)
        self._forget_novel()

    def _forget_novel(self) -> None:
        self.coef_, self.scale_ = self._base_coef_, self._base_scale_

    def _classes_are_independent(self) -> bool:
        return not self.fine_tune_steps and super()._classes_are_independent()

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self._fit_centre(X, codes, self._example_weights(codes))
        self._imprint_novel(X, codes)
        if self.fine_tune_steps:
            pools = [_Pool(X, codes + self.n_base_classes_, self._row_weights(codes))]
            if self.n_base_classes_:
                base, base_codes = self._base_examples_
                pools.insert(0, _Pool(base, base_codes, self._row_weights(base_codes, base=True)))
            self.coef_, self.scale_ = self._trained(self.coef_, self.scale_, pools, self.fine_tune_steps)

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        if self.n_base_classes_ and self.fine_tune_steps:
            features, codes = learned.parts("_base_examples_", 2)
            learned.check("_base_examples_", features, "base examples", "D")
            learned.check_codes("_base_examples_", codes, "base examples", self.n_base_classes_)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._cosine_scores(self._transformed(X))

    def _as_torch(self) -> torch.nn.Module:
        from lowshot.classifiers.torch_modules import FeatureTransform

        transform = FeatureTransform(self.feature_transform, self._centre_)
        return torch.nn.Sequential(transform, self._cosine_layer())

    def _trained(self, coef: np.ndarray, scale: float, pools: list[_Pool], n_steps: int) -> tuple[np.ndarray, float]:
        """Weights and scale after SGD on batches that share out examples by the pools' numbers of classes."""
        shares = np.array([len(np.unique(pool.codes)) for pool in pools]) / len(coef)
        first = round(self.batch_size * shares[0])
        sizes = [first, self.batch_size - first]
        rng = np.random.default_rng(self.random_state)
        weight = torch.tensor(coef, dtype=torch.float32, requires_grad=True)
        factor = torch.tensor(scale, dtype=torch.float32, requires_grad=True)
        groups = [
            {"params": [weight], "weight_decay": self.weight_decay},
            {"params": [factor], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum)
        likely = [cumulative(pool.weights) for pool in pools]
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        for _ in range(n_steps):
            rows = [draw_rows(rng, len(pool.codes), size, own) for pool, size, own in zip(pools, sizes, likely)]
            features = np.concatenate([pool.features[drawn] for pool, drawn in zip(pools, rows)])
            codes = np.concatenate([pool.codes[drawn] for pool, drawn in zip(pools, rows)])
            queries = torch.from_numpy(self._transformed(features)).float()
            optimizer.zero_grad()
            F.cross_entropy(factor * queries @ F.normalize(weight, dim=1).T, torch.from_numpy(codes)).backward()
            optimizer.step()
            schedule.step()
        return unit_rows(weight.detach().numpy().astype(np.float64)), float(factor.detach())
