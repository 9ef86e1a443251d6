"""``lowshot serve``: a recogniser behind a socket, until Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from lowshot.errors import InputError
from lowshot.files import is_file, is_folder, read_text, resolved
from lowshot.server.addresses import LOOPBACK, names_of_host, openable
from lowshot.server.app import build_app
from lowshot.server.batching import Batcher
from lowshot.server.computing import Computation, computation_of
from lowshot.server.connections import timed_connections
from lowshot.server.limits import Limits
from lowshot.server.metrics import Metrics
from lowshot.server.pace import Computes
from lowshot.server.security import Access
from lowshot.server.services import Service
from lowshot.server.workers import WorkerPool

LEAST_TOKEN = 16
"""The least number of characters of a token."""


@dataclass(frozen=True)
class Settings:
    """How a recogniser is served.

    Attributes:
        recogniser (Path): The folder of the recogniser, or an exported ``.onnx`` file.
        host (str): The address to listen on.
        port (int): The port; 0 takes a free one.
        read_only (bool): True refuses every change.
        token_file (Path or None): The file with the token that requests need; its owner and group alone may read it.
        workers (int): The number of processes that compute; 1 computes in this process.
        names (sequence of str): Further names that clients call the server by.
        certificate (Path or None): The certificate (PEM), for https.
        key (Path or None): Its key.
        limits (Limits): The limits.
    """

    recogniser: Path
    host: str = "127.0.0.1"
    port: int = 8080
    read_only: bool = False
    token_file: Path | None = None
    workers: int = 1
    names: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    limits: Limits = field(default_factory=Limits)


def serve(settings: Settings, announce: Callable[[str], None] = print) -> None:
    """Serve a recogniser until the program is asked to end; changes that were begun are finished then.

    Args:
        settings (Settings): What to serve, and where.
        announce (callable): The function that is called once the server listens, with the addresses that can be opened.

    Raises:
        InputError: The recogniser, the token file, the certificate or the address cannot be used.
    """
    token = None if settings.token_file is None else read_token(settings.token_file)
    if token is None and settings.host not in LOOPBACK:
        raise InputError(
            f"--host {settings.host} lets other machines in: give a token as well, so that not everybody can use "
            "the recogniser: (umask 077; openssl rand -hex 24 > token.txt), then --token-file token.txt"
        )
    if (settings.certificate is None) != (settings.key is None):
        raise InputError("--certificate and --key go together: give both for https, or neither")
    for what, path in (("certificate", settings.certificate), ("key", settings.key)):
        if path is not None and not is_file(path):
            raise InputError(f"{what} {path} is not there")
    _raise_file_limit()
    # They would report the damage in every client's photos and bodies to standard error.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="PIL")
    with _listening(settings.host, settings.port) as listener:
        metrics = Metrics()
        service = build_service(settings, metrics)
        access = Access([*names_of_host(settings.host), *settings.names], token)
        app = build_app(service, settings.limits, access, metrics)
        scheme = "http" if settings.certificate is None else "https"
        address, *others = openable(scheme, settings.host, listener.getsockname()[1])
        if others:
            address += f" and, from other machines, at {' or '.join(others)}"
        config = uvicorn.Config(
            app,
            http=timed_connections(settings.limits),
            ws="none",
            loop="asyncio",
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=2**16,
            timeout_graceful_shutdown=60,
            backlog=1024,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
        )
        try:
            config.load()
        except OSError as error:
            raise InputError(f"certificate {settings.certificate} and key {settings.key} do not fit: {error}") from None
        _Server(config, lambda: announce(address)).run(sockets=[listener])


def build_service(settings: Settings, metrics: Metrics) -> Service:
    """Open the recogniser that is to be served.

    Raises:
        InputError: There is none, or it is damaged.
    """
    path = resolved(settings.recogniser)
    limits = settings.limits
    if path.suffix.lower() == ".onnx" and not is_folder(path):
        from lowshot.recogniser.onnx_model import OnnxRecogniser
        from lowshot.server.computing import OnnxComputation
        from lowshot.server.exported import OnnxService

        opened = OnnxRecogniser(path)
        return OnnxService(opened, _computes(settings, metrics, lambda: OnnxComputation(opened, limits.pixels)), limits)
    from lowshot.recogniser.folder import read_state
    from lowshot.server.service import FolderService

    read_state(path)  # before the network is loaded, which takes seconds
    computes = _computes(settings, metrics, lambda: computation_of(path, limits.pixels))
    return FolderService(path, computes, limits, settings.read_only)


def _computes(settings: Settings, metrics: Metrics, make: Callable[[], Computation]) -> Computes:
    if settings.workers == 1:
        return Batcher(make(), metrics.batches.observe)
    path = resolved(settings.recogniser)
    return WorkerPool(
        settings.workers,
        partial(computation_of, path, settings.limits.pixels),
        metrics.batches.observe,
        settings.limits.answer_seconds,
    )


def read_token(path: Path) -> str:
    """Read the token of a server.

    Raises:
        InputError: The file is missing, can be read by other users, or its token is too short to be safe.
    """
    text = read_text(path, "token file").strip()
    if stat.S_IMODE(os.stat(path).st_mode) & stat.S_IRWXO:
        raise InputError(f"token file {path} can be read by other users of this machine: chmod 600 {path}")
    if len(text) < LEAST_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise InputError(
            f"token file {path} needs one line of {LEAST_TOKEN} characters or more, letters and digits: "
            f"openssl rand -hex 24 > {path}"
        )
    return text


class _Server(uvicorn.Server):
    """A server of uvicorn that ends by SIGINT or SIGTERM with success."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(number: int, frame: FrameType | None) -> None:
            self.force_exit = self.should_exit and number == signal.SIGINT
            self.should_exit = True

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError, OverflowError) as error:
        raise InputError(f"--host {host} is no address of this machine: {error}") from None
    # asyncio sends small pieces at once (TCP_NODELAY) where the protocol is stated; otherwise answers take 40 ms more.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
        except OSError as error:
            raise InputError(
                f"port {port} of {host} cannot be used ({(error.strerror or str(error)).lower()}): end the program "
                "that has it, or give another with --port"
            ) from None
        listener.listen(1024)
        yield listener


def _raise_file_limit() -> None:
    """Each connection takes a file handle; the soft limit is often 1024."""
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 8192 if most == resource.RLIM_INFINITY else min(most, 8192)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
