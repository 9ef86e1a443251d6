"""A server of the tiny network, asked in this process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from lowshot.recogniser import Recogniser
from lowshot.server.app import build_app
from lowshot.server.limits import Limits
from lowshot.server.metrics import Metrics
from lowshot.server.running import Settings, build_service
from lowshot.server.security import Access
from tests.recogniser.conftest import photo, tiny

__all__ = ["tiny"]  # a fixture

Serve = Callable[..., TestClient]


def encoded(image: Image.Image, format: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, format)
    return out.getvalue()


def png(colour: str, seed: int, size: int = 40) -> bytes:
    """A photo of a colour, as a file; every seed gives another picture."""
    return encoded(photo(colour, seed, size))


def files(*given: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """Photos as the client sends them in multipart."""
    return [("photos", one) for one in given]


def pictures(colour: str, seeds: range, folder: str = "") -> list[tuple[str, tuple[str, bytes]]]:
    prefix = f"{folder}/" if folder else ""
    return files(*[(f"{prefix}{seed}.png", png(colour, seed)) for seed in seeds])


@pytest.fixture
def colours(tiny: None, tmp_path: Path) -> Path:
    """A recogniser of two colours."""
    opened = Recogniser.create(tmp_path / "colours")
    opened.teach({name: [photo(name, seed) for seed in range(3)] for name in ("red", "green")})
    return tmp_path / "colours"


@pytest.fixture
def serve(colours: Path) -> Iterator[Serve]:
    """A function that serves a recogniser in this process, and returns a client of it."""
    clients: list[TestClient] = []

    def start(path: Path = colours, token: str | None = None, hosts: Any = (), **options: Any) -> TestClient:
        limits = Limits(**options.pop("limits", {}))
        settings = Settings(path, limits=limits, **options)
        metrics = Metrics()
        service = build_service(settings, metrics)
        app = build_app(service, limits, Access(hosts, token), metrics)
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        client.__enter__()
        client.service = service  # type: ignore[attr-defined]
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """A client of the two colours."""
    return serve()
