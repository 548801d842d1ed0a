"""The EIP-712 messages that the contracts check, and the digests that get signed.

One table, `STRUCTS`, says what every message looks like; it must equal the type strings of `IPoints` and `IExchange`.
Every field is a static word, so a digest is one concatenation and two hashes: no general encoder is needed, and the
tests prove that the digests equal eth-account's. Pure: no keys, no I/O. Addresses and hashes are raw bytes (20 and 32);
a value that does not fit its field raises `OverflowError` or `ValueError`, it is never truncated.
"""

from __future__ import annotations

from typing import Any

from eth_hash.backends.pysha3 import keccak256 as keccak
from eth_utils.address import to_checksum_address

NAME = "points-exchange"
VERSION = "1"

STRUCTS: dict[str, tuple[tuple[str, str], ...]] = {
    "Mint": (("uint32", "batch"), ("bytes32", "receiptsRoot"), ("bytes32", "entriesHash")),
    "Receipt": (
        ("address", "holder"),
        ("uint96", "amount"),
        ("bytes32", "purchase"),
        ("uint40", "acceptedAt"),
        ("uint40", "mintBy"),
    ),
    "Send": (
        ("address", "holder"),
        ("address", "to"),
        ("uint96", "amount"),
        ("uint40", "nonce"),
        ("uint40", "deadline"),
    ),
    "Redeem": (
        ("address", "holder"),
        ("uint96", "amount"),
        ("bytes32", "order"),
        ("uint40", "nonce"),
        ("uint40", "deadline"),
    ),
    "Swap": (
        ("address", "holder"),
        ("uint96", "amount"),
        ("address", "into"),
        ("uint96", "minimum"),
        ("uint40", "nonce"),
        ("uint40", "deadline"),
    ),
    "Give": (
        ("address", "holder"),
        ("uint96", "amount"),
        ("address", "charity"),
        ("uint32", "campaign"),
        ("uint40", "nonce"),
        ("uint40", "deadline"),
    ),
    "Cancel": (("address", "holder"), ("uint40", "nonce"), ("uint40", "deadline")),
    "Clawback": (("uint32", "batch"), ("uint32", "index"), ("bytes32", "purchase"), ("uint96", "taken")),
    "Limits": (
        ("uint96", "supplyCap"),
        ("uint96", "entryCap"),
        ("uint96", "bucket"),
        ("uint96", "refill"),
        ("uint40", "nonce"),
        ("uint40", "deadline"),
    ),
    "Life": (("uint16", "life"), ("uint40", "nonce"), ("uint40", "deadline")),
    "Recover": (("address", "holder"), ("address", "to"), ("uint40", "nonce"), ("uint40", "deadline")),
    "Quote": (
        ("address", "programme"),
        ("uint64", "bid"),
        ("uint64", "ask"),
        ("uint40", "until"),
        ("uint88", "cap"),
        ("uint64", "nonce"),
    ),
    "Partner": (("address", "programme"), ("address", "partner"), ("bool", "allowed"), ("uint64", "nonce")),
    "Withdraw": (("address", "account"), ("address", "to"), ("uint96", "amount"), ("uint64", "nonce")),
    "Payout": (("address", "charity"), ("address", "payout"), ("uint64", "nonce")),
    "Match": (
        ("address", "sponsor"),
        ("uint32", "campaign"),
        ("uint32", "ratio"),
        ("uint96", "pool"),
        ("uint40", "until"),
        ("uint64", "nonce"),
    ),
}

_DOMAIN = (("string", "name"), ("string", "version"), ("uint256", "chainId"), ("address", "verifyingContract"))


def type_string(kind: str) -> str:
    """The EIP-712 type of `kind`, as the contracts spell it."""
    return f"{kind}({','.join(f'{type_} {name}' for type_, name in STRUCTS[kind])})"


