"""The addresses by which a server can be opened, and the names that it is called by."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def names_of_host(host: str) -> list[str]:
    """The names that clients may call a server by which listens on an address.

    Args:
        host (str): The address. Where it lets other machines in, the names of this machine are names as well.
    """
    if host in LOOPBACK:
        return [host]
    own = [socket.gethostname(), socket.getfqdn()]
    return list(dict.fromkeys(name for name in (host, *own) if name))


def openable(scheme: str, host: str, port: int) -> list[str]:
    """The addresses that a browser can open.

    Args:
        scheme (str): ``http`` or ``https``.
        host (str): The address that the server listens on; an unspecified one stands for all of this machine.
        port (int): The port.

    Returns:
        One address; or those with ``localhost``, the name of the machine, and its address in the network if it has one.
    """
    found = [host]
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            found = ["localhost", socket.gethostname(), *_in_the_network()]
    shown = [f"[{one}]" if ":" in one else one for one in dict.fromkeys(found)]
    return [f"{scheme}://{one}:{port}/" for one in shown]


def _in_the_network() -> list[str]:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # chooses the network card; nothing is sent
        return [probe.getsockname()[0]]
    return []
