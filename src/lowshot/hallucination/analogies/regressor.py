"""The network G that completes analogies: given a, c and d it returns the b with a : b :: c : d.

Hariharan & Girshick 2017, section 4.2: three linear layers with ReLUs, trained to approach b in mean squared error and
to be classified as b's class by the representation's linear classifier. The paper's features come out of a ReLU, and so
do those of its network; where features may be negative, the last layer here has none.

Training is 120 000 small steps, so the overhead around the products dominates. The gradient of the three layers is
computed explicitly instead of by autograd; parameters and gradients are two flat tensors, so that one fused call
updates all of them; centroids stay on the device, and a batch is a gather of their rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lowshot.checks import check_choice, check_count, check_number
from lowshot.classifiers.sgd import SGD
from lowshot.devices import MATMUL_PRECISIONS, matmul_precision
from lowshot.errors import LowshotError
from lowshot.hallucination.analogies.mining import Analogies
from lowshot.progress import progress

LAYERS = ("fc1", "fc2", "fc3")
BATCHES = ("independent", "permutation")
N_REPORTS = 50
MIN_REPORT_STEPS = 250
REPORT_ROWS = 1024


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of G's training. The defaults are the original's, except that products may round to bfloat16.

    Attributes:
        hidden (int): The width of the two hidden layers.
        lr (float): The learning rate, divided by 10 after each third of the steps.
        n_steps (int): The number of steps.
        batch_size (int): The number of analogies in a batch.
        momentum (float): The momentum of SGD.
        dampening (float): The dampening of SGD.
        weight_decay (float): The weight decay of SGD.
        mse_weight (float): The weight of the mean squared error; that of the classification loss is 1.
        precision (str): The precision of matrix products, as ``torch.set_float32_matmul_precision`` names it.
            "medium" lets a device with bfloat16 or TF32 units use them; sums, weights and gradients remain float32.
            "highest" is float32 throughout.
        batches (str): "independent" draws each batch from all analogies, by itself. "permutation" takes batches from
            one random permutation of all analogies in turn, over and over, as the original does.

    Raises:
        InputError: A setting is out of range.
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
    batches: str = "independent"

    def __post_init__(self) -> None:
        for name in ("hidden", "n_steps", "batch_size"):
            check_count(name, getattr(self, name))
        check_number("lr", self.lr, above=0)
        check_number("mse_weight", self.mse_weight, least=0)
        check_choice("precision", self.precision, MATMUL_PRECISIONS)
        check_choice("batches", self.batches, BATCHES)


class Regressor:
    """The network G with an explicit gradient of its loss.

    Args:
        dim (int): D, the width of the features.
        hidden (int): The width of the hidden layers.
        generator (torch.Generator): The source of the initial weights, which are uniform within 1 / sqrt(inputs of
            the layer), as those of torch's linear layers.
        device (torch.device): The device of the parameters.
        signed (bool): True leaves out the last layer's ReLU, so that outputs may be negative.

    Attributes:
        parameters (Parameter, (P,) float32): All parameters.
        gradient (Tensor, (P,) float32): Their gradient.
        weights (list of Tensor): The weights of the three layers, as views of ``parameters``.
        biases (list of Tensor): Their biases, as views of ``parameters``.
    """

    def __init__(
        self, dim: int, hidden: int, generator: torch.Generator, device: torch.device, signed: bool = False
    ) -> None:
        self.signed = signed
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
        """The outputs of all layers.

        Args:
            x (Tensor, (B, 3 D)): The concatenation of a, c and d.

        Returns:
            The input and the output of each layer after its ReLU, if it has one; the last is (B, D).
        """
        outputs = [x]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            summed = torch.addmm(bias, outputs[-1], weight.T)
            outputs.append(summed.relu_() if self._has_relu(layer) else summed)
        return outputs

    def _has_relu(self, layer: int) -> bool:
        return not self.signed or layer < len(LAYERS) - 1

    def set_gradient(
        self,
        x: torch.Tensor,
        target: torch.Tensor,
        label: torch.Tensor,
        classifier: torch.Tensor,
        mse_weight: float,
        bias: torch.Tensor | None = None,
    ) -> None:
        """Set ``gradient`` to that of cross-entropy + ``mse_weight`` * mean squared error on a batch.

        Args:
            x (Tensor, (B, 3 D)): The concatenation of a, c and d.
            target (Tensor, (B, D)): The feature b of each analogy.
            label (Tensor, (B,) int64): The row of ``classifier`` that scores b's class.
            classifier (Tensor, (classes, D)): The weight of the linear classifier.
            mse_weight (float): The weight of the mean squared error.
            bias (Tensor, (classes,), optional): The bias of the linear classifier.
        """
        outputs = self.forward(x)
        made = outputs[-1]
        # d cross-entropy / d scores = (softmax - one-hot) / B, and the scores are made @ classifier.T
        surplus = torch.softmax(_scores(made, classifier, bias), dim=1)
        surplus.scatter_add_(1, label[:, None], surplus.new_full((1, 1), -1.0).expand(len(x), 1))
        delta = torch.addmm(made - target, surplus, classifier, beta=2 * mse_weight / made.numel(), alpha=1 / len(x))
        for layer in reversed(range(len(LAYERS))):
            if self._has_relu(layer):
                delta.mul_(outputs[layer + 1].sign())  # 1 where the ReLU was open, else 0; faster than a comparison
            # Laid out anew, a small matrix makes this product a tenth faster on a CPU.
            torch.mm(delta.T.contiguous(), outputs[layer], out=self._weight_gradients[layer])
            torch.sum(delta, 0, out=self._bias_gradients[layer])
            if layer:
                delta = delta @ self.weights[layer]

    def state(self) -> dict[str, np.ndarray]:
        """The float32 parameters by the original's names: ``fc1.weight`` (hidden, 3 D), ``fc1.bias``, …"""
        state = {}
        for name, weight, bias in zip(LAYERS, self.weights, self.biases):
            state[f"{name}.weight"] = weight.cpu().numpy().copy()
            state[f"{name}.bias"] = bias.cpu().numpy().copy()
        return state


