"""wDAE-GNN: a denoising autoencoder over classification weights, as a graph neural network over classes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lowshot.checks import check_count, check_number
from lowshot.classifiers.generated_weights import GeneratedWeights, class_members
from lowshot.files import Pathlike
from lowshot.registry import CLASSIFIERS

# The gate of the last layer starts nearly closed, so that the network starts near the identity.
CLOSED = -1.5
# The factor of the cosines in the weights of a class's neighbours.
NEIGHBOUR_SHARPNESS = 5.0


class Aggregation(nn.Module):
    """A layer that sums, over the neighbours of a class, a function of both states.

    Args:
        dim (int): The width of the states.
        hidden (int): H, the width of the sums.
        dropout (float): The share of entries that training sets to zero.
    """

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        # One linear layer on the concatenation of both states, split so that it runs once per class, not per pair.
        self.own = nn.Linear(dim, hidden)
        self.other = nn.Linear(dim, hidden, bias=False)
        self.dropout = dropout

    def forward(self, states: torch.Tensor, neighbours: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """(W, H) sums for (W, dim) states, (W, J) neighbours and (W, J) weights of these."""
        pairs = F.leaky_relu(self.own(states)[:, None] + self.other(states)[neighbours], 0.1)
        return (weights[:, :, None] * F.dropout(pairs, self.dropout, self.training)).sum(dim=1)


class WeightAutoencoder(nn.Module):
    """The autoencoder: two graph layers, then a gated correction of each weight.

    Args:
        dim (int): D.
        scale (float): The initial factor of the cosines of the classifier.
        hidden (int): H, the width of the hidden states.
        n_neighbours (int): J, the number of neighbours of a class.
        noise (float): The length, about, of the noise that training adds to weights of length one; the sum is scaled
            back to length one.
        dropout (float): The share of hidden entries that training sets to zero.
        step (float, optional): The step from the given weights towards their reconstruction in use; None for one that
            falls with the number of shots.
    """

    def __init__(
        self, dim: int, scale: float, hidden: int, n_neighbours: int, noise: float, dropout: float, step: float | None
    ) -> None:
        super().__init__()
        self.n_neighbours, self.noise, self.dropout, self.step = n_neighbours, noise, dropout, step
        self.scale = nn.Parameter(torch.tensor([float(scale)]))
        self.first = Aggregation(dim, hidden, dropout)
        self.first_update = nn.Linear(dim + hidden, hidden)
        self.second = Aggregation(dim + hidden, hidden, dropout)
        self.correction = nn.Linear(dim + 2 * hidden, dim)
        self.gate = nn.Linear(dim + 2 * hidden, dim)
        nn.init.constant_(self.gate.bias, CLOSED)

    def forward(
        self, shots: torch.Tensor, counts: torch.Tensor, base: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Novel weights (K, D) for (S, D) shots of (K,) counts beside (B, D) base weights, and these, denoised too."""
        weights = torch.cat([F.normalize(class_members(counts) @ shots, dim=1), base])
        graph = self.graph(weights)  # of the weights without noise
        if self.training:
            noise = self.noise * weights.shape[1] ** -0.5 * torch.randn_like(weights)
            made = self.reconstruct(F.normalize(weights + noise, dim=1), *graph)
        else:
            steps = torch.full_like(counts, self.step, dtype=weights.dtype) if self.step is not None else _steps(counts)
            steps = torch.cat([steps, steps.mean().expand(len(base))])[:, None]
            made = F.normalize(weights + steps * (self.reconstruct(weights, *graph) - weights), dim=1)
        return made[: len(counts)], made[len(counts) :]

    def reconstruct(self, weights: torch.Tensor, neighbours: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """(W, D) reconstructions, of length one, of (W, D) weights with the graph of :meth:`graph`."""
        update = self.first_update(torch.cat([weights, self.first(weights, neighbours, shares)], dim=1))
        hidden = F.dropout(F.normalize(F.leaky_relu(update, 0.1), dim=1), self.dropout, self.training)
        states = torch.cat([weights, hidden], dim=1)
        states = torch.cat([states, self.second(states, neighbours, shares)], dim=1)
        corrected = weights + self.gate(states).sigmoid() * F.normalize(self.correction(states), dim=1)
        return F.normalize(corrected, dim=1)

    def graph(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The (W, J) most similar other classes of each, and their (W, J) weights, which sum to one."""
        units = F.normalize(weights, dim=1)
        cosines = (units @ units.T).fill_diagonal_(-torch.inf)
        nearest = cosines.topk(min(self.n_neighbours, len(weights) - 1), dim=1)
        return nearest.indices, (NEIGHBOUR_SHARPNESS * nearest.values).softmax(dim=1)


def _steps(counts: torch.Tensor) -> torch.Tensor:
    """The step for each number of shots: 1 up to 2 shots, 0.6 to 5, 0.4 to 10, 0.2 beyond."""
    limits = torch.tensor([2, 5, 10], device=counts.device)
    return torch.tensor([1.0, 0.6, 0.4, 0.2], device=counts.device)[torch.bucketize(counts, limits)]


BIBTEX = """
@inproceedings{gidaris2019generating,
  author = {Gidaris, Spyros and Komodakis, Nikos},
  title = {Generating Classification Weights with {GNN} Denoising Autoencoders for Few-Shot Learning},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2019},
  eprint = {1905.01102},
  archivePrefix = {arXiv},
}
"""


@CLASSIFIERS.register(
    "wdae_gnn", "weights denoised by a graph network over classes (Gidaris & Komodakis 2019)", bibtex=BIBTEX
)
class WDAEGNN(GeneratedWeights):
    """Denoising autoencoders of classification weights.

    Gidaris and Komodakis (2019, arXiv 1905.01102, sections 3 and 4). First weights are class means for novel and
    trained ones for base classes; a network that reconstructs trained weights from noisy ones improves them.
    It is a graph network, in which a class sees those most similar to it: two layers that sum functions of pairs of
    states over neighbours, then a correction of length one times a learned gate. In training, noise is added to all
    first weights of an episode, and the loss is the classification's plus the mean squared distance to the trained
    weights. Where ``weight_generator`` lets a novel class see base classes, here every class sees every other.

    With more shots the class mean is a good weight by itself, so in use a step of less than one leads from it to the
    reconstruction. It differs from the paper in having no batch normalisation.

    Args:
        feature_transform (str): "l2" or "centred_l2", as in ``cosine``.
        scale (float): The initial factor of the cosines.
        hidden (int): The width of the hidden states.
        n_neighbours (int): The number of neighbours of a class.
        noise (float): The length of the noise relative to that of a weight.
        dropout (float): The share of hidden entries that training sets to zero, below 1.
        step (float, optional): The step in use, in [0, 1]; None for 1 up to 2 shots, 0.6 up to 5, 0.4 up to 10 and 0.2
            beyond.
        n_steps (int): The number of SGD steps of the base weights.
        n_stand_ins (int, optional): The number of classes of an episode that stand in for novel ones; None for half.

    The other parameters are those of :class:`~lowshot.classifiers.episodic.EpisodicClassifier`.

    Attributes:
        coef_ (array, (C, D) float64): The weights, of length one.
        scale_ (float): The factor of the cosines.
    """

    inference_parameters = frozenset({"step"})
    tuning_grid = {"step": (None, 0.3, 0.6, 1.0)}

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        scale: float = 10.0,
        hidden: int = 256,
        n_neighbours: int = 10,
        noise: float = 0.5,
        dropout: float = 0.5,
        step: float | None = None,
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
        self.hidden = hidden
        self.n_neighbours = n_neighbours
        self.noise = noise
        self.dropout = dropout
        self.step = step
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

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_count("hidden", self.hidden)
        check_count("n_neighbours", self.n_neighbours)
        check_number("noise", self.noise, least=0)
        check_number("dropout", self.dropout, least=0, below=1)
        if self.step is not None:
            check_number("step", self.step, least=0, most=1)

    def _classes_are_independent(self) -> bool:
        return False

    def _build(self, dim: int, trained: bool) -> nn.Module:
        return WeightAutoencoder(dim, self.scale, self.hidden, self.n_neighbours, self.noise, self.dropout, self.step)

    def _further_loss(self, made: torch.Tensor, trained: torch.Tensor) -> torch.Tensor:
        return (made - trained).square().sum(dim=1).mean()
