"""Mixed features inside the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation.backbones import Backbone
from lowshot.representation.objectives.base import Batch, TrainingClasses
from lowshot.representation.objectives.mixing import Mixing, MixingObjective

BIBTEX = """
@inproceedings{verma2019manifold,
  author = {Verma, Vikas and Lamb, Alex and Beckham, Christopher and Najafi, Amir and Mitliagkas, Ioannis and
    Lopez-Paz, David and Bengio, Yoshua},
  title = {Manifold Mixup: Better Representations by Interpolating Hidden States},
  booktitle = {International Conference on Machine Learning (ICML)},
  year = {2019},
  eprint = {1806.05236},
  archivePrefix = {arXiv},
}

@inproceedings{mangla2020charting,
  author = {Mangla, Puneet and Singh, Mayank and Sinha, Abhishek and Kumari, Nupur and Balasubramanian, Vineeth N and
    Krishnamurthy, Balaji},
  title = {Charting the Right Manifold: Manifold Mixup for Few-shot Learning},
  booktitle = {IEEE Winter Conference on Applications of Computer Vision (WACV)},
  year = {2020},
  eprint = {1907.12087},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register(
    "manifold_mixup", "mixes images or, at a place drawn for each batch, maps inside the network", bibtex=BIBTEX
)
class ManifoldMixupObjective(MixingObjective):
    """Manifold mixup (Verma et al. 2019, arXiv 1806.05236), which S2M2 trains features for few shots with.

    The mixing of :class:`MixupObjective` takes place at the images or at the input of one of the network's stages, each
    as likely as the others. S2M2 (Mangla et al. 2020, arXiv 1907.12087) draws λ with ``alpha: 2`` and has ``rotations``
    beside it.
    """

    def __init__(self, alpha: float = 2.0) -> None:
        super().__init__(alpha)

    def prepare(self, backbone: Backbone, classes: TrainingClasses) -> None:
        self._backbone = [backbone]  # in a list, which makes it no part of this module
        self._stages: list[nn.Module] = []

    def change(self, batch: Batch) -> None:
        """Mix the images, or have the next forward pass mix the input of a stage.

        Raises:
            InputError: The network has no stages to mix between.
        """
        if not self._stages:
            self._stages = stages_of(self._backbone[0], batch.images[:1])
        place = int(torch.randint(len(self._stages) + 1, ()))
        mixing = self.draw(len(batch), batch.images.device)
        batch.targets = mixing.of(batch.distributions())
        if place == 0:
            batch.images = mixing.of(batch.images)
        else:
            batch.inner_mixing = mixing
            _mix_next_input(self._stages[place - 1], mixing)


def stages_of(backbone: Backbone, image: Tensor) -> list[nn.Module]:
    """Find the stages of a network: the parts of its trunk that have parts themselves and see a batch as it is.

    A trunk that is one such part is looked into.

    Args:
        backbone (Backbone): The network.
        image (float, (1, 3, H, W)): An image, which is passed through the network in evaluation mode.

    Returns:
        The stages in the order of the forward pass.

    Raises:
        InputError: There are none.
    """
    trunk: nn.Module = backbone.trunk
    while len(parts := [part for part in trunk.children() if any(True for _ in part.children())]) == 1:
        trunk = parts[0]
    seen: list[nn.Module] = []

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], Tensor) and len(args[0]) == 1:
            seen.append(module)

    handles = [part.register_forward_pre_hook(note) for part in parts]
    mode = backbone.training
    try:
        with torch.no_grad():
            backbone.eval()(image)
    finally:
        backbone.train(mode)
        for handle in handles:
            handle.remove()
    if not seen:
        name = backbone.config.get("name")
        raise InputError(f"manifold_mixup mixes between the stages of a network, and {name!r} has none: take mixup")
    return [part for part in dict.fromkeys(seen) if seen.count(part) == 1]


def _mix_next_input(stage: nn.Module, mixing: Mixing) -> None:
    """Mix the first rows of the next input of a stage; further rows are images that were added to the batch."""

    def mix(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        handle.remove()
        maps, n = args[0], len(mixing.partner)
        mixed = mixing.of(maps[:n])
        return (mixed if len(maps) == n else torch.cat([mixed, maps[n:]]), *args[1:])

    handle = stage.register_forward_pre_hook(mix)
