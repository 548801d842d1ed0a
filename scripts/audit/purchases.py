"""Every purchase that SQL has accepted is on the chain as its receipt promised, and every refund as it was made.

Only columns that tell of no person are read, so this needs the role of an auditor and no more. Rows stream through a
cursor of the server's in the order of their batches: each batch's receipts must hash to the root that the chain has of
it, each must be signed by its programme's issuer, and be minted in time; what is not minted yet is open until its time
has passed, and then a finding with the signed receipt as its evidence. Batches of programmes that SQL knows must be of
purchases that SQL knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg.errors import InsufficientPrivilege, UndefinedColumn, UndefinedTable

from contracts import receipts
from scripts.audit.mirror import Connection
from scripts.audit.programme import Batch
from scripts.audit.promises import Kept, Receipt
from scripts.audit.record import Record
from scripts.audit.shown import Shown

SHOWN: Final = 1_000
"""Contradictions of one table that are each told of; of more than that, how many."""

_MERCHANTS: Final = "select id, programme, owner, issuer from exchange.programme"
_RULES: Final = "select merchant_id, version, rate_millionths from exchange.earning_rule"
_BATCHES: Final = "select merchant_id, number, receipts_root, total, count from exchange.batch"
_COLUMNS: Final = (
    "merchant_id, batch_number, batch_index, id, holder, points, cancelled, commitment, accepted_at, mint_by,"
    " signature, kind, amount_minor, withheld, rule_version"
)
_PLACED: Final = f"""
select {_COLUMNS} from exchange.purchase where batch_number is not null
order by merchant_id, batch_number, batch_index
"""  # noqa: S608 - of constants
_UNPLACED: Final = f"select {_COLUMNS} from exchange.purchase where batch_number is null"  # noqa: S608 - of constants
_REFUNDS: Final = """
select r.merchant_id, r.purchase_id, r.id, r.amount_minor, r.points, r.taken, r.cancelled, r.restored, r.promised,
       r.amended_at, r.signature, p.batch_number, p.batch_index, p.holder, p.points, p.cancelled, p.commitment,
       p.mint_by, p.amount_minor, p.withheld, p.rule_version, p.kind
from exchange.refund r left join exchange.purchase p on p.merchant_id = r.merchant_id and p.id = r.purchase_id
order by r.merchant_id, r.purchase_id, r.taken, r.promised desc
"""
_CANCELLED: Final = """
select p.merchant_id, p.id from exchange.purchase p
where p.cancelled > 0
  and not exists (select from exchange.refund r where r.merchant_id = p.merchant_id and r.purchase_id = p.id)
"""
_TWICE: Final = """
select p.merchant_id, p.id from exchange.purchase p
where p.batch_number is null
  and exists (select from exchange.purchase o
              where o.merchant_id = p.merchant_id and o.commitment = p.commitment and o.id <> p.id)
