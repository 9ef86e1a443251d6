"""Low-shot visual recognition: learn a new category from one to twenty pictures, keep the known ones.

The system of Hariharan & Girshick, *Low-shot Visual Recognition by Shrinking and Hallucinating Features*
(arXiv 1606.02819), as a library and as one command, ``lowshot``.
"""

__version__ = "0.1.0"
