"""The attention-based weight generator: novel weights from shots and from the weights of similar base classes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lowshot.classifiers.generated_weights import GeneratedWeights, class_members
from lowshot.files import Pathlike
from lowshot.papers import GIDARIS_2018
from lowshot.registry import CLASSIFIERS


class WeightGeneratorModule(nn.Module):
    """The generator; it starts as the class mean.

    Args:
        dim (int): D.
        scale (float): The initial factor of the cosines of the classifier.
        sharpness (float): The initial factor of the cosines of the attention.
    """

    def __init__(self, dim: int, scale: float, sharpness: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([float(scale)]))
        self.sharpness = nn.Parameter(torch.tensor([float(sharpness)]))
        self.of_mean = nn.Parameter(torch.ones(dim))
        self.of_attention = nn.Parameter(torch.zeros(dim))
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.query.weight)
        nn.init.eye_(self.key.weight)

    def forward(
        self, shots: torch.Tensor, counts: torch.Tensor, base: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Novel weights (K, D) for (S, D) shots of (K,) counts beside (B, D) base weights, and these as they are."""
        members = class_members(counts)
        cosines = F.normalize(self.query(shots), dim=1) @ F.normalize(self.key(base), dim=1).T
        attended = (self.sharpness * cosines).softmax(dim=1) @ base
        novel = self.of_mean * (members @ shots) + self.of_attention * (members @ attended)
        return F.normalize(novel, dim=1), base


@CLASSIFIERS.register(
    "weight_generator", "novel weights by attention over base weights (Gidaris & Komodakis 2018)", bibtex=GIDARIS_2018
)
class WeightGenerator(GeneratedWeights):
    """Dynamic few-shot learning without forgetting.

    Gidaris and Komodakis (2018, arXiv 1804.09458, section 3.1): the weight of a novel class is ``f * mean + g * att``,
    elementwise, with ``mean`` that of its unit shots and ``att`` the mean over its shots of attention over base
    weights: the softmax of ``sharpness`` times the cosine of a linear map of the shot and a key of the base class. The
    vectors f and g, the maps and the factors are learned. Like ``teen`` it draws a class towards similar base classes,
    but learns how far, along each dimension, and what counts as similar.

    It differs from the paper in the keys, which are a linear map of the base weights rather than a parameter for each
    base class, so that the generator serves base classes that it was not trained on, such as those of another setup.

    Args:
        feature_transform (str): "l2", as in the paper, or "centred_l2", in place of their features without a last
            ReLU.
        scale (float): The initial factor of the cosines.
        sharpness (float): The initial factor of the cosines of the attention.
        n_steps (int): The number of SGD steps of the base weights.
        n_stand_ins (int, optional): The number of classes of an episode that stand in for novel ones; None for half.

    The other parameters are those of :class:`~lowshot.classifiers.episodic.EpisodicClassifier`.

    Attributes:
        coef_ (array, (C, D) float64): The weights, of length one.
        scale_ (float): The factor of the cosines.
    """

    per_class_arrays = ("coef_",)

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        scale: float = 10.0,
        sharpness: float = 10.0,
        n_steps: int = 500,
        n_stand_ins: int | None = None,
        n_episodes: int = 2000,
        episodes_per_step: int = 1,
        lr: float = 0.1,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 5e-4,
        decay_every: int = 1000,
        n_way: int | None = None,
        n_shots: tuple[int, int] = (1, 10),
        n_queries: int = 5,
        precision: str = "float32",
        checkpoint: Pathlike | None = None,
        checkpoint_every: int = 1000,
        pretrained: Pathlike | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.feature_transform = feature_transform
        self.scale = scale
        self.sharpness = sharpness
        self.n_steps = n_steps
        self.n_stand_ins = n_stand_ins
        self.n_episodes = n_episodes
        self.episodes_per_step = episodes_per_step
        self.lr = lr
        self.momentum = momentum
        self.dampening = dampening
        self.weight_decay = weight_decay
        self.decay_every = decay_every
        self.n_way = n_way
        self.n_shots = n_shots
        self.n_queries = n_queries
        self.precision = precision
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.pretrained = pretrained
        self.device = device
        self.random_state = random_state

    def _classes_are_independent(self) -> bool:
        return self.n_base_classes_ > 0 or super()._classes_are_independent()

    def _build(self, dim: int, trained: bool) -> nn.Module:
        return WeightGeneratorModule(dim, self.scale, self.sharpness)
