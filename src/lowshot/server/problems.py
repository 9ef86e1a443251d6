"""Errors as RFC 9457 has them: ``application/problem+json``, with the name of the photo that they are about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lowshot.errors import InputError
from lowshot.escaping import printable

MEDIA_TYPE = "application/problem+json"


class FileError(BaseModel):
    """A photo that cannot be used, and why."""

    file: str
    detail: str


class ProblemBody(BaseModel):
    """What went wrong.

    Attributes:
        type (str): ``about:blank``: the status says what kind of problem it is.
        title (str): The words for the status.
        status (int): The status.
        detail (str): What is wrong, and what to do.
        file (str or None): The photo that it is about.
        errors (list of FileError or None): The photos that it is about, where there are several.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    file: str | None = None
    errors: list[FileError] | None = None


class Problem(HTTPException):
    """An error that a client is told.

    Args:
        status (int): The status.
        detail (str): What is wrong, and what to do.
        file (str, optional): The photo that it is about.
        errors (sequence of (str, str), optional): Photos and what is wrong with them.
        headers (mapping, optional): Further headers.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        file: str | None = None,
        errors: Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.body = ProblemBody(
            title=HTTPStatus(status).phrase,
            status=status,
            detail=printable(detail),
            file=None if file is None else printable(file),
            errors=None if errors is None else [FileError(file=printable(f), detail=printable(d)) for f, d in errors],
        )

    def as_dict(self) -> dict[str, Any]:
        """The body as JSON has it."""
        return self.body.model_dump(exclude_none=True)

    def response(self) -> Response:
        """The response."""
        content = json.dumps(self.as_dict(), ensure_ascii=True).encode()
        return Response(content, self.status_code, self.headers, MEDIA_TYPE)


def busy(detail: str) -> Problem:
    """The problem that waiting solves."""
    return Problem(503, f"{detail}: ask again in a moment", headers={"Retry-After": "2"})


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem."""

    async def of_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = {
            404: "there is nothing at this address; /docs lists the addresses of this server",
            405: f"this address knows no {request.method}; /docs lists what it knows",
        }.get(error.status_code, str(error.detail))
        return Problem(error.status_code, detail, headers=error.headers).response()

    async def of_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        return Problem(422, f"{where}: {first['msg']}; /docs says what is expected").response()

    async def of_input(request: Request, error: Exception) -> Response:
        return Problem(422, str(error)).response()

    async def of_failure(request: Request, error: Exception) -> Response:
        return Problem(500, "the server failed; its standard error says why").response()

    async def of_leaving(request: Request, error: Exception) -> Response:
        return Problem(400, "the body ended early").response()

    app.add_exception_handler(ClientDisconnect, of_leaving)
    app.add_exception_handler(Exception, of_failure)
    app.add_exception_handler(Problem, of_problem)
    app.add_exception_handler(InputError, of_input)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