"""
_AT: Final = "select id from exchange.purchase where merchant_id = %s and batch_number = %s and batch_index = %s"


async def check(
    kept: Kept, record: Record, *, time: int, connection: Connection | None = None, folder: Path | None = None
) -> int:
    """Judges what SQL has and what receipts there are in a folder, at Unix second `time`. Returns how many promises are
    open: not kept yet, and not due."""
    waiting = 0
    shown = None if folder is None else Shown(kept, record, time=time)
    if shown is not None and folder is not None:
        shown.read(folder)
    if connection is not None:
        purchases = Purchases(connection, kept, record, time=time, shown=shown)
        await purchases.run()
        waiting += purchases.open
    if shown is not None:
        shown.close()
        waiting += shown.open
    return waiting


class Merchant(NamedTuple):
    id: UUID
    programme: bytes
    issuer: bytes


class Purchase(NamedTuple):
    """A row, in the order of `_COLUMNS`."""

    merchant: UUID
    batch: int | None
    entry: int | None
    id: UUID
    holder: bytes
    points: int
    cancelled: int
    commitment: bytes
    accepted_at: int
    mint_by: int
    signature: bytes
    kind: str
    amount_minor: int
    withheld: int
    rule_version: int | None

    @property
    def receipt(self) -> Receipt:
        return Receipt(self.holder, self.points, self.commitment, self.accepted_at, self.mint_by, self.signature)

    @property
    def place(self) -> dict[str, int | str]:
        return {"table": "purchase", "merchant_id": str(self.merchant), "id": str(self.id)}


class Refund(NamedTuple):
    """A row with its purchase's, in the order of `_REFUNDS`; of a purchase that is not there all are null."""

    merchant: UUID
    purchase: UUID
    id: UUID
    amount_minor: int
    points: int
    taken: int
    cancelled: int
    restored: int
    promised: int | None
    amended_at: int | None
    signature: bytes | None
    batch: int | None
    entry: int | None
    holder: bytes
    granted: int
    less: int
    commitment: bytes
    mint_by: int
    paid_minor: int
    withheld: int
    rule_version: int | None
    kind: str

    @property
    def place(self) -> dict[str, int | str]:
        named = {"merchant_id": str(self.merchant), "id": str(self.id), "purchase_id": str(self.purchase)}
        return {"table": "refund", **named}


