"""``python -m lowshot``, the same as ``lowshot``; the form that torchrun needs."""

from lowshot.cli import main

main()
