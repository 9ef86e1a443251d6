"""Numbers for Prometheus, in its text format."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PHOTOS = (1, 2, 4, 8, 16, 32)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts of observations up to some bounds.

    Args:
        bounds (iterable of float): The bounds, rising.
    """

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str = "") -> list[str]:
        """The lines of the text format."""
        comma = "," if labels else ""
        bounds = [*map(str, self.bounds), "+Inf"]
        found = [
            f'{name}_bucket{{{labels}{comma}le="{bound}"}} {count}'
            for bound, count in zip(bounds, accumulate(self.counts))
        ]
        braces = f"{{{labels}}}" if labels else ""
        return [*found, f"{name}_sum{braces} {self.sum:.6f}", f"{name}_count{braces} {sum(self.counts)}"]


class Metrics:
    """What a server counts."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.batches = Histogram(PHOTOS)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self.requests[method, route, status] += 1
        self.seconds.setdefault(route, Histogram(SECONDS)).observe(seconds)

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """The text format, with gauges: name → help and value."""
        lines = ["# HELP lowshot_requests_total Requests that were answered.", "# TYPE lowshot_requests_total counter"]
        lines += [
            f'lowshot_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
            for (method, route, status), count in sorted(self.requests.items())
        ]
        lines += [
            "# HELP lowshot_request_seconds Seconds from the head of a request to the end of its answer.",
            "# TYPE lowshot_request_seconds histogram",
        ]
        for route, histogram in sorted(self.seconds.items()):
            lines += histogram.lines("lowshot_request_seconds", f'route="{route}"')
        lines += ["# HELP lowshot_batch_photos Photos per forward pass.", "# TYPE lowshot_batch_photos histogram"]
        lines += self.batches.lines("lowshot_batch_photos")
        for name, (text, value) in gauges.items():
            lines += [f"# HELP lowshot_{name} {text}", f"# TYPE lowshot_{name} gauge", f"lowshot_{name} {value:g}"]
        return "\n".join(lines) + "\n"


class Counted:
    """An application whose requests are counted by route and status.

    Args:
        app (ASGIApp): The application.
        metrics (Metrics): What counts.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # Only the routes of the API are names here: a client could invent paths and methods without end.
            route = getattr(scope.get("route"), "path", None) or "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.observe(method, route, status, time.perf_counter() - start)


_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS")


def resident_bytes() -> int:
    """The memory that this process has at present; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
