"""The network of the delta-encoder, and the loss that it is trained with (Schwartz et al. 2018, section 3.1)."""

from __future__ import annotations

import torch
from torch import nn


class DeltaAutoencoder(nn.Module):
    """Encoder and decoder, each with one hidden layer.

    Args:
        dim (int): D.
        hidden (int): The width of the hidden layers.
        n_latent (int): The width of the code.
        dropout (float): The share of hidden entries that training sets to zero.
        slope (float): The slope of the leaky ReLUs for negative values.
    """

    def __init__(self, dim: int, hidden: int, n_latent: int, dropout: float, slope: float) -> None:
        super().__init__()

        def network(inputs: int, outputs: int) -> nn.Sequential:
            layers = (nn.Linear(inputs, hidden), nn.LeakyReLU(slope), nn.Dropout(dropout), nn.Linear(hidden, outputs))
            return nn.Sequential(*layers)

        self.encoder = network(2 * dim, n_latent)
        self.decoder = network(n_latent + dim, dim)

    def encode(self, example: torch.Tensor, anchor: torch.Tensor) -> torch.Tensor:
        """(N, n_latent) codes of what leads from (N, D) anchors to (N, D) examples."""
        code: torch.Tensor = self.encoder(torch.cat([example, anchor], dim=1))
        return code

    def decode(self, code: torch.Tensor, anchor: torch.Tensor) -> torch.Tensor:
        """(N, D) examples that a code leads to from an anchor."""
        example: torch.Tensor = self.decoder(torch.cat([code, anchor], dim=1))
        return example


def weighted_error(made: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean over rows of the absolute errors, each weighted by its share of the row's squared error.

    Section 3.1 of the paper: large errors count more, so that features do not blur. No gradient flows through the
    weights.
    """
    errors = (made - target).abs()
    squares = errors.detach().square()
    total = squares.sum(dim=1, keepdim=True)
    return (squares / torch.where(total > 0, total, torch.ones_like(total)) * errors).sum(dim=1).mean()