def _scores(made: torch.Tensor, classifier: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return made @ classifier.T if bias is None else torch.addmm(bias, made, classifier.T)


def train_regressor(
    centroids: np.ndarray,
    analogies: Analogies,
    classifier_weight: np.ndarray,
    rows: np.ndarray,
    settings: TrainingSettings,
    *,
    classifier_bias: np.ndarray | None = None,
    random_state: int = 0,
    device: str = "cpu",
    signed: bool = False,
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Train G on mined analogies.

    Args:
        centroids (array, (M, D) float32): The centroids of all classes.
        analogies (Analogies): At least one; a quadruple (i, j, k, l) teaches G(i, k, l) = j.
        classifier_weight (array, (classes, D) float32): The weight of the linear classifier.
        rows (array, (M,)): For each centroid the row of ``classifier_weight`` that scores its class.
        settings (TrainingSettings): The settings.
        classifier_bias (array, (classes,) float32, optional): The bias of the linear classifier.
        random_state (int): The seed of the initial weights and the batches.
        device (str): The torch device to train on.
        signed (bool): True leaves out the last layer's ReLU, for features that may be negative.

    Returns:
        G's parameters by name, and a history: the step, the classification loss and the mean squared error at the
        start, at the end and about fifty times in between (at least 250 steps apart), on the same 1024 analogies.

    Raises:
        LowshotError: The loss became infinite or NaN.
    """
    on = torch.device(device)
    generator = torch.Generator().manual_seed(random_state)
    # Copies in one layout and alignment: the last digit of a product may follow either, and a result must not.
    table = torch.tensor(np.ascontiguousarray(centroids, np.float32), device=on)
    classifier = torch.tensor(np.ascontiguousarray(classifier_weight, np.float32), device=on)
    bias = None if classifier_bias is None else torch.tensor(classifier_bias, dtype=torch.float32, device=on)
    row_of = torch.from_numpy(np.asarray(rows, np.int64)).to(on)
    quadruples = torch.from_numpy(analogies.quadruples).to(on)
    inputs, targets = quadruples[:, [0, 2, 3]].contiguous(), quadruples[:, 1].contiguous()

    network = Regressor(table.shape[1], settings.hidden, generator, on, signed)
    optimizer = SGD(
        [network.parameters],
        lr=settings.lr,
        momentum=settings.momentum,
        dampening=settings.dampening,
        weight_decay=settings.weight_decay,
    )

    def batch(chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        target = targets.index_select(0, chosen)
        x = table.index_select(0, inputs.index_select(0, chosen).flatten()).view(len(chosen), -1)
        return x, table.index_select(0, target), row_of.index_select(0, target)

    shown = batch(torch.randperm(len(analogies), generator=generator)[:REPORT_ROWS].to(on))
    permutation = torch.randperm(len(analogies), generator=generator) if settings.batches == "permutation" else None

    def choose(first: int, last: int) -> torch.Tensor:
        """The (last - first, batch_size) analogies of some steps."""
        size = settings.batch_size
        if permutation is None:
            return torch.randint(len(analogies), (last - first, size), generator=generator)
        return permutation[torch.arange(first * size, last * size) % len(analogies)].view(-1, size)

    every = max(MIN_REPORT_STEPS, settings.n_steps // N_REPORTS)
    third = max(1, -(-settings.n_steps // 3))
    history: list[dict[str, float]] = []

    def report(step: int) -> str:
        made = network.forward(shown[0])[-1]
        losses = F.cross_entropy(_scores(made, classifier, bias), shown[2]).item(), F.mse_loss(made, shown[1]).item()
        if not np.isfinite(losses).all():
            raise LowshotError(f"training of the generator diverged by step {step}: lower lr (now {settings.lr})")
        history.append({"step": step, "classification": losses[0], "mse": losses[1]})
        return f"classification {losses[0]:.3f}, mse {losses[1]:.4f}"

    with (
        matmul_precision(settings.precision),
        torch.no_grad(),
        progress("Training the generator", settings.n_steps) as tick,
    ):
        tick(0, report(0))
        for first in range(0, settings.n_steps, every):
            last = min(first + every, settings.n_steps)
            for step, chosen in enumerate(choose(first, last).to(on), first):
                if step and step % third == 0:
                    optimizer.lr /= 10
                network.set_gradient(*batch(chosen), classifier, settings.mse_weight, bias)
                optimizer.step()
            tick(last - first, report(last))
    return network.state(), history
