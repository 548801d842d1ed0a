"""Sign-In with Ethereum (EIP-4361): the message that a wallet signs, read strictly. Pure.

The grammar is the standard's, in ASCII, and nothing that merely resembles it passes: what a person was shown by the
wallet is what is checked here, to the last byte. (The library of this name wants an older eth-account than ours.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from eth_hash.backends.pysha3 import keccak256 as keccak

from exchange.errors import InvalidAddress, SignInRefused
from exchange.hexes import address, checksum
from exchange.times import rfc3339

LONGEST: Final = 2_000
SKEW: Final = 30
"""Seconds that a wallet's clock may be ahead of ours."""

_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
_URI: Final = r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~%]*"
_MESSAGE: Final = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<domain>[A-Za-z0-9.:\[\]_~%-]+)"
    r" wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9a-fA-F]{40})\n\n"
    r"(?:(?P<statement>[ !#-;=?-\[\]_a-z~]+)\n)?\n"
    rf"URI: (?P<uri>{_URI})\n"
    r"Version: (?P<version>1)\n"
    r"Chain ID: (?P<chain_id>[0-9]{1,18})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,64})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expiration>{_TIME}))?"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?"
    r"(?:\nRequest ID: [!#-;=?-\[\]_a-z~%]*)?"
    rf"(?:\nResources:(?:\n- {_URI})*)?"
)
STATEMENT: Final = "Sign in to see your points. This moves nothing and costs nothing."


@dataclass(frozen=True, slots=True)
class Expected:
    """By whom it is to be read. `origin` is a scheme, a host and perhaps a port; `now` is Unix seconds."""

    origin: str
    chain_id: int
    now: float
    life: int  # of the challenge, in seconds


@dataclass(frozen=True, slots=True)
class Message:
    account: bytes
    nonce: str


def written(*, origin: str, account: bytes, chain_id: int, nonce: str, now: int, until: int) -> str:
    """The message for `account`; times are Unix seconds."""
    return (
        f"{urlsplit(origin).netloc} wants you to sign in with your Ethereum account:\n{checksum(account)}\n\n"
        f"{STATEMENT}\n\n"
        f"URI: {origin}\nVersion: 1\nChain ID: {chain_id}\nNonce: {nonce}\n"
        f"Issued At: {rfc3339(now)}\nExpiration Time: {rfc3339(until)}"
    )


def read(text: str, expected: Expected) -> Message:
    """What is signed, if it is for us and in force. Raises `SignInRefused`, which says what is wrong."""
    found = _MESSAGE.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise SignInRefused("The message is not one of EIP-4361, version 1.")
    parts = urlsplit(expected.origin)
    if found["domain"] != parts.netloc or found["scheme"] not in (None, parts.scheme):
        raise SignInRefused(f"The message is for {found['domain']}, and this is {parts.netloc}.")
    uri = found["uri"]
    if uri != expected.origin and not uri.startswith((f"{expected.origin}/", f"{expected.origin}?")):
        raise SignInRefused(f"The message's URI is not of {expected.origin}.")
    if found["chain_id"] != str(expected.chain_id):
        raise SignInRefused(f"The message is for chain {found['chain_id']}, and this is chain {expected.chain_id}.")
    issued = _seconds(found["issued_at"])
    if issued > expected.now + SKEW:
        raise SignInRefused("The message is of the future: check the wallet's clock.")
    if issued < expected.now - expected.life - SKEW:
        raise SignInRefused("The message is too old.")
    if found["expiration"] is not None and _seconds(found["expiration"]) <= expected.now:
        raise SignInRefused("The message has expired.")
    if found["not_before"] is not None and _seconds(found["not_before"]) > expected.now:
        raise SignInRefused("The message is not in force yet.")
    try:
        account = address(found["address"], name="address")
    except InvalidAddress as error:
        raise SignInRefused(error.detail) from error
    if found["address"] != checksum(account):
        raise SignInRefused("The message's address has no EIP-55 checksum.")
    return Message(account, found["nonce"])


def digest(text: str) -> bytes:
    """What a wallet signs of it (EIP-191, version 0x45)."""
    data = text.encode()
    return bytes(keccak(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data))


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise SignInRefused(f"{text} is no time.") from error
