"""Servers of recognisers with the tiny network: a program that starts one for each line that it reads.

A line of input is a JSON object with the settings of a server, a line of output the address that it listens on.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import lowshot.recogniser.embedding
import lowshot.representation
from lowshot.recogniser import Recogniser
from lowshot.server.running import Settings, serve
from tests.recogniser.conftest import tiny_network, write_photos


def start(folder: str, colours: dict[str, int] | None = None, **settings: Any) -> None:
    """Make a recogniser in the folder where there is none, teach it photos of colours, and serve it."""
    target = Path(folder)
    if not target.exists():
        recogniser = Recogniser.create(target)
        if colours:
            recogniser.teach(write_photos(target.with_name(f"{target.name}-photos"), colours))
    paths = {name: Path(value) for name, value in settings.items() if name == "token_file"}
    settings = {"port": 0, **settings, **paths}
    serve(Settings(target, **settings), lambda address: print(address, flush=True))


def main() -> None:
    lowshot.recogniser.embedding.load_pretrained = tiny_network
    lowshot.representation.load_pretrained = tiny_network
    for line in sys.stdin:
        threading.Thread(target=start, kwargs=json.loads(line), daemon=True).start()


if __name__ == "__main__":
    main()
