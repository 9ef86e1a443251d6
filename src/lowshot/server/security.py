"""Who may ask: the Host and Origin of a request, the token, and the headers that keep browsers in bounds.

A page of another site must not use a browser as its way to this server. Its name could be made to lead here (DNS
rebinding), so the Host must be a name that this server is known by, or an address; and its scripts and forms could send
requests here (CSRF), so changing requests must come from a page of this server, or from no page at all.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lowshot.server.problems import Problem

_SAFE = ("GET", "HEAD", "OPTIONS")
_LOOPBACK_NAMES = ("localhost", "localhost.localdomain")
_OPEN_PATHS = ("/", "/login", "/logout", "/health", "/docs", "/openapi.json")
_OPEN_FOLDERS = ("/page/", "/docs/")

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: nothing inline, nothing from elsewhere."""

DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""That of /docs, whose program (Swagger UI) sets styles of elements."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Access:
    """The names of a server and its token.

    Args:
        hosts (iterable of str): The names that clients may call the server by, besides loopback and addresses.
        token (str, optional): The token that requests need; none lets everybody in who reaches the server.
    """

    def __init__(self, hosts: Iterable[str] = (), token: str | None = None) -> None:
        self.hosts = {host.lower().strip("[]") for host in (*_LOOPBACK_NAMES, *hosts)}
        self._token = None if token is None else token.encode()
        self.cookie = _digest(token, b"lowshot cookie")
        # Browsers share cookies between all ports of a host: servers with other tokens need other names.
        self.cookie_name = f"lowshot-{_digest(token, b'lowshot cookie name')[:8]}"

    @property
    def needs_token(self) -> bool:
        """True where requests need a token."""
        return self._token is not None

    def is_token(self, given: str) -> bool:
        """True for the token; the time that it takes tells nothing about it."""
        return self._token is None or hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def is_known(self, headers: Headers) -> bool:
        """True for a request with the token, or with the cookie that POST /login gave for it."""
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(given.strip())
        return any(
            hmac.compare_digest(value.encode(), self.cookie.encode()) for value in _cookies(headers, self.cookie_name)
        )

    def check(self, scope: Scope) -> None:
        """Check a request.

        Raises:
            Problem: The Host or Origin is another (403), or the token is missing or wrong (401).
        """
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            raise Problem(
                403, "this server is not called by this name: start it with --allow-host NAME where it should be"
            )
        self._check_origin(headers, method, hosts[0])
        if path in _OPEN_PATHS or (method in _SAFE and path.startswith(_OPEN_FOLDERS)):
            return
        if not self.is_known(headers):
            raise Problem(
                401,
                "a token is needed: send it as Authorization: Bearer TOKEN, or sign in on the page",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.rstrip(".") in self.hosts:
            return True
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
        return True

    def _check_origin(self, headers: Headers, method: str, host: str) -> None:
        site = headers.get("sec-fetch-site", "none")
        if method in _SAFE:
            if site in ("cross-site", "same-site") and headers.get("sec-fetch-mode", "") != "navigate":
                raise Problem(403, "another site's page asked for this: open this server's own page")
            return
        origin = headers.get("origin")
        if site not in ("same-origin", "none") or (origin is not None and not _is_same(origin, host)):
            raise Problem(403, "another site's page sent this request: use this server's own page")


class Guarded:
    """An application that is asked by those who may, and whose answers carry the headers.

    Args:
        app (ASGIApp): The application.
        access (Access): The names and the token.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = DOCS_POLICY if scope["path"].startswith("/docs") else POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                for name, value in _HEADERS.items():
                    headers[name] = value
                if "Cache-Control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            self._access.check(scope)
        except Problem as problem:
            await problem.response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _is_same(origin: str, host: str) -> bool:
    try:
        found, own = urlsplit(origin), urlsplit(f"//{host}")
        port = {"http": 80, "https": 443}.get(found.scheme)
        return port is not None and found.hostname == own.hostname and (found.port or port) == (own.port or port)
    except ValueError:
        return False


def _digest(token: str | None, purpose: bytes) -> str:
    return "" if token is None else hmac.digest(token.encode(), purpose, hashlib.sha256).hex()


def _cookies(headers: Headers, wanted: str) -> list[str]:
    found = []
    for header in headers.getlist("cookie"):
        try:
            parsed = SimpleCookie(header)
        except CookieError:
            continue
        found += [morsel.value for name, morsel in parsed.items() if name == wanted]
    return found
