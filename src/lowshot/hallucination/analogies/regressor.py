"""The network G that completes analogies: given a, c and d it returns the b with a : b :: c : d.

Hariharan & Girshick 2017, section 4.2: three linear layers with ReLUs, trained to hit b in mean squared error and to
be recognised as b's class by the representation's linear classifier.

Training is 120 000 small steps, so what counts is the work around the products. The gradient of three layers is
written out instead of recorded; parameters and gradients are two flat tensors, so that one fused call updates
everything; centroids stay on the device and a batch is a gather of their rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lowshot.errors import InputError, LowshotError
from lowshot.hallucination.analogies.mining import Analogies
from lowshot.progress import progress

LAYERS = ("fc1", "fc2", "fc3")
N_REPORTS = 50
MIN_REPORT_STEPS = 100
REPORT_ROWS = 1024


@dataclass(frozen=True)
class TrainingSettings:
    """How G is trained; the defaults are the original's, except that products may round to bfloat16.

    Args:
        hidden: width of the two hidden layers.
        lr: learning rate; divided by 10 after each third of the steps.
        n_steps: batches.
        batch_size: analogies a batch.
        momentum, dampening, weight_decay: of SGD.
        mse_weight: weight of the mean squared error beside the classification loss.
        precision: of matrix products, as ``torch.set_float32_matmul_precision`` names it. "medium" lets a device with
            bfloat16 or TF32 units use them; sums, weights and gradients stay float32. "highest" is float32 throughout.
    """

    hidden: int = 512
    lr: float = 0.1
    n_steps: int = 120_000
    batch_size: int = 128
    momentum: float = 0.9
    dampening: float = 0.9
    weight_decay: float = 1e-4
    mse_weight: float = 10.0
    precision: str = "medium"

    def __post_init__(self) -> None:
        for name in ("hidden", "n_steps", "batch_size", "lr"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, got {getattr(self, name)!r}")
        if self.precision not in ("highest", "high", "medium"):
            raise InputError(f"precision must be 'highest', 'high' or 'medium', got {self.precision!r}")


class Regressor:
    """G's parameters, and its loss with the gradient written out.

    Args:
        dim: D, the width of the features.
        hidden: width of the hidden layers.
        generator: source of the initial weights, uniform within 1 / sqrt(inputs of the layer) as torch's linear layers.
        device: where the parameters live.

    Attributes:
        parameters: (P,) float32, all of them; ``gradient`` beside it.
        weights, biases: the three layers, as views of ``parameters``.
    """

    def __init__(self, dim: int, hidden: int, generator: torch.Generator, device: torch.device) -> None:
        self.shapes = [(hidden, 3 * dim), (hidden, hidden), (dim, hidden)]
        initial = []
        for out, fan_in in self.shapes:
            bound = fan_in**-0.5
            initial += [torch.rand(out * fan_in + out, generator=generator) * 2 * bound - bound]
        self.parameters = torch.nn.Parameter(torch.cat(initial).to(device))
        self.gradient = torch.zeros_like(self.parameters.data)
        self.parameters.grad = self.gradient
        self.weights, self.biases = self._views(self.parameters.data)
        self._weight_gradients, self._bias_gradients = self._views(self.gradient)

    def _views(self, flat: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        weights, biases, start = [], [], 0
        for out, fan_in in self.shapes:
            weights.append(flat[start : start + out * fan_in].view(out, fan_in))
            start += out * fan_in
            biases.append(flat[start : start + out])
            start += out
        return weights, biases

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The input (B, 3 D) and the output of each layer after its ReLU; the last is (B, D)."""
        outputs = [x]
        for weight, bias in zip(self.weights, self.biases):
            outputs.append(torch.addmm(bias, outputs[-1], weight.T).relu_())
        return outputs

    def set_gradient(
        self, x: torch.Tensor, target: torch.Tensor, label: torch.Tensor, classifier: torch.Tensor, mse_weight: float
    ) -> None:
        """Set ``gradient`` to that of cross-entropy + ``mse_weight`` * mean squared error on a batch.

        Args:
            x: (B, 3 D) a, c and d side by side.
            target: (B, D) b.
            label: (B,) the row of ``classifier`` that belongs to b's class.
            classifier: (classes, D) weight of the linear classifier.
            mse_weight: weight of the second term.
        """
        outputs = self.forward(x)
        made = outputs[-1]
        # d cross-entropy / d scores = (softmax - one-hot) / B, and the scores are made @ classifier.T
        surplus = torch.softmax(made @ classifier.T, dim=1)
        surplus.scatter_add_(1, label[:, None], surplus.new_full((1, 1), -1.0).expand(len(x), 1))
        delta = torch.addmm(made - target, surplus, classifier, beta=2 * mse_weight / made.numel(), alpha=1 / len(x))
        for layer in reversed(range(len(LAYERS))):
            delta.mul_(outputs[layer + 1].sign())  # 1 where the ReLU was open, else 0; faster than a comparison
            torch.mm(delta.T, outputs[layer], out=self._weight_gradients[layer])
            torch.sum(delta, 0, out=self._bias_gradients[layer])
            if layer:
                delta = delta @ self.weights[layer]

    def state(self) -> dict[str, np.ndarray]:
        """``fc1.weight`` (hidden, 3 D), ``fc1.bias``, … as the original names them, float32."""
        state = {}
        for name, weight, bias in zip(LAYERS, self.weights, self.biases):
            state[f"{name}.weight"] = weight.cpu().numpy().copy()
            state[f"{name}.bias"] = bias.cpu().numpy().copy()
        return state


