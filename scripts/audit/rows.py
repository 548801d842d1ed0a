"""What the SQL mirror has to contain: the rows of every table that follow from the chain's acts. Pure.

Derived from the acts alone, and from the meaning of the tables as the documentation gives it; no code is shared with
whoever fills them. `Table.digest` is the SHA-256 of the rows in the order of their key, each as PostgreSQL's own
`record_send` writes it: types, nulls and lengths are part of it, so no two different tables have the same one.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

from contracts import bindings
from scripts.audit.acts import NOBODY, Act
from scripts.audit.evidence import Block

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]

DEBTOR, CREDITOR, FEE = 0, 1, 2
"""Sides of an entry or a movement: whom it leaves, whom it reaches, who gets the fee."""


class Table(NamedTuple):
    """One table of schema `mirror`. `block` is the column that says in which block a row belongs."""

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    block: str = "block"

    def key_of(self, row: Row) -> Row:
        return itemgetter(*self._places)(row) if len(self.key) > 1 else (row[self._places[0]],)

    @property
    def _places(self) -> list[int]:
        names = list(self.columns)
        return [names.index(name) for name in self.key]

    def digest(self, rows: Sequence[Row]) -> bytes:
        """Of rows in the order of their key. Columns are written one after the other, which takes half the time."""
        columns = zip(*rows, strict=True)
        written = [
            map(_WRITERS[type_], column) for type_, column in zip(self.columns.values(), columns, strict=bool(rows))
        ]
        head = struct.pack(">i", len(self.columns))
        return hashlib.sha256(b"".join(chain.from_iterable(zip([head] * len(rows), *written, strict=True)))).digest()

    def sorted(self, rows: Iterable[Row]) -> list[Row]:
        return sorted(rows, key=itemgetter(*self._places))


def _placed(name: str, /, **columns: str) -> Table:
    """One row a log."""
    return Table(name, ("block", "log_index"), {"block": "int8", "log_index": "int4", **columns})


def _sided(name: str, /, **columns: str) -> Table:
    """Up to three rows a log."""
    placed = {"block": "int8", "log_index": "int4", "side": "int2"}
    return Table(name, tuple(placed), {**placed, **columns})


TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table("block", ("number",), {"number": "int8", "hash": "bytea", "parent": "bytea", "time": "int8"}, "number"),
        Table("transaction", ("block", "index"), {"block": "int8", "index": "int4", "hash": "bytea"}),
        _placed("programme", address="bytea", owner="bytea", issuer="bytea", name="text", symbol="text"),
        Table(
            "batch",
            ("programme", "number"),
            {
                "programme": "bytea", "number": "int8", "block": "int8", "log_index": "int4",
                "transaction_index": "int4", "receipts_root": "bytea", "entries_hash": "bytea", "total": "numeric",
                "count": "int4",
            },
        ),
        _sided(
            "entry", transaction_index="int4", programme="bytea", holder="bytea", delta="numeric", kind="text",
            counterparty="bytea", intent="bytea",
        ),
        _placed("redemption", intent="bytea", programme="bytea", holder="bytea", order="bytea", amount="numeric"),
        _placed(
            "clawback", programme="bytea", batch="int8", index="int8", holder="bytea", purchase="bytea",
            burned="numeric", shortfall="numeric",
        ),
        _placed("life", programme="bytea", days="int4"),
        _placed(
            "swap", intent="bytea", **{"from": "bytea"}, into="bytea", holder="bytea", amount="numeric", out="numeric",
            value="numeric", fee="numeric",
        ),
        _placed(
            "gift", intent="bytea", programme="bytea", charity="bytea", holder="bytea", campaign="int8",
            amount="numeric", value="numeric",
        ),
        _placed("matching", intent="bytea", campaign="int8", sponsor="bytea", charity="bytea", value="numeric"),
        _placed(
            "quote", programme="bytea", bid="numeric", ask="numeric", until="int8", cap="numeric", effective="int8"
        ),
        _placed("partner", programme="bytea", partner="bytea", allowed="bool"),
        _placed("fee", fee_bps="int4", account="bytea"),
        _placed("charity", address="bytea", name="text"),
        _placed("campaign", number="int8", charity="bytea", goal="numeric", end="int8"),
        _sided("movement", account="bytea", delta="numeric", kind="text"),
    )
}  # fmt: skip
"""Tables whose rows are of one block each, with the types of their columns in PostgreSQL."""

FOLDS: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table(
            "balance", ("holder", "programme"), {"holder": "bytea", "programme": "bytea", "amount": "numeric"}, "entry"
        ),
        Table("supply", ("programme",), {"programme": "bytea", "amount": "numeric"}, "entry"),
        Table("margin", ("account",), {"account": "bytea", "amount": "numeric"}, "movement"),
    )
}
"""Sums over all blocks; a sum of zero has no row. In the place of `block` stands the table that they sum."""

CURSOR: Final = Table(
    "cursor",
    ("id",),
    {
        "id": "int2", "chain_id": "int8", "factory": "bytea", "exchange": "bytea", "first_block": "int8",
        "next_block": "int8", "tip": "bytea", "finalized": "int8",
    },
)  # fmt: skip


# --- values as PostgreSQL sends them: type, length, content -----------------------------------------------------------

_HEAD: Final = struct.Struct(">ii").pack
_NULL, _ADDRESS = _HEAD(17, -1), _HEAD(17, 20)
_NUMERIC, _POSITIVE, _NEGATIVE = 1700, 0x0000, 0x4000


def _integer(oid: int, size: int, letter: str) -> Callable[[int], bytes]:
    return partial(struct.Struct(f">ii{letter}").pack, oid, size)


def _bytes(value: bytes | None) -> bytes:
    if value is None:
        return _NULL
    return (_ADDRESS if len(value) == 20 else _HEAD(17, len(value))) + value


@lru_cache(maxsize=65_536)
def _numeric(value: int) -> bytes:
    """Digits of base 10,000, most significant first, without the zeros at the end."""
    sign, rest, digits = (_NEGATIVE, -value, []) if value < 0 else (_POSITIVE, value, [])
    while rest:
        rest, digit = divmod(rest, 10_000)
        digits.append(digit)
    weight = max(len(digits) - 1, 0)
    kept = digits[next((i for i, digit in enumerate(digits) if digit), 0) :][::-1]
    return struct.pack(f">iihhHh{len(kept)}h", _NUMERIC, 8 + 2 * len(kept), len(kept), weight, sign, 0, *kept)


@lru_cache(maxsize=1_024)
def _text(value: str) -> bytes:
    written = value.encode()
    return _HEAD(25, len(written)) + written


_WRITERS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "int8": _integer(20, 8, "q"),
    "int4": _integer(23, 4, "i"),
    "int2": _integer(21, 2, "h"),
    "bool": _integer(16, 1, "?"),
    "bytea": _bytes,
    "numeric": _numeric,
    "text": _text,
}


# --- acts to rows -----------------------------------------------------------------------------------------------------


class Derivation:
    """Remembers what later rows depend on: who gets the network fee, and every sum so far."""

    def __init__(self) -> None:
        self.fee_account = NOBODY
        self.balances: dict[bytes, int] = {}
        """By holder and programme, 40 bytes; base units."""
        self.margins: dict[bytes, int] = {}

    def rows(self, history: Iterable[tuple[Block, Sequence[Act]]], settlement: bytes) -> Rows:
        """The rows of these blocks, by table, in the order of their keys. Acts of the settlement token have none."""
        made: Rows = {name: [] for name in TABLES}
        for block, acts in history:
            made["block"].append((block.number, block.hash, block.parent, block.time))
            last = -1
            for act in acts:
                if act.emitter == settlement:
                    continue
                if act.transaction_index != last:
                    last = act.transaction_index
                    made["transaction"].append((act.block, last, act.transaction))
                _RULES.get(type(act.event), _nothing)(self, made, act)
        for row in made["entry"]:
            key = row[5] + row[4]
            self.balances[key] = self.balances.get(key, 0) + row[6]
        for row in made["movement"]:
            self.margins[row[3]] = self.margins.get(row[3], 0) + row[4]
        return {name: TABLES[name].sorted(rows) for name, rows in made.items()}

    def sums(self) -> dict[str, dict[Row, int]]:
        """What the folds are, by key; those of zero are left out."""
        supplies: dict[Row, int] = {}
        for key, amount in self.balances.items():
            supplies[(key[20:],)] = supplies.get((key[20:],), 0) + amount
        return {
            "balance": {(key[:20], key[20:]): amount for key, amount in self.balances.items() if amount},
            "supply": {key: amount for key, amount in supplies.items() if amount},
            "margin": {(account,): amount for account, amount in self.margins.items() if amount},
        }


def _entry(
    made: Rows, act: Act, log: int, side: int, token: bytes, holder: bytes, delta: int, kind: str,
    counterparty: bytes | None = None, intent: bytes | None = None,
) -> None:  # fmt: skip
    made["entry"].append(
        (act.block, log, side, act.transaction_index, token, holder, delta, kind, counterparty, intent)
    )


def _both_sides(made: Rows, act: Act, kinds: tuple[str, str], intent: bytes | None = None) -> None:
    """One transfer between holders."""
    [move] = act.moves
    _entry(made, act, move.log, DEBTOR, move.token, move.from_, -move.amount, kinds[0], move.to, intent)
    _entry(made, act, move.log, CREDITOR, move.token, move.to, move.amount, kinds[1], move.from_, intent)


def _moved(made: Rows, act: Act, kind: str, side: int, account: bytes, delta: int) -> None:
    if delta:
        made["movement"].append((act.block, act.log, side, account, delta, kind))


def _row(made: Rows, table: str, act: Act, *values: object) -> None:
    made[table].append((act.block, act.log, *values))


def _text_of(word: bytes) -> str:
    """A left-aligned bytes32. What is no UTF-8, and a NUL, which no text of PostgreSQL has, is U+FFFD."""
    return word.rstrip(b"\0").decode(errors="replace").replace("\0", "\ufffd")


def _nothing(_state: Derivation, _made: Rows, _act: Act) -> None:
    """An act that no table tells of."""


def _transferred(_state: Derivation, made: Rows, act: Act) -> None:
    if act.moves[0].amount:
        _both_sides(made, act, ("transferred", "transferred"))


def _minted(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.Minted = act.event  # type: ignore[assignment]
    block, index = act.block, act.transaction_index
    made["entry"].extend(
        [(block, m.log, CREDITOR, index, m.token, m.to, m.amount, "earned", None, None) for m in act.moves]
    )
    roots = (event.receipts_root, event.entries_hash)
    made["batch"].append((act.emitter, event.batch, block, act.log, index, *roots, event.total, event.count))


def _sent(_state: Derivation, made: Rows, act: Act) -> None:
    _both_sides(made, act, ("sent", "received"), act.event.intent)  # type: ignore[union-attr]


def _redeemed(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.Redeemed = act.event  # type: ignore[assignment]
    holder, amount = event.holder, event.amount
    _entry(made, act, act.moves[0].log, DEBTOR, act.emitter, holder, -amount, "redeemed", None, event.intent)
    _row(made, "redemption", act, event.intent, act.emitter, holder, event.order, amount)


def _expired(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.Expired = act.event  # type: ignore[assignment]
    _entry(made, act, act.moves[0].log, DEBTOR, act.emitter, event.holder, -event.amount, "expired")


def _clawed_back(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.ClawedBack = act.event  # type: ignore[assignment]
    for move in act.moves:
        _entry(made, act, move.log, DEBTOR, act.emitter, event.holder, -event.burned, "clawed_back")
    receipt = (act.emitter, event.batch, event.index, event.holder, event.purchase)
    _row(made, "clawback", act, *receipt, event.burned, event.shortfall)


def _recovered(_state: Derivation, made: Rows, act: Act) -> None:
    if act.moves[0].amount:
        _both_sides(made, act, ("recovered", "recovered"))


def _life(_state: Derivation, made: Rows, act: Act) -> None:
    _row(made, "life", act, act.emitter, act.event.life)  # type: ignore[union-attr]


def _swapped(state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.Swapped = act.event  # type: ignore[assignment]
    burn, mint = act.moves
    _entry(made, act, burn.log, DEBTOR, burn.token, burn.from_, -burn.amount, "swapped", mint.token, event.intent)
    _entry(made, act, mint.log, CREDITOR, mint.token, mint.to, mint.amount, "swapped", burn.token, event.intent)
    _moved(made, act, "swap", DEBTOR, event.from_, -event.value)
    _moved(made, act, "swap", CREDITOR, event.into, event.value - event.fee)
    _moved(made, act, "fee", FEE, state.fee_account, event.fee)
    sides = (event.from_, event.into, burn.from_)
    _row(made, "swap", act, event.intent, *sides, burn.amount, mint.amount, event.value, event.fee)


def _given(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.Given = act.event  # type: ignore[assignment]
    [burn] = act.moves
    _entry(made, act, burn.log, DEBTOR, burn.token, burn.from_, -burn.amount, "gave", event.charity, event.intent)
    _moved(made, act, "gift", DEBTOR, event.programme, -event.value)
    _moved(made, act, "gift", CREDITOR, event.charity, event.value)
    sides = (event.programme, event.charity, burn.from_)
    _row(made, "gift", act, event.intent, *sides, event.campaign, burn.amount, event.value)


def _matched(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.Matched = act.event  # type: ignore[assignment]
    _moved(made, act, "match", DEBTOR, event.sponsor, -event.value)
    _moved(made, act, "match", CREDITOR, event.charity, event.value)
    _row(made, "matching", act, event.intent, event.campaign, event.sponsor, event.charity, event.value)


def _deposited(_state: Derivation, made: Rows, act: Act) -> None:
    _moved(made, act, "deposit", CREDITOR, act.event.account, act.event.amount)  # type: ignore[union-attr]


def _withdrawn(_state: Derivation, made: Rows, act: Act) -> None:
    _moved(made, act, "withdrawal", DEBTOR, act.event.account, -act.event.amount)  # type: ignore[union-attr]


def _created(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.ProgrammeCreated = act.event  # type: ignore[assignment]
    names = (_text_of(event.name), _text_of(event.symbol))
    _row(made, "programme", act, event.programme, event.owner, event.issuer, *names)
    _row(made, "life", act, event.programme, event.life)


def _quoted(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.Quoted = act.event  # type: ignore[assignment]
    _row(made, "quote", act, event.programme, event.bid, event.ask, event.until, event.cap, event.effective)


def _partnered(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.PartnerSet = act.event  # type: ignore[assignment]
    _row(made, "partner", act, event.programme, event.partner, event.allowed)


def _fee_set(state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.FeeSet = act.event  # type: ignore[assignment]
    state.fee_account = event.account
    _row(made, "fee", act, event.fee_bps, event.account)


def _registered(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.CharityRegistered = act.event  # type: ignore[assignment]
    _row(made, "charity", act, event.charity, _text_of(event.name))


def _opened(_state: Derivation, made: Rows, act: Act) -> None:
    event: bindings.CampaignOpened = act.event  # type: ignore[assignment]
    _row(made, "campaign", act, event.campaign, event.charity, event.goal, event.end)


_RULES: Final[Mapping[type, Callable[[Derivation, Rows, Act], None]]] = {
    type(None): _transferred,
    bindings.Minted: _minted,
    bindings.Sent: _sent,
    bindings.Redeemed: _redeemed,
    bindings.Expired: _expired,
    bindings.ClawedBack: _clawed_back,
    bindings.Recovered: _recovered,
    bindings.LifeExtended: _life,
    bindings.Swapped: _swapped,
    bindings.Given: _given,
    bindings.Matched: _matched,
    bindings.Deposited: _deposited,
    bindings.Withdrawn: _withdrawn,
    bindings.ProgrammeCreated: _created,
    bindings.Quoted: _quoted,
    bindings.PartnerSet: _partnered,
    bindings.FeeSet: _fee_set,
    bindings.CharityRegistered: _registered,
    bindings.CampaignOpened: _opened,
}
