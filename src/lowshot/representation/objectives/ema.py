"""An average of the weights over the steps of a training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowshot.checks import check_number
from lowshot.registry import OBJECTIVES
from lowshot.representation.backbones import Backbone
from lowshot.representation.objectives.base import Frozen, Objective, TrainingClasses

BIBTEX = """
@article{polyak1992acceleration,
  author = {Polyak, Boris T. and Juditsky, Anatoli B.},
  title = {Acceleration of Stochastic Approximation by Averaging},
  journal = {SIAM Journal on Control and Optimization},
  year = {1992},
}

@inproceedings{tarvainen2017mean,
  author = {Tarvainen, Antti and Valpola, Harri},
  title = {Mean Teachers Are Better Role Models: Weight-averaged Consistency Targets Improve Semi-supervised Deep
    Learning Results},
  booktitle = {Advances in Neural Information Processing Systems (NIPS)},
  year = {2017},
  eprint = {1703.01780},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register("ema", "the result is an exponential moving average of the weights", bibtex=BIBTEX)
class EMAObjective(Objective):
    """An average of the weights over steps (Polyak & Juditsky 1992), as the teacher of Tarvainen & Valpola 2017 is one.

    After step t the average a of arXiv 1703.01780 becomes d a + (1 − d) w. Here d is the smaller of ``decay`` and
    (1 + t) / (10 + t), so that a short training forgets its first weights, too. Statistics of batch norm are averaged
    as well. The average is what is validated and saved as the network; training goes on from the weights themselves.

    Args:
        decay (float): The share d of the average that a step leaves; 1 / (1 − d) is the number of steps it covers.
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__()
        self.decay = check_number("decay", decay, above=0, below=1)

    def prepare(self, backbone: Backbone, classes: TrainingClasses) -> None:
        self._average = Frozen(backbone)

    @torch.no_grad()
    def after_step(self, backbone: Backbone, steps: int) -> None:
        decay = min(self.decay, (1 + steps) / (10 + steps))
        average, current = _floats(self._average.network), _floats(backbone)
        torch._foreach_lerp_(average, current, 1 - decay)

    def evaluated(self, backbone: Backbone) -> Backbone:
        return self._average.network


def _floats(network: nn.Module) -> list[Tensor]:
    """The weights and statistics of a network; counters are left out."""
    return [value for value in network.state_dict().values() if value.is_floating_point()]
