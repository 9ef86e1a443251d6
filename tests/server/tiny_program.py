"""The program ``lowshot`` with the tiny network: ``python -m tests.server.tiny_program serve birds``.

The environment variable LOWSHOT_TEST_LIMITS, a JSON object, changes the limits of the server.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import torch

import lowshot.recogniser.embedding
import lowshot.representation
from lowshot.cli import main
from lowshot.server import running
from tests.recogniser.conftest import tiny_network

lowshot.recogniser.embedding.load_pretrained = tiny_network  # type: ignore[assignment]
lowshot.representation.load_pretrained = tiny_network  # type: ignore[assignment]
torch.set_num_threads(1)
serve = running.serve


def limited(settings: running.Settings, announce: Callable[[str], None]) -> None:
    limits: dict[str, Any] = json.loads(os.environ.get("LOWSHOT_TEST_LIMITS", "{}"))
    serve(dataclasses.replace(settings, limits=dataclasses.replace(settings.limits, **limits)), announce)


if __name__ == "__main__":
    running.serve = limited  # type: ignore[assignment]
    main()
