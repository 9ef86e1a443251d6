"""The hallucinator of Wang et al. (2018): a network for further examples, trained by the loss of their use."""

from __future__ import annotations

import torch
from torch import nn

from lowshot.checks import check_count, check_number


class Hallucinator(nn.Module):
    """Three layers from an example and noise to another example of its class.

    Wang et al. (2018, arXiv 1801.05401, section 4): what it makes is judged by nothing but the classification of
    queries by classes that contain it, in training episodes with a generated part. It starts as the identity, as
    theirs does, here by an output that is added to the example.

    Args:
        dim (int): D, the width of the features.
        hidden (int): The width of the two hidden layers.
        n_augmented (int): The number of examples that a class of fewer is to have, generated ones included.
        scale (float): The length, about, of the noise.
    """

    noise: torch.Tensor

    def __init__(self, dim: int, hidden: int, n_augmented: int, scale: float) -> None:
        super().__init__()
        last = nn.Linear(hidden, dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = nn.Linear(2 * dim, hidden)
        self.layers = nn.Sequential(first, nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last)
        self.n_augmented = n_augmented
        self.scale = scale * dim**-0.5
        # In use every class gets the same noise, so that a class depends on no other and two calls are equal.
        self.register_buffer("noise", self.scale * torch.randn(max(n_augmented, 1), dim))

    def forward(self, examples: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """(..., M, D) new examples from (..., M, D) examples and noise."""
        made: torch.Tensor = examples + self.layers(torch.cat([examples, noise], dim=-1))
        return made

    def augment(self, support: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The support examples followed by generated ones, each made from an example of its class in turn.

        Args:
            support (Tensor, (..., S, D)): The support examples, class after class.
            counts (Tensor, (W,) int64): The number of support examples of each class.

        Returns:
            (..., S + M, D) examples, and the (W, S + M) float32 matrix that takes the mean of each class.
        """
        classes = torch.arange(len(counts), device=counts.device)
        missing = (self.n_augmented - counts).clamp(min=0)
        owners = torch.repeat_interleave(classes, missing)
        places = torch.arange(len(owners), device=counts.device) - (missing.cumsum(0) - missing)[owners]
        seeds = support[..., (counts.cumsum(0) - counts)[owners] + places % counts[owners], :]
        noise = self.scale * torch.randn_like(seeds) if self.training else self.noise[places].expand_as(seeds)
        everything = torch.cat([support, self(seeds, noise)], dim=-2)
        members = (torch.cat([torch.repeat_interleave(classes, counts), owners]) == classes[:, None]).float()
        return everything, members / members.sum(dim=1, keepdim=True)


def check_hallucinator(n_augmented: int, hidden: int, noise: float) -> None:
    """Refuse parameters of a hallucinator that are out of range, by the names that classifiers give them.

    Raises:
        InputError: One is.
    """
    check_count("n_augmented", n_augmented, least=0)
    check_count("hallucinator_hidden", hidden)
    check_number("noise", noise, least=0)
