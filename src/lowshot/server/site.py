"""The page, the documentation of the API, and signing in and out."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Request
from starlette.responses import Response

from lowshot.server.describing import fails
from lowshot.server.documentation import documentation_files
from lowshot.server.page import page_files
from lowshot.server.problems import Problem
from lowshot.server.schemas import Token
from lowshot.server.security import Access

router = APIRouter(tags=["page"])
_page, _documentation = cache(page_files), cache(documentation_files)


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """The page."""
    return _page().response(request, "index.html")


@router.get("/page/{name:path}", include_in_schema=False)
async def page_file(request: Request, name: str) -> Response:
    """A file of the page."""
    return _page().response(request, name)


@router.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> Response:
    """The description of the API for people."""
    return _documentation().response(request, "index.html")


@router.get("/docs/{name}", include_in_schema=False)
async def documentation_file(request: Request, name: str) -> Response:
    """A file of that description."""
    return _documentation().response(request, name)


@router.post("/login", status_code=204, response_class=Response, responses=fails(401, 403, 422))
async def login(request: Request, given: Token) -> Response:
    """Exchange the token for a cookie, which pictures on the page need; programs send the token as a header."""
    access: Access = request.app.state.access
    if not access.is_token(given.token):
        raise Problem(401, "this is not the token of the server")
    response = Response(status_code=204)
    if access.needs_token:
        secure = request.url.scheme == "https"
        response.set_cookie(
            access.cookie_name, access.cookie, httponly=True, samesite="strict", secure=secure, path="/"
        )
    return response


@router.post("/logout", status_code=204, response_class=Response, responses=fails(403))
async def logout(request: Request) -> Response:
    """Forget the cookie that signing in gave."""
    access: Access = request.app.state.access
    response = Response(status_code=204)
    secure = request.url.scheme == "https"
    response.delete_cookie(access.cookie_name, httponly=True, samesite="strict", secure=secure, path="/")
    return response
