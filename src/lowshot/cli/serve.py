"""``lowshot serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowshot.errors import InputError


def serve(
    recogniser: Annotated[Path, typer.Argument(metavar="RECOGNISER", help="Its folder, or an exported .onnx file.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs --token-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    read_only: Annotated[bool, typer.Option("--read-only", help="Answer, and refuse every change.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="File with the token that requests must carry; not readable by all."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="Processes that compute; 1 computes in this one.")
    ] = 1,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that clients call this server by."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="PEM", help="Certificate for https, with --key.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PEM", help="Key of the certificate.")] = None,
    max_body_mb: Annotated[
        int, typer.Option("--max-body-mb", min=1, help="Largest body of a request in megabytes.")
    ] = 100,
    max_files: Annotated[int, typer.Option("--max-files", min=1, help="Most photos in a request.")] = 500,
    max_megapixels: Annotated[
        int, typer.Option("--max-megapixels", min=1, max=89, help="Largest photo in megapixels.")
    ] = 60,
) -> None:
    """Serve a recogniser: a page for people, and an API for programs.

    The page says what photos show and why, and teaches classes from a few photos. Photos stay on this machine. The API
    is described at /docs. Ctrl-C ends the server; changes that were begun are finished. Examples:

      lowshot serve birds

      lowshot serve birds --read-only --port 8000

      lowshot serve birds.onnx

      lowshot serve birds --host 0.0.0.0 --token-file token.txt

      lowshot serve birds --host 0.0.0.0 --token-file token.txt --certificate cert.pem --key key.pem
    """
    try:
        import fastapi  # noqa: F401
        import fastapi_offline  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(f"lowshot serve needs further packages: pip install 'lowshot[serve]' ({error})") from None
    from lowshot.server.limits import MEGABYTE, Limits
    from lowshot.server.running import Settings
    from lowshot.server.running import serve as run

    body = max_body_mb * MEGABYTE
    limits = Limits(
        body_bytes=body,
        all_bodies_bytes=4 * body,
        peer_bodies_bytes=2 * body,
        files=max_files,
        pixels=max_megapixels * MEGABYTE,
    )
    settings = Settings(
        recogniser=recogniser,
        host=host,
        port=port,
        read_only=read_only,
        token_file=token_file,
        workers=workers,
        names=allow_host or (),
        certificate=certificate,
        key=key,
        limits=limits,
    )
    run(settings, lambda address: typer.echo(f"{recogniser} is served at {address} (Ctrl-C ends it)"))
