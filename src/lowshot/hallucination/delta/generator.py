"""Delta-encoder: a small code for how two examples of a class differ, applied to a shot (Schwartz et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowshot.checks import check_count, check_number
from lowshot.devices import pick_device, seeded
from lowshot.errors import InputError, LowshotError
from lowshot.estimator_files import LearnedState
from lowshot.hallucination.base import Generator
from lowshot.hallucination.sampling import draw_pairs
from lowshot.progress import progress
from lowshot.registry import GENERATORS

if TYPE_CHECKING:
    import torch

LAYERS = ("hidden", "output")

SLOPE = 0.2
"""The slope of the leaky ReLUs for negative values, as in the paper."""


BIBTEX = """
@inproceedings{schwartz2018delta,
  author = {Schwartz, Eli and Karlinsky, Leonid and Shtok, Joseph and Harary, Sivan and Marder, Mattias and
    Feris, Rogerio and Kumar, Abhishek and Giryes, Raja and Bronstein, Alex M.},
  title = {Delta-encoder: an Effective Sample Synthesis Method for Few-shot Object Recognition},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year = {2018},
  eprint = {1806.04734},
  archivePrefix = {arXiv},
}
"""


@GENERATORS.register(
    "delta_encoder", "applies encoded differences of base pairs to a shot (Schwartz et al. 2018)", bibtex=BIBTEX
)
class DeltaEncoder(Generator):
    """Decode a shot together with the encoded difference of a pair of base examples.

    Schwartz et al. (2018, arXiv 1806.04734, section 3): an autoencoder of pairs of examples of a class. The encoder
    sees both, the decoder one of them and a code so small that it can hold no more than how the two differ, and
    reproduces the other. To generate, it decodes a shot with the code of a random base pair. Like ``analogies`` it
    learns how a change acts on this shot, but from all pairs of a class rather than from analogies that were mined, and
    with no classifier.

    Their hidden layers have 8192 units; ours are narrower. Results are clamped at zero where no base feature is
    negative.

    Args:
        hidden (int): The width of the hidden layers.
        n_latent (int): The width of the code.
        dropout (float): The share of hidden entries that training sets to zero, below 1.
        lr (float): The learning rate of Adam.
        n_steps (int): The number of training steps.
        batch_size (int): The number of pairs in a step.
        n_codes (int): The number of base pairs whose codes are kept to generate with.
        random_state (int): The seed of weights, pairs and draws.
        device (str): "auto" (a GPU if there is one) or a torch device.

    Attributes:
        codes_ (array, (n_codes, n_latent) float32): The codes of base pairs.
        decoder_ (dict of arrays): The weights and biases of the decoder's layers, ``hidden`` and ``output``.
        scale_ (float): The root mean square of a base feature, which the network's inputs are divided by.
        loss_ (float): The mean loss of the last tenth of the steps.
    """

    min_base_classes = 2
    local_params = ("device",)
    fitted_arrays = ("codes_", *(f"decoder_/{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")))

    def __init__(
        self,
        hidden: int = 512,
        n_latent: int = 16,
        dropout: float = 0.5,
        lr: float = 3e-4,
        n_steps: int = 5000,
        batch_size: int = 128,
        n_codes: int = 10_000,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.hidden = hidden
        self.n_latent = n_latent
        self.dropout = dropout
        self.lr = lr
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.n_codes = n_codes
        self.random_state = random_state
        self.device = device

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        import torch

        from lowshot.hallucination.delta.network import DeltaAutoencoder, weighted_error

        for name in ("hidden", "n_latent", "n_steps", "batch_size", "n_codes"):
            check_count(name, getattr(self, name))
        check_number("lr", self.lr, above=0)
        check_number("dropout", self.dropout, least=0, below=1)
        _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        rows = np.argsort(codes, kind="stable")
        rows, counts = rows[(counts > 1)[codes[rows]]], counts[counts > 1]
        if not len(counts):
            raise InputError("no base class has two examples: there is no difference to learn")
        self.scale_ = float(np.sqrt(np.mean(features[rows].astype(np.float64) ** 2))) or 1.0
        device, rng = pick_device(self.device), np.random.default_rng(self.random_state)

        def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
            pairs = draw_pairs(counts, n, rng)
            made = (torch.from_numpy(features[rows[own]] / np.float32(self.scale_)).to(device) for own in pairs)
            return next(made), next(made)

        with seeded(self.random_state):
            network = DeltaAutoencoder(features.shape[1], self.hidden, self.n_latent, self.dropout, SLOPE).to(device)
            optimizer = torch.optim.Adam(network.parameters(), lr=self.lr)
            last: list[torch.Tensor] = []
            with progress("Training the delta-encoder", self.n_steps) as tick:
                for step in range(self.n_steps):
                    example, anchor = draw(self.batch_size)
                    loss = weighted_error(network.decode(network.encode(example, anchor), anchor), example)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    if step >= self.n_steps - max(1, self.n_steps // 10):
                        last.append(loss.detach())
                    tick(1)
        self.loss_ = float(torch.stack(last).mean())
        if not np.isfinite(self.loss_):
            raise LowshotError(f"training of the delta-encoder diverged: lower lr (now {self.lr})")
        with torch.inference_mode():
            self.codes_ = network.eval().encode(*draw(self.n_codes)).cpu().numpy()
        layers = dict(zip(LAYERS, (network.decoder[0], network.decoder[-1])))
        self.decoder_ = {
            f"{name}.{part}": getattr(layer, part).detach().cpu().numpy().copy()
            for name, layer in layers.items()
            for part in ("weight", "bias")
        }

    def _check_learned(self, learned: LearnedState) -> None:
        latent = check_count(f"{learned.source}: n_latent", self.n_latent)
        learned.array("codes_", check_count(f"{learned.source}: n_codes", self.n_codes), latent)
        if learned.number("scale_") <= 0:
            raise InputError(f"{learned.source}: scale_ must be above 0")
        dim = learned.sizes["D"]
        for layer, out, into in (("hidden", "hidden", latent + dim), ("output", dim, "hidden")):
            learned.check(f"decoder_/{layer}.bias", self.decoder_[f"{layer}.bias"], out)
            learned.check(f"decoder_/{layer}.weight", self.decoder_[f"{layer}.weight"], out, into)

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        codes = self.codes_[rng.integers(len(self.codes_), size=len(seeds))]
        x = np.concatenate([codes, seeds / np.float32(self.scale_)], axis=1)
        x = x @ self.decoder_["hidden.weight"].T + self.decoder_["hidden.bias"]
        x = np.where(x > 0, x, np.float32(SLOPE) * x)
        made = (x @ self.decoder_["output.weight"].T + self.decoder_["output.bias"]) * np.float32(self.scale_)
        return made if self.signed_ else np.maximum(made, 0)
