"""What can be said of photos before there is a recogniser: what is wrong with them, and which to label first.

Both use a recogniser in a temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lowshot.errors import InputError
from lowshot.recogniser.findings import Finding, Report, poor_findings, report_of, shot_findings
from lowshot.recogniser.photos import Photo, labelled_photos
from lowshot.recogniser.picture_quality import too_small
from lowshot.recogniser.recogniser import Recogniser
from lowshot.recogniser.suggestions import suggested_photos


def check_photos(root: str | Path) -> Report:
    """Check labelled photos before they are taught: all that :func:`check_recogniser` finds, and the files themselves.

    Args:
        root (path-like): A folder with a folder per class, such a zip, or a list of paths and classes.

    Raises:
        InputError: There are no class folders, or no photo can be read.
    """
    groups = labelled_photos(root)
    photos = [photo for group in groups.values() for photo in group]
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        recogniser = Recogniser.create(Path(folder) / "check")
        taught = recogniser.teach(
            {name: list(group) for name, group in groups.items()}, skip_bad=True, keep_repeated=True
        )
        not_checked: list[str] = []
        found = [
            Finding("unreadable", (), (), line, "remove the file, or save it again as JPEG")
            for line in taught.unreadable
        ]
        found += [Finding("duplicate", (), (), line, "remove one of the files") for line in taught.repeated]
        found += shot_findings(recogniser)
        found += _of_files(photos, not_checked)
        return report_of(recogniser, found, not_checked)


def _of_files(photos: Sequence[Photo], not_checked: list[str]) -> Iterator[Finding]:
    for name, size in too_small(photos).items():
        yield Finding("too small", (name,), (), f"{name} has {size}", "take a larger picture")
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        names = {}
        for number, photo in enumerate(photos):
            path = Path(folder, f"{number}.png")
            try:
                image = photo.open().image
            except InputError:
                continue
            image.thumbnail((1024, 1024))
            image.save(path, compress_level=0)
            names[path] = photo.name
        yield from poor_findings(names, not_checked, sharpness=True)


def first_photos(paths: Sequence[str | Path], n: int) -> list[str]:
    """Choose photos to label first; see :func:`lowshot.recogniser.suggestions.suggested_photos`."""
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        return suggested_photos(Recogniser.create(Path(folder) / "empty"), paths, n)
