"""The addresses that requests come from, as far as limits tell them apart."""

from __future__ import annotations

import ipaddress


def peer_of(address: str | None) -> str | None:
    """The name under which the use of an address is counted.

    An IPv6 network of 64 bits counts as one, since whoever has one has all of its addresses.

    Args:
        address (str or None): The address; None for a socket that has none.

    Returns:
        None for loopback, where all clients of a proxy have the same address, and for no address.
    """
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return None if found.is_loopback else str(ipaddress.ip_network((found, 64), strict=False))
        found = found.ipv4_mapped
    return None if found.is_loopback else str(found)
