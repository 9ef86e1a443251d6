"""The model card of a recogniser: what it knows, where its network comes from, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lowshot import __version__
from lowshot.escaping import markdown
from lowshot.files import resolved, update_text
from lowshot.recogniser.base_bias import COST
from lowshot.recogniser.folder import CARD_FILE
from lowshot.recogniser.state import BaseState, State

_MOST_LISTED = 200


def write_card(folder: Path, state: State, shots: Mapping[str, int], classes: Sequence[str]) -> None:
    """Write ``README.md`` of a recogniser, unless it says the same already.

    Args:
        folder (Path): The folder of the recogniser.
        state (State): Its state.
        shots (mapping): Taught class → its number of photos.
        classes (sequence of str): All classes.
    """
    update_text(folder / CARD_FILE, card(resolved(folder).name, state, shots, classes))


def card(name: str, state: State, shots: Mapping[str, int], classes: Sequence[str]) -> str:
    """The text of the card, in Markdown with the metadata that model hubs read."""
    return "\n".join(
        [
            "---",
            "library_name: lowshot",
            "tags: [image-classification, few-shot-learning]",
            "---",
            "",
            f"# {markdown(name)}",
            "",
            f"A recogniser of {len(classes)} classes, taught with {sum(shots.values())} photos, lowshot {__version__}.",
            "",
            f"    lowshot predict {name} PHOTO ...",
            f"    lowshot teach {name} MORE_PHOTOS/",
            "",
            *_accuracy(state),
            *_classes(state, shots),
            *_how(state),
        ]
    )


def _accuracy(state: State) -> list[str]:
    lines = ["## Accuracy", ""]
    estimate = state.estimate
    if estimate is None:
        return [*lines, "Not known: with one photo a class none can be left out. Teach a second one of each.", ""]
    lines += [
        f"{100 * estimate.accuracy:.1f} % of its photos are recognised by the others (leave-one-out over "
        f"{estimate.shots} photos, 95 % interval {100 * estimate.low:.1f} to {100 * estimate.high:.1f} %). It is an "
        "estimate for photos like these, and knows nothing of other cameras, places or seasons.",
        "",
    ]
    if state.unknown_rate is not None:
        lines += [
            "An answer is marked unknown where a photo is unlike all of the taught classes (cosine below "
            f"{state.unknown_at:.3f}). Of its own photos, left out in turn, {100 * state.unknown_rate:.1f} % are, and "
            f"{100 - 100 * (state.passed_rate or 0):.1f} % when the recogniser does not know their class at all.",
            "",
        ]
    return lines


def _classes(state: State, shots: Mapping[str, int]) -> list[str]:
    lines = ["## Classes", "", "| class | photos | recognised |", "|---|---|---|"]
    rates = {} if state.estimate is None else state.estimate.classes
    for name, count in list(shots.items())[:_MOST_LISTED]:
        rate = f"{100 * rates[name]:.0f} %" if name in rates else ""
        lines.append(f"| {markdown(name)} | {count} | {rate} |")
    if len(shots) > _MOST_LISTED:
        lines.append(f"| … and {len(shots) - _MOST_LISTED} more | | |")
    lines.append("")
    if state.base is not None:
        known = len(state.base.names) - len(state.base.removed)
        lines += [
            f"Beside these it knows {known} base classes, from {markdown(state.base.origin)}. {state.bias:+.3f} is "
            f"added to the scores of taught classes: {_of_bias(state.base)}",
            "",
        ]
    return lines


def _of_bias(base: BaseState) -> str:
    """The two sides of a bias between base and taught classes, in sentences."""
    if base.biases:
        return "the run chose that on its validation classes."
    return (
        f"so that about {100 * COST:.0f} % of the photos of base classes are taken for a taught class, by estimate. "
        "The base classes themselves are recognised as well as the network does it; measured examples of both sides "
        "are in lowshot's docs/results/recogniser.md."
    )


def _how(state: State) -> list[str]:
    return [
        "## How it works",
        "",
        f"- Network: `{state.backbone.name}`, weights {state.backbone.weights}, {state.backbone.dim} features, "
        f"fingerprint {state.backbone.fingerprint}.",
        f"- Classifier: `{state.classifier.name}`: {markdown(state.classifier.reason) or 'not fitted yet'}.",
        "- `shots.h5` holds features, digests and names of the photos"
        + (", and small pictures of them." if state.thumbnails else ".")
        + " The photos themselves are not kept.",
        "",
    ]
