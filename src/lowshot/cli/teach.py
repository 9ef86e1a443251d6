"""``lowshot teach``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lowshot.errors import InputError, counted
from lowshot.escaping import printable

if TYPE_CHECKING:
    from lowshot.recogniser import Recogniser
    from lowshot.recogniser.changes import Taught
    from lowshot.recogniser.start import Start


MOST_REPEATED = 20
"""The number of photos taught before that are named, each in a line."""


def teach(
    recogniser: Annotated[Path, typer.Argument(metavar="RECOGNISER", help="Its folder, which is made if missing.")],
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PHOTOS...",
            help="A folder with a folder per class, such a zip, or a CSV of path,class; with --class, any photos.",
        ),
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", "-c", help="The class that all of the photos show.")
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|imagenet",
            help="Start with the network and base classes of a recipe's results, or with ImageNet's 1000 classes.",
        ),
    ] = None,
    representation: Annotated[
        str | None, typer.Option(help="With --from RUN: the representation whose network is taken.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="With --from RUN: the method that learned the base classes.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Network of a new recogniser: any of `lowshot list backbones` (default: efficientnet_lite0)."
        ),
    ] = None,
    views: Annotated[
        Literal["one", "flip", "five_crop", "ten_crop", "affine"] | None,
        typer.Option(help="Views of a photo whose mean feature is taken (default: one)."),
    ] = None,
    classifier: Annotated[
        str | None, typer.Option(help="Classifier of a new recogniser (default: chosen by leave-one-out).")
    ] = None,
    unknown_at: Annotated[
        float | None,
        typer.Option(
            "--unknown-at", help="Similarity to all classes below which an answer is unknown (default: chosen)."
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out photos that cannot be decoded.")] = False,
    keep_repeated: Annotated[
        bool, typer.Option("--keep-repeated", help="Teach pictures that were taught before, such as resized ones.")
    ] = False,
    no_thumbnails: Annotated[
        bool, typer.Option("--no-thumbnails", help="Keep no small pictures of the photos in a new recogniser.")
    ] = False,
) -> None:
    """Teach a recogniser classes from a few photos, or more photos of classes that it knows.

    It adds to what was taught before and forgets nothing; a photo that was taught already is named and left out.
    Photos stay on this machine. Examples:

      lowshot teach birds photos/

      lowshot teach birds --class robin a.jpg b.heic

      lowshot teach birds more.zip --skip-bad

      lowshot teach birds --unknown-at 0.45

      lowshot teach things photos/ --from imagenet

      lowshot teach birds photos/ --from runs/cifar100 --representation sgm --method cosine
    """
    from lowshot.recogniser.folder import is_recogniser
    from lowshot.recogniser.photos import photos_at
    from lowshot.recogniser.recogniser import Recogniser
    from lowshot.recogniser.setup import open_or_create

    if not photos:
        if (classifier is None and unknown_at is None) or not is_recogniser(recogniser):
            raise InputError(f"there are no photos: lowshot teach {recogniser} PHOTOS")
        _set(Recogniser.load(recogniser), classifier, unknown_at)
        return
    if class_name is None and len(photos) > 1:
        raise InputError(
            f"give one folder, zip or list of labelled photos, not {len(photos)}, and each of several in a call of its "
            "own; to teach one class from several files, name it: --class NAME"
        )
    if (representation or method) and origin in (None, "imagenet"):
        raise InputError("--representation and --method go with --from RUN, which says whose they are")
    options = {
        "start": None if origin is None else partial(_start, origin, representation, method, backbone),
        "backbone": None if origin is not None else backbone,
        "views": views,
        "classifier": classifier,
        "thumbnails": False if no_thumbnails else None,
    }
    source = photos[0] if class_name is None else {class_name: photos_at(photos)}
    with open_or_create(recogniser, options) as opened:
        taught = opened.teach(source, skip_bad=skip_bad, keep_repeated=keep_repeated)
        if unknown_at is not None:
            opened.set_unknown_at(unknown_at)
    for line in taught.unreadable:
        typer.echo(printable(f"left out: {line}"), err=True)
    for line in sorted(taught.repeated)[:MOST_REPEATED]:
        typer.echo(printable(f"left out: {line}"), err=True)
    if len(taught.repeated) > MOST_REPEATED:
        more = counted(len(taught.repeated) - MOST_REPEATED, "photo")
        typer.echo(f"left out: {more} more, taught before under this or another name", err=True)
    typer.echo(printable(summary(opened, taught)))


def _set(opened: Recogniser, classifier: str | None, unknown_at: float | None) -> None:
    """Change what the user chooses of a recogniser, without teaching it."""
    if classifier is not None:
        opened.set_classifier(classifier)
        typer.echo(printable(f"{opened.folder}: classifier {opened.state.classifier.name}"))
    if unknown_at is not None:
        opened.set_unknown_at(unknown_at)
        typer.echo(printable(f"{opened.folder}: unknown below a similarity of {opened.state.unknown_at:g}"))


def _start(origin: str, representation: str | None, method: str | None, backbone: str | None) -> Start:
    if origin == "imagenet":
        from lowshot.recogniser.imagenet import imagenet_start

        return imagenet_start(backbone)
    if backbone is not None:
        raise InputError("--backbone does not go with --from RUN: the network is that of the run")
    from lowshot.pipeline.recogniser_start import start_from_run

    return start_from_run(origin, representation, method)


def summary(recogniser: Recogniser, taught: Taught) -> str:
    """What was taught, and how well the classes are told apart now, in lines for people."""
    n, known = sum(taught.added.values()), counted(len(recogniser.classes), "class")
    if not n:
        return f"{recogniser.folder}: nothing new; it knows {known}"
    new = f", {counted(len(taught.new), 'new class')}" + (f" ({taught.new[0]})" if len(taught.new) == 1 else "")
    lines = [f"{recogniser.folder}: {counted(n, 'photo')} taught{new if taught.new else ''}; it knows {known}"]
    estimate = recogniser.state.estimate
    if estimate is None:
        lines.append("accuracy: not known with one photo a class; teach a second photo of each to have it estimated")
    else:
        lines.append(
            f"accuracy: {100 * estimate.accuracy:.0f} % of its photos are recognised by the others "
            f"(95 % interval {100 * estimate.low:.0f} to {100 * estimate.high:.0f} %, by leave-one-out)"
        )
    return "\n".join(lines)
