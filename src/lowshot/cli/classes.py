"""``lowshot classes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowshot.errors import InputError
from lowshot.escaping import printable

if TYPE_CHECKING:
    from lowshot.recogniser import Recogniser


def classes(
    recogniser: Annotated[Path, typer.Argument(metavar="RECOGNISER", help="Its folder.")],
    rename: Annotated[list[str] | None, typer.Option("--rename", metavar="OLD=NEW", help="Rename a class.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="CLASS", help="Forget a class.")] = None,
    move: Annotated[
        list[str] | None,
        typer.Option("--move", metavar="CLASS/FILE=NEW", help="Give a taught photo to another class."),
    ] = None,
    forget: Annotated[
        list[str] | None, typer.Option("--forget", metavar="CLASS/FILE", help="Forget a taught photo.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the last change; ten can be undone.")] = False,
) -> None:
    """List the classes of a recogniser, or change them.

    The list says how many photos each class has, and how many per cent of them are recognised by the others. Examples:

      lowshot classes birds

      lowshot classes birds --rename robin=redbreast

      lowshot classes birds --remove wren

      lowshot classes birds --undo
    """
    from lowshot.recogniser import Recogniser

    opened = Recogniser.load(recogniser)
    if undo and (rename or remove or move or forget):
        raise InputError("--undo goes alone: give it in a call of its own")
    if undo:
        typer.echo(printable(f"undone: {opened.undo()}"))
    for pair in rename or ():
        opened.rename(*_pair(pair, "--rename"))
    for pair in move or ():
        opened.move_photo(*_pair(pair, "--move"))
    for photo in forget or ():
        opened.move_photo(photo, None)
    if remove:
        opened.remove(*remove)
    typer.echo(printable(listing(opened)))


def listing(opened: Recogniser) -> str:
    """The classes of a recogniser with their photos and accuracy, in lines for people."""
    shots, estimate = opened.shots(), opened.state.estimate
    width = max((len(name) for name in shots), default=0)
    lines = []
    for name, count in shots.items():
        shares = {} if estimate is None else estimate.classes
        known = f"{100 * shares[name]:5.0f} % recognised" if name in shares else ""
        lines.append(f"{name:<{width}}  {count:5d} photo{'s' if count != 1 else ' '}{known}".rstrip())
    base = opened.state.base
    if base is not None:
        lines.append(f"and {len(base.names) - len(base.removed)} base classes of {base.origin}")
    changes = [f"  {one.number}: {one.what} ({one.time})" for one in reversed(opened.state.history[-3:])]
    return "\n".join([*(lines or ["no class yet"]), "last changes:", *changes])


def _pair(text: str, flag: str) -> tuple[str, str]:
    old, equals, new = text.rpartition("=")
    if not equals or not old or not new:
        raise InputError(f"{flag} {text!r}: expected OLD=NEW")
    return old, new
