"""What a server admits: sizes, numbers and times."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 10**6


@dataclass(frozen=True)
class Limits:
    """The limits of a server. A request beyond one gets a 4xx status, or 503 where waiting helps.

    Attributes:
        body_bytes (int): The largest body of a request with photos.
        all_bodies_bytes (int): The largest size of all bodies together that have not been answered yet.
        peer_bodies_bytes (int): The same for one address; loopback, where a proxy may be, has no share of its own.
        json_bytes (int): The largest body of a request without photos.
        login_bytes (int): The largest body of POST /login, which everybody may send.
        files (int): The largest number of photos in a request.
        pixels (int): The largest photo; its header tells before any pixel is decoded.
        header_seconds (float): The time for the head of a request to arrive.
        pause_seconds (float): The longest time for ``pause_bytes`` of a body to arrive, or for its end.
        pause_bytes (int): See ``pause_seconds``.
        body_seconds (float): The time for a body to arrive.
        send_seconds (float): The longest time for a client to take ``send_bytes`` of an answer, or its end.
        send_bytes (int): See ``send_seconds``.
        answer_seconds (float): The time for a photo to be seen by the network.
        requests (int): The largest number of requests with photos that are answered or wait at a time.
        changes (int): The largest number of changes that wait at a time.
        connections (int): The largest number of connections.
        peer_connections (int): The same for one address; loopback, where a proxy may be, has no share of its own.
        photos_ahead (int): The number of photos of one question that are with the network at a time.
        taught_ahead (int): The same for photos to teach; fewer, so that questions do not wait long behind them.
    """

    body_bytes: int = 100 * MEGABYTE
    all_bodies_bytes: int = 400 * MEGABYTE
    peer_bodies_bytes: int = 200 * MEGABYTE
    json_bytes: int = 16_000
    login_bytes: int = 4_000
    files: int = 500
    pixels: int = 60 * MEGABYTE
    header_seconds: float = 15.0
    pause_seconds: float = 15.0
    pause_bytes: int = 64_000
    body_seconds: float = 300.0
    send_seconds: float = 60.0
    send_bytes: int = 64_000
    answer_seconds: float = 60.0
    requests: int = 256
    changes: int = 16
    connections: int = 1000
    peer_connections: int = 64
    photos_ahead: int = 32
    taught_ahead: int = 8
