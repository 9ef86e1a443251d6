"""Low-shot visual recognition: learn a new category from one to twenty pictures, keep the known ones.

The system of Hariharan & Girshick, *Low-shot Visual Recognition by Shrinking and Hallucinating Features*
(arXiv 1606.02819), as a library and as one command, ``lowshot``.
"""

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.recogniser import Recogniser

__all__ = ["Recogniser"]

__version__ = "0.1.0"

__getattr__, __dir__ = on_first_use(__name__, {"recogniser": ("Recogniser",)})
