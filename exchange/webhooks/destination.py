"""Where a webhook may go: to public addresses, and nowhere inside.

A name is resolved once, by the connection itself, and every socket is checked at the very address that it is about to
connect to: a name that resolves to another address a moment later, an address written in an unusual way, or a public
name for an internal address all meet the same check. Redirects are not followed, proxies are not asked. In development
this machine's own receivers may be allowed.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final
from urllib.parse import urlsplit

from exchange.errors import WebhookAddressRefused, WebhookUrlRefused

LONGEST_URL: Final = 2_000

_UNICAST_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC: Final = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv6Network("2002::/16"),  # 6to4: carries any IPv4 address
    IPv6Network("2001::/23"),  # protocol assignments, tunnels among them
)


class Internal(OSError):
    """When a connection would go to an address that is not public."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is a unicast address of the public internet that does not stand for another one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _UNICAST_6:
            return False
    if address.is_multicast or any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global


def may_connect(text: str, *, loopback: bool) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    return is_public(address) or (loopback and address.is_loopback)


def guarded(*, loopback: bool) -> Callable[[Any], socket.socket]:
    """Makes sockets, for connections that are allowed."""

    def make(where: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = where
        if not may_connect(str(address[0]), loopback=loopback):
            raise Internal(f"{address[0]} is not a public address")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def checked(url: str, *, development: bool, loopback: bool) -> str:
    """The URL, if a webhook may be sent to it as far as can be told without resolving its name.

    Raises `WebhookUrlRefused`, `WebhookAddressRefused`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise WebhookUrlRefused(f"The URL cannot be read: {error}.", field="url") from error
    if len(url) > LONGEST_URL or not host or any(ord(letter) <= 32 or ord(letter) >= 127 for letter in url):
        raise WebhookUrlRefused(f"The URL has no host, is not ASCII, or is longer than {LONGEST_URL}.", field="url")
    if parts.scheme != "https" and not (development and parts.scheme == "http"):
        raise WebhookUrlRefused(f'The scheme is "{parts.scheme}"; it has to be https.', field="url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise WebhookUrlRefused("The URL has a user, a password or a fragment.", field="url")
    try:
        literal = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return url
    if not may_connect(str(literal), loopback=loopback):
        raise WebhookAddressRefused(f"{host} is not a public address.", field="url")
    return url
