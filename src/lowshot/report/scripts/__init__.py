"""The scripts of the page: those in this folder and, in ``vendor``, the libraries that they call, with licences."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LIBRARIES = {
    "tablesort-5.6.0.min.js": ("tablesort-LICENCE.txt",),
    "chart-4.6.1.umd.min.js": ("chart-LICENSE.md", "kurkle-color-LICENSE.md"),
    "chartjs-chart-error-bars-4.4.5.umd.min.js": ("chartjs-chart-error-bars-LICENSE.txt",),
}
"""The file of each library in ``vendor``, in the order in which they are run, with the files of its licences."""

OWN = ("tables.js", "matrices.js", "figures.js")


@dataclass(frozen=True)
class Script:
    """A script as the page embeds it."""

    text: str

    @property
    def source(self) -> str:
        """The name by which the page's Content-Security-Policy allows this script: the digest of its text."""
        return f"sha256-{base64.b64encode(hashlib.sha256(self.text.encode()).digest()).decode()}"


@cache
def scripts() -> tuple[Script, ...]:
    """All scripts of the page, in the order in which they are run.

    A library has the text of its licences in front, which ask to be part of every copy.
    """
    folder = files(__name__)
    found = []
    for name, licences in LIBRARIES.items():
        terms = "\n".join((folder / "vendor" / licence).read_text("utf-8").strip() for licence in licences)
        program = re.sub(r"\n//# sourceMappingURL=.*", "", (folder / "vendor" / name).read_text("utf-8").strip())
        found.append(Script(f"/*! {name}\n{terms}\n*/\n{program}"))
    return (*found, *(Script((folder / name).read_text("utf-8").strip()) for name in OWN))
