"""What should be looked at in a recogniser, or in photos before they are taught, each with what to do about it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.errors import InputError, counted
from lowshot.recogniser.check import Findings, check_shots
from lowshot.recogniser.picture_quality import poor_pictures
from lowshot.recogniser.shots import read_thumbnails

if TYPE_CHECKING:
    from lowshot.recogniser.recogniser import Recogniser

KINDS = (
    "unreadable",
    "wrong label",
    "two classes",
    "duplicate",
    "confused",
    "few photos",
    "too small",
    "poor picture",
)
"""The kinds of findings, the gravest first."""


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes:
        kind (str): One of :data:`KINDS`.
        photos (tuple of str): The photos that it is about, as ``CLASS/FILE``.
        classes (tuple of str): The classes that it is about.
        text (str): What was found, in a sentence.
        fix (str): The option of ``lowshot classes`` that mends it, or advice.
        digests (tuple of str): The SHA-256 of the photos, where they are taught ones.
    """

    kind: str
    photos: tuple[str, ...]
    classes: tuple[str, ...]
    text: str
    fix: str
    digests: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class Report:
    """All findings, and the accuracy to expect.

    Attributes:
        findings (list of Finding): The gravest kind first.
        photos (int): The number of photos.
        classes (int): The number of taught classes.
        accuracy (str): The accuracy by leave-one-out with its interval, in words.
        not_checked (list of str): What could not be looked at, and why.
    """

    findings: list[Finding]
    photos: int
    classes: int
    accuracy: str
    not_checked: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return {**asdict(self), "findings": [finding.as_dict() for finding in self.findings]}


def check_recogniser(recogniser: Recogniser) -> Report:
    """Check the photos that a recogniser was taught, by their features and thumbnails.

    Raises:
        InputError: It knows no class.
    """
    recogniser.require_classes()
    not_checked: list[str] = []
    found = list(shot_findings(recogniser))
    found += _of_thumbnails(recogniser, not_checked)
    return report_of(recogniser, found, not_checked)


def report_of(recogniser: Recogniser, found: Sequence[Finding], not_checked: list[str]) -> Report:
    """The report of findings about the photos of a recogniser."""
    ordered = sorted(found, key=lambda finding: KINDS.index(finding.kind))
    estimate = recogniser.state.estimate
    accuracy = (
        "not known: with one photo a class none can be left out"
        if estimate is None
        else f"{100 * estimate.accuracy:.1f} % (95 % interval {100 * estimate.low:.1f} to {100 * estimate.high:.1f} %)"
    )
    shots = recogniser.shots()
    return Report(ordered, sum(shots.values()), len(shots), accuracy, not_checked)


def shot_findings(recogniser: Recogniser) -> Iterator[Finding]:
    """The findings that follow from the features and labels of a recogniser's photos."""
    examples, model = recogniser.examples, recogniser.model
    if not len(examples.labels):
        return
    found = check_shots(model.classifier, examples.features, examples.labels)
    first = 0 if recogniser.state.base is None else len(recogniser.state.base.names)
    taught = {first + i: one.name for i, one in enumerate(recogniser.state.classes)}
    names, commands = examples.names, _names_in_commands(examples.names, examples.digests)
    for doubt in found.doubtful:
        own, other = names[doubt.row], taught[int(doubt.suggestion)]
        text = f"{own} looks like {other}"
        yield Finding(
            "wrong label",
            (own,),
            (taught[int(doubt.label)], other),
            text,
            f'--move "{commands[doubt.row]}={other}"',
            digests=(examples.digests[doubt.row],),
        )
    yield from _duplicates(found, names, commands, examples.digests)
    base = {} if recogniser.state.base is None else dict(enumerate(recogniser.state.base.names))
    for pair in found.confused:
        one, other = ((base | taught)[int(label)] for label in (pair.label, pair.other))
        text = f"{one} and {other} are taken for each other: {pair.count} of {pair.total} photos"
        yield Finding("confused", (), (one, other), text, "teach more photos of both, or make them one class")
    for label, count in found.few.items():
        name = taught[int(label)]
        text = f"{name} has {counted(count, 'photo')}"
        yield Finding("few photos", (), (name,), text, "teach three at least; five to ten are better")


def _names_in_commands(names: Sequence[str], digests: Sequence[str]) -> list[str]:
    """What `lowshot classes` calls each photo: its name, or CLASS/ and its digest where two photos share the name."""
    count = Counter(names)
    return [
        name if count[name] == 1 else f"{name.rpartition('/')[0]}/{digest[:12]}" for name, digest in zip(names, digests)
    ]


def _duplicates(
    found: Findings, names: Sequence[str], commands: Sequence[str], digests: Sequence[str]
) -> Iterator[Finding]:
    for rows in found.duplicates_across:
        photos = tuple(names[row] for row in rows)
        classes = tuple(sorted({photo.split("/", 1)[0] for photo in photos}))
        text = f"one picture is in {' and '.join(classes)}: {', '.join(photos)}"
        same = tuple(digests[row] for row in rows)
        yield Finding("two classes", photos, classes, text, f'--forget "{commands[rows[-1]]}"', same)
    for rows in found.duplicates:
        photos = tuple(names[row] for row in rows)
        text = f"{', '.join(photos)} show the same picture"
        same = tuple(digests[row] for row in rows)
        forget = f'--forget "{commands[rows[-1]]}"'
        yield Finding("duplicate", photos, (photos[0].split("/", 1)[0],), text, forget, same)


def _of_thumbnails(recogniser: Recogniser, not_checked: list[str]) -> Iterator[Finding]:
    examples = recogniser.examples
    pictures = read_thumbnails(recogniser.folder, examples.rows.tolist())
    if not any(pictures):
        not_checked.append("brightness: the recogniser keeps no small pictures")
        return
    not_checked.append("sharpness and size: the photos themselves are not kept (lowshot check PHOTOS looks at files)")
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        names, digests = {}, {}
        for number, (name, data) in enumerate(zip(examples.names, pictures)):
            if data:
                path = Path(folder, f"{number}.jpg")
                path.write_bytes(data)
                names[path], digests[path] = name, examples.digests[number]
        yield from poor_findings(names, not_checked, sharpness=False, digests=digests)


def poor_findings(
    names: dict[Path, str], not_checked: list[str], sharpness: bool, digests: Mapping[Path, str] | None = None
) -> Iterator[Finding]:
    """The findings about poor pictures.

    Args:
        names (dict): File → the name of its photo.
        not_checked (list of str): What could not be looked at, which is added to.
        sharpness (bool): True looks for blurred ones.
        digests (mapping, optional): File → the SHA-256 of its photo, of taught photos.
    """
    try:
        found = poor_pictures(list(names), sharpness)
    except InputError as error:
        not_checked.append(str(error))
        return
    for path, words in sorted(found.items(), key=lambda one: names[one[0]]):
        text = f"{names[path]} is {' and '.join(words)}"
        advice = "take a better picture, or leave it if it is typical"
        yield Finding("poor picture", (names[path],), (), text, advice, () if digests is None else (digests[path],))
