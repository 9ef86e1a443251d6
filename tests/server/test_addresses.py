"""Addresses that can be opened, and names of this machine."""

from __future__ import annotations

import socket

import pytest

from lowshot.server.addresses import names_of_host, openable


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mypc")
    monkeypatch.setattr(socket, "getfqdn", lambda: "mypc.example")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", ["http://127.0.0.1:80/"]),
        ("::1", ["http://[::1]:80/"]),
        ("192.0.2.5", ["http://192.0.2.5:80/"]),
        ("birds.example", ["http://birds.example:80/"]),
    ],
)
def test_one_address_is_told_as_it_is(host: str, expected: list[str]) -> None:
    assert openable("http", host, 80) == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_of_a_machine_are_told_as_some_that_can_be_opened(host: str) -> None:
    found = openable("https", host, 8443)
    assert found[:2] == ["https://localhost:8443/", "https://mypc:8443/"]
    assert len(found) <= 3
    assert not any("0.0.0.0" in one or "[::]" in one for one in found)


def test_a_server_that_others_reach_is_called_by_the_names_of_its_machine() -> None:
    assert names_of_host("0.0.0.0") == ["0.0.0.0", "mypc", "mypc.example"]
    assert names_of_host("127.0.0.1") == ["127.0.0.1"]  # others' pages could lead any name there
