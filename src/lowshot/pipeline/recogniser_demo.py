"""A recogniser from a few pictures, as a user would make it: taught, asked, taught one class more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lowshot.files import Pathlike
from lowshot.pipeline.demo_pictures import write_pictures
from lowshot.recogniser import Recogniser
from lowshot.recogniser.folder import is_recogniser
from lowshot.recogniser.photos import labelled_photos, photos_at

KNOWN = ("dollar", "omega", "psi", "lao", "two")
NEW = "zhe"
SHOTS, QUERIES = 5, 8


def demonstrate(folder: Pathlike, say: Callable[[str], None] = print) -> Recogniser:
    """Draw pictures, teach five classes, add a sixth, and say what it costs and how many answers are right.

    Args:
        folder (path-like): The folder of the pictures and of the recogniser ``signs``, which is made anew.
        say (callable): A function that takes each line.

    Returns:
        The recogniser.
    """
    root = Path(folder)
    target = root / "signs"
    if is_recogniser(target):
        shutil.rmtree(target)
    taught = write_pictures(root / "teach", KNOWN, SHOTS)
    further = write_pictures(root / "more", [NEW], SHOTS) / NEW
    new = write_pictures(root / "new", [*KNOWN, NEW], QUERIES, first=SHOTS)
    say(f"A recogniser from {SHOTS} pictures a class. The pictures lie in {root}; try the commands on your own.")
    say(f"  lowshot teach {target} {taught}")
    recogniser = Recogniser.create(target)
    recogniser.teach(taught)
    right = _right(recogniser, new)
    say(
        f"    {len(KNOWN)} classes; {sum(right[name] for name in KNOWN)} of {len(KNOWN) * QUERIES} other pictures right"
    )
    say(f"  lowshot teach {target} --class {NEW} {further}")
    photos = list(photos_at([further]))
    started = time.perf_counter()
    list(recogniser.network.see(photos, details=True))
    seen = time.perf_counter()
    recogniser.teach({NEW: photos})
    whole, network = time.perf_counter() - seen, seen - started
    after = _right(recogniser, new)
    say(
        f"    one class more in {1000 * whole:.0f} ms, of which the network took {1000 * min(network, whole):.0f} ms "
        f"for its {SHOTS} pictures"
    )
    say(
        f"    {after[NEW]} of {QUERIES} other pictures of it right, and of the known classes "
        f"{sum(after[name] for name in KNOWN)} of {len(KNOWN) * QUERIES}"
    )
    (answer,) = recogniser.predict([new / NEW / f"{SHOTS:02d}.png"])
    say(f"  lowshot predict {target} {new / NEW / f'{SHOTS:02d}.png'}")
    say(f"    {answer.class_} {100 * (answer.probability or 0):.0f} %, most like {answer.nearest}")
    return recogniser


def _right(recogniser: Recogniser, folder: Path) -> dict[str, int]:
    """The number of right answers for the pictures of each class."""
    groups = labelled_photos(folder)
    answers = iter(recogniser.predict([photo for group in groups.values() for photo in group]))
    return {name: sum(next(answers).class_ == name for _ in group) for name, group in groups.items()}
