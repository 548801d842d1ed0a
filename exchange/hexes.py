"""Addresses and hashes at the edge: any-case hex comes in, EIP-55 addresses and lower-case hashes go out. Pure."""

from __future__ import annotations

import functools
import re
from typing import Final

from eth_hash.backends.pysha3 import keccak256 as keccak

from exchange.errors import InvalidAddress, InvalidRequest

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


def address(text: str, *, name: str) -> bytes:
    """20 bytes. Mixed case must be the EIP-55 checksum: that is what it is for. The zero address is nobody's."""
    if _ADDRESS.fullmatch(text) is None:
        raise InvalidAddress(f"{name} is not 0x and 40 hex digits.", field=name)
    digits = text[2:]
    value = bytes.fromhex(digits)
    if digits not in (digits.lower(), digits.upper()) and text != checksum(value):
        raise InvalidAddress(f"{name} fails its EIP-55 checksum: a digit is wrong or swapped.", field=name)
    if not any(value):
        raise InvalidAddress(f"{name} is the zero address, which nobody holds.", field=name)
    return value


def is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


def word(text: str, *, name: str, length: int = 32) -> bytes:
    """Exactly `length` bytes."""
    if _HEX.fullmatch(text) is None or len(text) != 2 + 2 * length:
        raise InvalidRequest(f"{name} is not 0x and {2 * length} hex digits.", field=name)
    return bytes.fromhex(text[2:])


@functools.lru_cache(maxsize=65_536)
def checksum(value: bytes) -> str:
    """EIP-55: a letter is a capital where the hash of the lower-case digits has 8 or more."""
    digits = value.hex()
    hashed = keccak(digits.encode()).hex()
    return "0x" + "".join(
        [digit.upper() if nibble > "7" else digit for digit, nibble in zip(digits, hashed, strict=False)]
    )


def hexed(value: bytes) -> str:
    return "0x" + value.hex()
