"""What can go wrong between us and a node: one tree, and the one table that maps nodes' sentences to it.

Nodes agree on few codes and on no wording, so a refusal is recognised by phrases of its lower-cased message, as anvil,
geth, nethermind and besu write them. A phrase is added here and nowhere else; nothing outside this module may look at
a node's message. `Unavailable` says nothing about whether a request took effect: a transaction that met it was
*perhaps* sent.
"""

from __future__ import annotations


class ChainError(Exception):
    """Anything that a node did, or failed to do."""


class Unavailable(ChainError):
    """No usable answer: connection refused or lost, time-out, HTTP error, or bytes that are not JSON-RPC."""


class Throttled(Unavailable):
    """HTTP 429, or 503 with a date: the node says when it may be asked again, in `seconds`; None if it does not."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Malformed(Unavailable, ValueError):
    """An answer that is JSON-RPC and yet not of the method's shape: null for a number, a number for bytes."""


class NodeError(ChainError):
    """The node answered with a JSON-RPC error. `data` is its decoded hex data, empty when there was none."""

    def __init__(self, code: int, message: str, data: bytes = b"") -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
        self.message = message
        self.data = data


class NonceTooLow(NodeError):
    """The sender's nonce on the chain is already past this transaction's: it, or another one, was included."""


class NonceTooHigh(NodeError):
    """The nonce leaves a gap that the node will not queue."""


class AlreadyKnown(NodeError):
    """These very bytes are in the node's pool: as good as accepted."""


class Underpriced(NodeError):
    """The fee is below the base fee, the pool's floor, or what replacing the pooled transaction takes."""


class InsufficientFunds(NodeError):
    """The sender cannot pay value plus gas limit times maximal fee."""


class PoolFull(NodeError):
    """The node's pool takes no more transactions, in all or of this sender."""


class GasOutOfBounds(NodeError):
    """The gas limit is below the intrinsic cost, or above what a block or the node allows."""


class Reverted(NodeError):
    """A simulated call reverted; `data` is the contract's error, if the node passed it on."""


class RangeTooLarge(NodeError):
    """A log query spans more blocks, results or time than the node grants: ask for less."""


class UnknownBlock(NodeError):
    """The node does not have this block, or no longer has the state after it."""


class RateLimited(NodeError):
    """Too many requests: wait."""


class UnknownMethod(NodeError):
    """The node does not offer this method."""


_PHRASES: tuple[tuple[type[NodeError], tuple[str, ...]], ...] = (
    # The first kind with a phrase in the message wins: "execution reverted: nonce too low" is a revert.
    (Reverted, ("execution reverted", "vm execution error", "revert opcode", "transaction reverted", "custom error")),
    (AlreadyKnown, ("already known", "alreadyknown", "already imported", "known transaction")),
    (NonceTooLow, ("nonce too low", "oldnonce", "nonce is too low", "nonce has already been used")),
    (NonceTooHigh, ("nonce too high", "noncegap", "nonce gap", "nonce too distant", "nonce too far")),
    (
        Underpriced,
        (
            "underpriced",
            "replacementnotallowed",
            "feetoolow",
            "fee too low",
            "less than block base fee",
            "below current base fee",
            "gas price below",
            "gas price too low",
            "tip cap below",
        ),
    ),
    (
        InsufficientFunds,
        ("insufficient funds", "insufficientfunds", "upfront cost exceeds", "insufficient balance", "funds for gas"),
    ),
    (
        PoolFull,
        ("txpool is full", "pool is full", "account limit exceeded", "senderlimit", "exceeds the pool's capacity"),
    ),
    (
        RangeTooLarge,
        (
            "block range",
            "range limit",
            "range is too large",
            "maximum range",
            "query returned more than",
            "more than 10000 results",
            "too many results",
            "query timeout",
            "request was canceled due to",
            "response size",
            "response is too big",
            "exceeds max results",
        ),
    ),
    (
        GasOutOfBounds,
        ("intrinsic gas", "exceeds block gas limit", "gaslimitexceeded", "gas limit too", "gas required exceeds"),
    ),
    (
        UnknownBlock,
        (
            "blockoutofrange",
            "unknown block",
            "block not found",
            "header not found",
            "missing trie node",
            "state not available",
            "historical state",
        ),
    ),
    (RateLimited, ("rate limit", "too many requests", "request limit")),
    (
        UnknownMethod,
        ("method not found", "does not exist/is not available", "unsupported method", "method not enabled"),
    ),
)

_CODES: dict[int, type[NodeError]] = {3: Reverted, -32601: UnknownMethod, -32005: RateLimited}
"""Codes that mean the same everywhere; consulted after the phrases, which know more."""


def classify(code: int, message: str, data: object = None) -> NodeError:
    """The error that a JSON-RPC error object stands for; plain `NodeError` when no phrase and no code is known."""
    text = message.lower()
    raw = _data(data)
    for kind, phrases in _PHRASES:
        if any(phrase in text for phrase in phrases):
            return kind(code, message, raw)
    return _CODES.get(code, NodeError)(code, message, raw)


def _data(data: object) -> bytes:
    """The hex in an error's `data`: bare, after a word ("Reverted 0x..."), or nested as `{"data": ...}`."""
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str):
        return b""
    _, found, digits = data.partition("0x")
    try:
        return bytes.fromhex(digits) if found else b""
    except ValueError:
        return b""