_TYPE_HASH = {kind: keccak(type_string(kind).encode()) for kind in STRUCTS}
_DOMAIN_HEAD = b"".join(
    (
        keccak(f"EIP712Domain({','.join(f'{type_} {name}' for type_, name in _DOMAIN)})".encode()),
        keccak(NAME.encode()),
        keccak(VERSION.encode()),
    )
)


def _uint(value: int, bits: int) -> bytes:
    return value.to_bytes(bits // 8, "big").rjust(32, b"\0")


def _address(value: bytes) -> bytes:
    if len(value) != 20:
        raise ValueError(f"an address has 20 bytes, not {len(value)}")
    return b"\0\0\0\0\0\0\0\0\0\0\0\0" + value


def _bytes32(value: bytes) -> bytes:
    if len(value) != 32:
        raise ValueError(f"a bytes32 has 32 bytes, not {len(value)}")
    return value


def digest(separator: bytes, struct: bytes) -> bytes:
    """What is signed, of a struct's hash."""
    return keccak(b"\x19\x01" + _bytes32(separator) + _bytes32(struct))


def _digest(separator: bytes, kind: str, *words: bytes) -> bytes:
    return digest(separator, keccak(_TYPE_HASH[kind] + b"".join(words)))


def domain_separator(chain_id: int, contract: bytes) -> bytes:
    """The domain of one contract on one chain; constant, so compute it once and keep it."""
    return keccak(_DOMAIN_HEAD + _uint(chain_id, 256) + _address(contract))


def mint_digest(separator: bytes, *, batch: int, receipts_root: bytes, entries_hash: bytes) -> bytes:
    return _digest(separator, "Mint", _uint(batch, 32), _bytes32(receipts_root), _bytes32(entries_hash))


def receipt_digest(
    separator: bytes, *, holder: bytes, amount: int, purchase: bytes, accepted_at: int, mint_by: int
) -> bytes:
    struct = receipt_hash(holder=holder, amount=amount, purchase=purchase, accepted_at=accepted_at, mint_by=mint_by)
    return digest(separator, struct)


def receipt_hash(*, holder: bytes, amount: int, purchase: bytes, accepted_at: int, mint_by: int) -> bytes:
    """The struct's hash, a leaf where one signature is for many receipts (`contracts/receipt_tree.py`)."""
    words = (
        _TYPE_HASH["Receipt"],
        _address(holder),
        _uint(amount, 96),
        _bytes32(purchase),
        _uint(accepted_at, 40),
        _uint(mint_by, 40),
    )
    return keccak(b"".join(words))


def send_digest(separator: bytes, *, holder: bytes, to: bytes, amount: int, nonce: int, deadline: int) -> bytes:
    return _digest(
        separator, "Send", _address(holder), _address(to), _uint(amount, 96), _uint(nonce, 40), _uint(deadline, 40)
    )


def redeem_digest(separator: bytes, *, holder: bytes, amount: int, order: bytes, nonce: int, deadline: int) -> bytes:
    return _digest(
        separator, "Redeem", _address(holder), _uint(amount, 96), _bytes32(order), _uint(nonce, 40), _uint(deadline, 40)
    )


def swap_digest(
    separator: bytes, *, holder: bytes, amount: int, into: bytes, minimum: int, nonce: int, deadline: int
) -> bytes:
    return _digest(
        separator,
        "Swap",
        _address(holder),
        _uint(amount, 96),
        _address(into),
        _uint(minimum, 96),
        _uint(nonce, 40),
        _uint(deadline, 40),
    )


def give_digest(
    separator: bytes, *, holder: bytes, amount: int, charity: bytes, campaign: int, nonce: int, deadline: int
) -> bytes:
    return _digest(
        separator,
        "Give",
        _address(holder),
        _uint(amount, 96),
        _address(charity),
        _uint(campaign, 32),
        _uint(nonce, 40),
        _uint(deadline, 40),
    )


def cancel_digest(separator: bytes, *, holder: bytes, nonce: int, deadline: int) -> bytes:
    return _digest(separator, "Cancel", _address(holder), _uint(nonce, 40), _uint(deadline, 40))


def clawback_digest(separator: bytes, *, batch: int, index: int, purchase: bytes, taken: int) -> bytes:
    return _digest(separator, "Clawback", _uint(batch, 32), _uint(index, 32), _bytes32(purchase), _uint(taken, 96))


def limits_digest(
    separator: bytes, *, supply_cap: int, entry_cap: int, bucket: int, refill: int, nonce: int, deadline: int
) -> bytes:
    bounds = (_uint(bound, 96) for bound in (supply_cap, entry_cap, bucket, refill))
    return _digest(separator, "Limits", *bounds, _uint(nonce, 40), _uint(deadline, 40))


def life_digest(separator: bytes, *, life: int, nonce: int, deadline: int) -> bytes:
    return _digest(separator, "Life", _uint(life, 16), _uint(nonce, 40), _uint(deadline, 40))


def recover_digest(separator: bytes, *, holder: bytes, to: bytes, nonce: int, deadline: int) -> bytes:
    return _digest(separator, "Recover", _address(holder), _address(to), _uint(nonce, 40), _uint(deadline, 40))


def quote_digest(separator: bytes, *, programme: bytes, bid: int, ask: int, until: int, cap: int, nonce: int) -> bytes:
    return _digest(
        separator,
        "Quote",
        _address(programme),
        _uint(bid, 64),
        _uint(ask, 64),
        _uint(until, 40),
        _uint(cap, 88),
        _uint(nonce, 64),
    )


def partner_digest(separator: bytes, *, programme: bytes, partner: bytes, allowed: bool, nonce: int) -> bytes:
    return _digest(
        separator, "Partner", _address(programme), _address(partner), _uint(int(allowed), 8), _uint(nonce, 64)
    )


def withdraw_digest(separator: bytes, *, account: bytes, to: bytes, amount: int, nonce: int) -> bytes:
    return _digest(separator, "Withdraw", _address(account), _address(to), _uint(amount, 96), _uint(nonce, 64))


def payout_digest(separator: bytes, *, charity: bytes, payout: bytes, nonce: int) -> bytes:
    return _digest(separator, "Payout", _address(charity), _address(payout), _uint(nonce, 64))


def match_digest(
    separator: bytes, *, sponsor: bytes, campaign: int, ratio: int, pool: int, until: int, nonce: int
) -> bytes:
    return _digest(
        separator,
        "Match",
        _address(sponsor),
        _uint(campaign, 32),
        _uint(ratio, 32),
        _uint(pool, 96),
        _uint(until, 40),
        _uint(nonce, 64),
    )


def typed_data(kind: str, *, chain_id: int, contract: bytes, message: dict[str, Any]) -> dict[str, Any]:
    """The whole document for a wallet's `eth_signTypedData_v4`, ready for JSON.

    `message` has the struct's fields, in snake_case or as the struct spells them. Integers become decimal strings:
    a uint96 does not survive a JSON number in a browser.
    """
    given = {_camel(name): value for name, value in message.items()}
    wanted = [name for _, name in STRUCTS[kind]]
    if sorted(given) != sorted(wanted):
        raise ValueError(f"{kind} has the fields {', '.join(wanted)}, not {', '.join(given)}")
    return {
        "types": {
            "EIP712Domain": [{"name": name, "type": type_} for type_, name in _DOMAIN],
            kind: [{"name": name, "type": type_} for type_, name in STRUCTS[kind]],
        },
        "primaryType": kind,
        "domain": {
            "name": NAME,
            "version": VERSION,
            "chainId": chain_id,
            "verifyingContract": to_checksum_address(contract),
        },
        "message": {name: _plain(type_, given[name]) for type_, name in STRUCTS[kind]},
    }


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _plain(type_: str, value: Any) -> Any:
    if type_ == "address":
        return to_checksum_address(value)
    if type_ == "bool":
        return bool(value)
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