def train_regressor(
    centroids: np.ndarray,
    analogies: Analogies,
    classifier_weight: np.ndarray,
    rows: np.ndarray,
    settings: TrainingSettings,
    *,
    random_state: int = 0,
    device: str = "cpu",
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Train G on mined analogies.

    Args:
        centroids: (M, D) float32.
        analogies: at least one; a quadruple (i, j, k, l) teaches G(i, k, l) = j.
        classifier_weight: (classes, D) float32.
        rows: (M,) for each centroid the row of ``classifier_weight`` that belongs to its class.
        settings: steps, rates and weights.
        random_state: seed of the initial weights and the batches.
        device: where to train.

    Returns:
        G's parameters by name, and a history: at the start, at the end and at every fiftieth of the way (100 steps
        apart at least) the step, the classification loss and the mean squared error, always on the same 1024 analogies.

    Raises:
        LowshotError: the loss became infinite or NaN.
    """
    place = torch.device(device)
    generator = torch.Generator().manual_seed(random_state)
    # Copies in one layout and alignment: the last digit of a product may follow either, and a result must not.
    table = torch.tensor(np.ascontiguousarray(centroids, np.float32), device=place)
    classifier = torch.tensor(np.ascontiguousarray(classifier_weight, np.float32), device=place)
    row_of = torch.from_numpy(np.asarray(rows, np.int64)).to(place)
    quadruples = torch.from_numpy(analogies.quadruples).to(place)
    inputs, targets = quadruples[:, [0, 2, 3]].contiguous(), quadruples[:, 1].contiguous()

    network = Regressor(table.shape[1], settings.hidden, generator, place)
    optimizer = torch.optim.SGD(
        [network.parameters],
        lr=settings.lr,
        momentum=settings.momentum,
        dampening=settings.dampening,
        weight_decay=settings.weight_decay,
        fused=True,
    )

    def batch(chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        target = targets.index_select(0, chosen)
        x = table.index_select(0, inputs.index_select(0, chosen).flatten()).view(len(chosen), -1)
        return x, table.index_select(0, target), row_of.index_select(0, target)

    shown = batch(torch.randperm(len(analogies), generator=generator)[:REPORT_ROWS].to(place))
    every = max(MIN_REPORT_STEPS, settings.n_steps // N_REPORTS)
    third = max(1, -(-settings.n_steps // 3))
    history: list[dict[str, float]] = []

    def report(step: int) -> str:
        made = network.forward(shown[0])[-1]
        losses = F.cross_entropy(made @ classifier.T, shown[2]).item(), F.mse_loss(made, shown[1]).item()
        if not np.isfinite(losses).all():
            raise LowshotError(f"training of the generator diverged by step {step}: lower lr (now {settings.lr})")
        history.append({"step": step, "classification": losses[0], "mse": losses[1]})
        return f"classification {losses[0]:.3f}, mse {losses[1]:.4f}"

    with (
        _matmul_precision(settings.precision),
        torch.no_grad(),
        progress("Training the generator", settings.n_steps) as tick,
    ):
        tick(0, report(0))
        for first in range(0, settings.n_steps, every):
            last = min(first + every, settings.n_steps)
            size = (last - first, settings.batch_size)
            for step, chosen in enumerate(torch.randint(len(analogies), size, generator=generator).to(place), first):
                if step and step % third == 0:
                    optimizer.param_groups[0]["lr"] /= 10
                network.set_gradient(*batch(chosen), classifier, settings.mse_weight)
                optimizer.step()
            tick(last - first, report(last))
    return network.state(), history


@contextmanager
def _matmul_precision(precision: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