class Purchases:
    """`run` judges all of them, in a snapshot, by what the chain `kept` up to Unix second `time`. Receipts that were
    `shown` to the auditor are matched with them."""

    def __init__(
        self, connection: Connection, kept: Kept, record: Record, *, time: int, shown: Shown | None = None
    ) -> None:
        self.connection = connection
        self.kept = kept
        self.record = record
        self.time = time
        self.shown = shown
        self.open = 0
        self.told: Counter[str] = Counter()
        self.signed: Counter[tuple[UUID, bool]] = Counter()
        self.merchants: dict[UUID, Merchant] = {}
        self.rates: dict[tuple[UUID, int | None], int] = {}
        self.batches: dict[tuple[UUID, int], tuple[bytes, int, int]] = {}

    async def run(self) -> None:
        try:
            async with self.connection.transaction():
                [(there,)] = await self._rows("select to_regnamespace('exchange') is not null")
                if not there:
                    return  # a mirror alone
                await self._known()
                await self._rows(f"{_UNPLACED} limit 0")
                await self._rows(f"{_REFUNDS} limit 0")
        except (UndefinedTable, UndefinedColumn, InsufficientPrivilege) as error:
            self.record.doubted("promises", f"the purchases cannot be read: {error.diag.message_primary}")
            return
        seen: set[tuple[bytes, int]] = set()
        async for purchases in self._groups():
            self._batch(purchases, seen)
        for (merchant, number), _ in self.batches.items():
            self._found("has no purchases", table="batch", merchant_id=str(merchant), number=number)
        ours = {merchant.programme: merchant.id for merchant in self.merchants.values()}
        for programme in ours.keys() & self.kept.programmes.keys():
            for number in self.kept.programmes[programme].batches:
                if (programme, number) not in seen:
                    place = {"merchant_id": str(ours[programme]), "number": number}
                    self._found(f"batch {number} was minted, and SQL knows no purchase in it", table="batch", **place)
        async for row in self._stream(_UNPLACED):
            self._unplaced(Purchase(*row))
        for merchant_id, id in await self._rows(_TWICE):
            place = {"merchant_id": str(merchant_id), "id": str(id)}
            self._found("another purchase has the same receipt", table="purchase", **place)
        for each in self.merchants.values():
            if self.signed[each.id, False] and not self.signed[each.id, True]:
                what = "none of its receipts is signed by the issuer, for the programme, that SQL says it has"
                self._found(what, table="merchant", id=str(each.id))
        await self._refunds()
        for table, count in self.told.items():
            if count > SHOWN:
                what = f"exchange.{table}: {count - SHOWN} more contradictions"
                self.record.found("promises", what, table=table)
        if self.shown is not None:
            self.shown.known = {merchant.programme for merchant in self.merchants.values()}

    async def _known(self) -> None:
        """Merchants as the chain knows them; rules and batches as SQL has them."""
        for id, programme, owner, issuer in await self._rows(_MERCHANTS):
            said = known = {"owner": owner, "issuer": issuer}
            if programme in self.kept.programmes:
                created = self.kept.programmes[programme].created
                known = {"owner": created.owner, "issuer": created.issuer}
            for column in said:
                if said[column] != known[column]:
                    place = {"table": "merchant", "id": str(id), "column": column, "found": f"0x{said[column].hex()}"}
                    self._found(f"{column} is not the programme's, which is 0x{known[column].hex()}", **place)
            self.merchants[id] = Merchant(id, programme, known["issuer"])
        self.rates = {(merchant, version): rate for merchant, version, rate in await self._rows(_RULES)}
        for merchant, number, *terms in await self._rows(_BATCHES):
            self.batches[merchant, number] = (terms[0], int(terms[1]), terms[2])

    # --- purchases ----------------------------------------------------------------------------------------------------

    async def _groups(self) -> AsyncIterator[list[Purchase]]:
        """Those of one batch after those of another."""
        group: list[Purchase] = []
        async for row in self._stream(_PLACED):
            if group and row[:2] != group[0][:2]:
                yield group
                group = []
            group.append(Purchase(*row))
        if group:
            yield group

    def _batch(self, purchases: Sequence[Purchase], seen: set[tuple[bytes, int]]) -> None:
        first = purchases[0]
        merchant, number = self.merchants.get(first.merchant), first.batch
        if merchant is None or number is None:
            self._strangers(first.merchant)
            return
        minted = self.kept.batch(merchant.programme, number)
        seen.add((merchant.programme, number))
        sound = [self._is_sound(merchant, each) for each in purchases]
        if minted is None:
            for each in purchases:
                self._wait(each)
        else:
            sound += [self._minted(each, minted) for each in purchases]
            missing = set(range(minted.size)) - {each.entry for each in purchases}
            for index in sorted(missing):
                place = {"merchant_id": str(merchant.id), "batch_number": number, "batch_index": index}
                self._found("SQL knows no purchase of an entry that was minted", table="purchase", **place)
            sound.append(not missing)
        stored = self.batches.pop((merchant.id, number), None)
        self._roots(merchant, number, purchases, minted, stored, all(sound))

    def _strangers(self, merchant: UUID) -> None:
        if not self.signed[merchant, False]:
            self._found("SQL has purchases of a merchant that it does not know", table="merchant", id=str(merchant))
        self.signed[merchant, False] += 1

    def _is_sound(self, merchant: Merchant, purchase: Purchase) -> bool:
        """Whether the row itself is what the issuer signed, and what its rule gives."""
        signed = self.kept.is_signed(merchant.programme, merchant.issuer, purchase.receipt)
        self.signed[merchant.id, signed] += 1
        if self.shown is not None:
            left = purchase.points - purchase.cancelled
            self.shown.match(merchant.programme, purchase.receipt, left, **purchase.place)
        if not signed:
            self._found(
                "the receipt is not signed by the programme's issuer", **purchase.place, **purchase.receipt.evidence
            )
        earned = self._earned(purchase.merchant, purchase.kind, purchase.rule_version, purchase.amount_minor)
        if earned is not None and purchase.points + purchase.withheld != earned:
            what = f"earned {purchase.points} and {purchase.withheld} were withheld, and by its rule it earns {earned}"
            self._found(what, **purchase.place)
            return False
        return signed

    def _earned(self, merchant: UUID, kind: str, version: int | None, amount_minor: int) -> int | None:
        """Base units, by the rule; None of an opening balance."""
        if kind == "opening" and version is None and amount_minor == 0:
            return None
        return amount_minor * self.rates.get((merchant, version), -1) // 1_000_000

    def _minted(self, purchase: Purchase, minted: Batch) -> bool:
        """Whether the chain's entry at the row's place is what is left of the promise, in time."""
        index = purchase.entry or 0
        if not 0 <= index < minted.size:
            self._found(f"batch {purchase.batch} has no entry {index}", **purchase.place, block=minted.block)
            return False
        right = True
        left = purchase.points - purchase.cancelled
        for column, found, expected in (
            ("holder", purchase.holder, minted.holder(index)),
            ("points", left, minted.amount(index)),
        ):
            if found != expected:
                right = False
                what = f"{column} of entry {index} of batch {purchase.batch} is {_plain(expected)}, not {_plain(found)}"
                self._found(what, **purchase.place, column=column, block=minted.block)
        if minted.time > purchase.mint_by:
            what = f"minted at {minted.time}, promised by {purchase.mint_by}"
            self._found(what, **purchase.place, block=minted.block, **purchase.receipt.evidence)
        elif right:
            self.record.proved("promises")
        return right

    def _roots(
        self,
        merchant: Merchant,
        number: int,
        purchases: Sequence[Purchase],
        minted: Batch | None,
        stored: tuple[bytes, int, int] | None,
        sound: bool,
    ) -> None:
        """The batch as a whole: its receipts hash to the chain's root, and SQL's row of it is the same."""
        place: dict[str, int | str] = {"table": "batch", "merchant_id": str(merchant.id), "number": number}
        root = b""
        with suppress(OverflowError, ValueError):  # what is no leaf was found before
            leaves = [self._leaf(merchant, each) for each in purchases]
            root = receipts.root(leaves)
        if minted is not None and sound and root != minted.root:
            told = "the receipts do not hash to the batch's root, though each is signed and has its entry"
            self._found(told, **place, block=minted.block)
        elif stored is None:
            self._found("SQL has purchases in this batch, and not the batch", **place)
        elif minted is not None or sound:
            total = sum(each.points - each.cancelled for each in purchases)
            made = (minted.root, minted.total, minted.size) if minted else (root, total, len(purchases))
            for column, found, expected in zip(("receipts_root", "total", "count"), stored, made, strict=True):
                if found != expected:
                    what = f"{column} is {_plain(found)}, and by its entries {_plain(expected)}"
                    self._found(what, **place, column=column)

    def _leaf(self, merchant: Merchant, purchase: Purchase) -> bytes:
        return self.kept.leaf(
            merchant.programme,
            purchase.batch or 0,
            purchase.entry or 0,
            holder=purchase.holder,
            amount=purchase.points - purchase.cancelled,
            commitment=purchase.commitment,
        )

    def _unplaced(self, purchase: Purchase) -> None:
        merchant = self.merchants.get(purchase.merchant)
        if merchant is None:
            self._strangers(purchase.merchant)
            return
        self._is_sound(merchant, purchase)
        if purchase.points > purchase.cancelled:
            self._wait(purchase)
        else:
            self.record.proved("promises")

    def _wait(self, purchase: Purchase) -> None:
        """Not minted: open, or overdue."""
        if purchase.mint_by < self.time:
            what = f"overdue: promised by {purchase.mint_by}, and not minted at {self.time}"
            self._found(what, **purchase.place, **purchase.receipt.evidence)
        else:
            self.open += 1

    # --- refunds ------------------------------------------------------------------------------------------------------

    async def _refunds(self) -> None:
        programmes = self.kept.programmes.items()
        left = {(address, *at): taken for address, each in programmes for at, taken in each.refunded.items()}
        group: list[Refund] = []
        async for row in self._stream(_REFUNDS):
            refund = Refund(*row)
            if group and refund.purchase != group[0].purchase:
                self._refunded(group, left)
                group = []
            group.append(refund)
        if group:
            self._refunded(group, left)
        for merchant, id in await self._rows(_CANCELLED):
            place = {"merchant_id": str(merchant), "purchase_id": str(id)}
            self._found("points of a purchase were cancelled by no refund", table="refund", **place)
        ours = {merchant.programme: merchant.id for merchant in self.merchants.values()}
        for (programme, number, index), taken in left.items():
            if programme in ours:
                [bought] = await self._rows(_AT, ours[programme], number, index) or [(None,)]
                what = f"{taken} base units of entry {index} of batch {number} were taken back by no refund"
                place = {"merchant_id": str(ours[programme]), "purchase_id": str(bought[0])}
                self._found(what, table="refund", **place)

    def _refunded(self, refunds: Sequence[Refund], left: dict[tuple[bytes, int, int], int]) -> None:
        """All refunds of one purchase: what they cancelled, what they took back, and what was promised anew."""
        last = refunds[-1]
        merchant = self.merchants.get(last.merchant)
        if merchant is None or last.holder is None:
            for each in refunds:
                self._found("is of a purchase that SQL does not know", **each.place)
            return
        clean = True
        for each, taken in zip(refunds, accumulate(each.points for each in refunds), strict=True):
            if not each.cancelled and (each.promised, each.amended_at, each.signature) != (None, None, None):
                self._found("cancelled nothing, and has a receipt of what is left", **each.place)
            if each.taken != taken:
                clean = False
                self._found(f"took back {each.points}, and {each.taken} in all: {taken} would be right", **each.place)
        amending = [each for each in refunds if each.cancelled]
        for each, cancelled in zip(amending, accumulate(each.cancelled for each in amending), strict=True):
            clean = self._is_amended(merchant, each, each.granted - cancelled) and clean
        self._account(refunds, clean)
        if last.batch is not None and last.entry is not None:
            taken = left.pop((merchant.programme, last.batch, last.entry), 0)
            if taken not in {0, *(each.taken for each in refunds)}:
                what = f"{taken} base units were taken back on the chain, by the refunds {last.taken}"
                self._found(what, **last.place)
            elif taken < last.taken:
                self.open += 1
        if clean:
            self.record.proved("promises", len(refunds))

    def _is_amended(self, merchant: Merchant, refund: Refund, promised: int) -> bool:
        """Whether the issuer promised what the refund left."""
        if refund.promised is None or refund.amended_at is None or refund.signature is None:
            self._found("cancelled points, and has no receipt of what is left", **refund.place)
            return False
        amended = (refund.holder, refund.promised, refund.commitment, refund.amended_at, refund.mint_by)
        receipt = Receipt(*amended, refund.signature)
        if refund.promised != promised:
            what = f"promises {refund.promised}, and {promised} were left"
            self._found(what, **refund.place, **receipt.evidence)
        elif not self.kept.is_signed(merchant.programme, merchant.issuer, receipt):
            what = "the receipt of what is left is not signed by the programme's issuer"
            self._found(what, **refund.place, **receipt.evidence)
        else:
            return True
        return False

    def _account(self, refunds: Sequence[Refund], clean: bool) -> None:
        """What the refunds took is what the rule gave for what was paid back."""
        last = refunds[-1]
        cancelled = sum(each.cancelled for each in refunds)
        if cancelled != last.less:
            what = f"the refunds of purchase {last.purchase} cancelled {cancelled}, and {last.less} are noted there"
            self._found(what, **last.place)
            return
        paid = last.paid_minor - sum(each.amount_minor for each in refunds)
        kept = self._earned(last.merchant, last.kind, last.rule_version, paid)
        owed = last.granted + last.withheld - (kept or 0)
        took = cancelled + last.taken + sum(each.restored for each in refunds)
        if clean and (paid < 0 or took != owed):
            what = f"the refunds of purchase {last.purchase} took {took} in all, and should have taken {owed}"
            self._found(what, **last.place)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _found(self, what: str, **place: Any) -> None:
        self.told[place["table"]] += 1
        if self.told[place["table"]] <= SHOWN:
            self.record.found("promises", f"exchange.{place['table']}: {what}", **place)

    async def _rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        return await (await self.connection.execute(query.encode(), arguments or None, binary=True)).fetchall()

    async def _stream(self, query: str) -> AsyncIterator[tuple[Any, ...]]:
        async with self.connection.cursor("audit_purchases") as cursor:
            cursor.itersize = 5_000
            await cursor.execute(query.encode(), binary=True)
            async for row in cursor:
                yield row


def _plain(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
