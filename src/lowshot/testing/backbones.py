"""The contract of a backbone, checked on a small batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from lowshot.representation import build_backbone
from lowshot.representation.backbones import Backbone
from lowshot.testing.conformance import Check, run_checks

_CLASSES = 7


def check_backbone(backbone: Callable[..., Backbone] | str, *, image_size: int = 32, **options: Any) -> None:
    """Check that a backbone can be trained, saved and built again.

    Checked are: the shapes of scores and features; that both are finite; that an image's features do not depend on the
    others of its batch, nor on chance, once it is in evaluation mode; that a gradient reaches every parameter; and that
    building it again gives an architecture that its weights fit.

    Args:
        backbone (callable or str): The factory, whose first parameter is ``num_classes``, or a registered name.
        image_size (int): The height and width of the images in pixels.
        **options (objects): The options of the factory.

    Raises:
        ConformanceError: It breaks the contract; a line for each finding.
        InputError: The name or an option is unknown.

    Example:
        >>> check_backbone("resnet10", stem="small")
    """
    name = backbone if isinstance(backbone, str) else getattr(backbone, "__name__", type(backbone).__name__)

    def build() -> Backbone:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if isinstance(backbone, str):
                return build_backbone(backbone, _CLASSES, **options)
            return backbone(num_classes=_CLASSES, **options)

    made = build()
    run_checks(f"backbone {name}", _checks(made, build, image_size))


def _checks(made: Backbone, build: Callable[[], Backbone], size: int) -> Iterator[Check]:
    yield partial(_it_is_a_backbone, made)
    yield partial(_shapes_fit, made, size)
    yield partial(_images_are_independent, made, size)
    yield partial(_gradients_reach_all, made, size)
    yield partial(_building_again_fits, made, build)


def _images(size: int, n: int = 4) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def _it_is_a_backbone(made: Any) -> str | None:
    return None if isinstance(made, Backbone) else f"the factory returns a {type(made).__name__}, not a Backbone"


def _shapes_fit(made: Backbone, size: int) -> str | None:
    with torch.no_grad():
        scores, features = made.eval()(_images(size))
    found, expected = (tuple(scores.shape), tuple(features.shape)), ((4, _CLASSES), (4, made.feature_dim))
    if found != expected:
        return f"scores and features of four images have the shapes {found}; expected {expected}"
    return None if features.isfinite().all() and scores.isfinite().all() else "scores or features are not finite"


def _images_are_independent(made: Backbone, size: int) -> str | None:
    images = _images(size)
    with torch.no_grad():
        together = made.eval()(images)[1]
        if not torch.equal(together, made(images)[1]):
            return "two passes in evaluation mode differ: dropout and the like must be off then"
        alone = torch.cat([made(image[None])[1] for image in images])
    if torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(together.abs().max())):
        return None
    return "an image's features depend on the others of its batch in evaluation mode"


def _gradients_reach_all(made: Backbone, size: int) -> str | None:
    made.train().zero_grad()
    scores, _ = made(_images(size))
    scores.square().sum().backward()
    lacking = [name for name, weight in made.named_parameters() if weight.requires_grad and weight.grad is None]
    made.zero_grad()
    return f"no gradient reaches {', '.join(lacking[:5])}: they would not be trained" if lacking else None


def _building_again_fits(made: Backbone, build: Callable[[], Backbone]) -> str | None:
    own, other = ({k: tuple(v.shape) for k, v in one.state_dict().items()} for one in (made, build()))
    return None if own == other else "a second call of the factory gives another architecture: weights would not fit"
