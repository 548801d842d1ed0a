"""Receipts that a merchant or a customer shows: each is signed, minted as promised, and known to SQL if there is one.

What the gateway answered is taken as it came, from every file of a folder: JSON (`*.json`), JSON lines (`*.jsonl`) and
the archives of exports (`*.zip`). Whatever in them has a signed receipt counts: purchases, bulk answers, proof files,
refunds with the receipt of what is left; of several receipts of one purchase the one with the smallest amount holds. A
purchase that vanished from SQL before it was minted is found by its receipt alone, which is why merchants keep them.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from contracts import receipts
from contracts.rpc import from_hex
from scripts.audit.programme import Batch
from scripts.audit.promises import Kept, Receipt
from scripts.audit.record import Record

_PACK: Final = struct.Struct(">20s12sQQqq??")


class Told(NamedTuple):
    """What is kept of a receipt whose signature was good. `batch` and `entry` are -1 where nothing names its place;
    `proved` says that siblings led from it to its batch's root."""

    holder: bytes
    amount: int
    accepted_at: int
    mint_by: int
    batch: int
    entry: int
    proved: bool
    amended: bool

    def packed(self) -> bytes:
        return _PACK.pack(self.holder, self.amount.to_bytes(12), *self[2:])

    @classmethod
    def of(cls, packed: bytes) -> Told:
        holder, amount, *rest = _PACK.unpack(packed)
        return cls(holder, int.from_bytes(amount), *rest)


class Shown:
    """`read` all files, `match` with what SQL has, then `close`. Some 300 bytes a receipt are kept."""

    def __init__(self, kept: Kept, record: Record, *, time: int) -> None:
        self.kept = kept
        self.record = record
        self.time = time
        self.open = 0
        self.known: set[bytes] | None = None
        """Programmes of which SQL should know every purchase; None without SQL."""
        self._waiting: dict[bytes, bytes] = {}
        self._ids: dict[str, bytes] = {}
        self._amended: list[tuple[str, dict[str, Any], str]] = []

    def read(self, folder: Path) -> None:
        for source, document in _documents(folder, self.record):
            self._look(document, source)
        for purchase, amended, source in self._amended:
            self._amend(purchase, amended, source)
        if not self._waiting:
            self.record.doubted("promises", f"there is no receipt in {folder.name}")

    def match(self, programme: bytes, receipt: Receipt, left: int, **place: int | str) -> None:
        """SQL has this purchase, of which base units are `left` to be minted: it is what was promised, or what was
        promised is in its refunds."""
        packed = self._waiting.pop(programme + receipt.commitment, None)
        if packed is None:
            return
        told = Told.of(packed)
        ours = (told.holder, told.mint_by, told.accepted_at if told.amount == receipt.amount else None)
        theirs = (receipt.holder, receipt.mint_by, receipt.accepted_at if told.amount == receipt.amount else None)
        if ours != theirs or told.amount > receipt.amount or (told.amended and left > told.amount):
            what = (
                f"its signed receipt was shown, of {told.amount} base units by {told.mint_by}, and SQL says otherwise"
            )
            self.record.found("promises", f"exchange.purchase: {what}", **place)
        else:
            self.record.proved("promises")

    def close(self) -> None:
        """What SQL does not know, judged by the chain alone."""
        leaves: dict[tuple[bytes, int], dict[int, bytes]] = {}
        minted = self._minted() if any(Told.of(packed).batch < 0 for packed in self._waiting.values()) else {}
        for key, packed in self._waiting.items():
            programme, commitment, told = key[:20], key[20:], Told.of(packed)
            place = {"purchase": f"0x{commitment.hex()}", "programme": f"0x{programme.hex()}"}
            if self.known is not None and programme in self.known:
                evidence = {"holder": f"0x{told.holder.hex()}", "amount": told.amount, "mint_by": told.mint_by}
                self._found("a signed receipt is of a purchase that SQL does not know", **place, **evidence)
            if told.batch < 0:
                self._without_place(told, programme, minted, place)
            else:
                self._at_place(told, programme, commitment, leaves, place)
        for (programme, number), found in leaves.items():
            self._whole(programme, number, found)

    # --- files --------------------------------------------------------------------------------------------------------

    def _look(self, value: Any, source: str) -> None:
        """Whatever in a document is or has a receipt."""
        if isinstance(value, list):
            for each in value:
                self._look(each, source)
        elif isinstance(value, dict):
            receipt = value.get("receipt")
            if isinstance(receipt, dict) and "signature" in receipt:
                if "programme" in receipt:
                    self._take(receipt, value, source)
                elif isinstance(value.get("purchase"), str):
                    self._amended.append((value["purchase"], receipt, source))
            for each in value.values():
                if isinstance(each, dict | list):
                    self._look(each, source)

    def _take(self, receipt: dict[str, Any], around: dict[str, Any], source: str) -> None:
        try:
            programme = from_hex(receipt["programme"])
            made = Receipt(
                from_hex(receipt["holder"]),
                int(receipt["amount_base_units"]),
                from_hex(receipt["purchase"]),
                receipt["accepted_at"],
                receipt["mint_by"],
                from_hex(receipt["signature"]),
            )
            where = next(
                (each for each in (around, around.get("proof"), around.get("chain")) if each and "batch" in each), {}
            )
            batch, entry = int(where.get("batch", -1)), int(where.get("index", -1))
            siblings = [from_hex(each) for each in where["siblings"]] if "siblings" in where else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.record.doubted("promises", f"a receipt cannot be read: {type(error).__name__} {error}", file=source)
            return
        issuer = self.kept.issuer(programme)
        if issuer is None:
            self.record.doubted("promises", f"0x{programme.hex()} is no programme of this chain yet", file=source)
        elif not self.kept.is_signed(programme, issuer, made):
            self._found("a receipt is not signed by its programme's issuer", file=source, **made.evidence)
        else:
            if isinstance(around.get("id"), str):
                self._ids[around["id"]] = programme + made.commitment
            proved = siblings is not None and self._is_proved(programme, made, batch, entry, siblings, source)
            self._keep(programme + made.commitment, Told(*_terms(made), batch, entry, proved, False))

    def _is_proved(
        self, programme: bytes, made: Receipt, number: int, entry: int, siblings: list[bytes], source: str
    ) -> bool:
        batch = self.kept.batch(programme, number)
        if batch is None:
            return False
        leaf = self.kept.leaf(
            programme, number, entry, holder=made.holder, amount=made.amount, commitment=made.commitment
        )
        right = len(siblings) == receipts.depth(batch.size) and receipts.verify(batch.root, leaf, siblings)
        if not right and 0 <= entry < batch.size and batch.amount(entry) == made.amount:
            self._found("a receipt's proof does not lead to its batch's root", file=source, **made.evidence)
        return right

    def _amend(self, purchase: str, amended: dict[str, Any], source: str) -> None:
        """A refund's receipt of what is left: holder, commitment and time are those of the purchase's own."""
        key = self._ids.get(purchase)
        if key is None:
            self.record.doubted("promises", f"the receipt of purchase {purchase} is not here", file=source)
            return
        told = Told.of(self._waiting[key])
        try:
            amount, accepted_at = int(amended["amount_base_units"]), amended["accepted_at"]
            made = Receipt(told.holder, amount, key[20:], accepted_at, told.mint_by, from_hex(amended["signature"]))
        except (KeyError, TypeError, ValueError) as error:
            self.record.doubted("promises", f"a receipt cannot be read: {type(error).__name__} {error}", file=source)
            return
        if self.kept.is_signed(key[:20], self.kept.programmes[key[:20]].created.issuer, made):
            self._keep(key, Told(*_terms(made), told.batch, told.entry, False, True))
        else:
            self._found("a refund's receipt is not signed by its programme's issuer", file=source, **made.evidence)

    def _keep(self, key: bytes, told: Told) -> None:
        before = Told.of(self._waiting[key]) if key in self._waiting else told
        holds = told if told.amount <= before.amount else before
        there = before if before.batch >= 0 else told
        proved = (told.proved and told.amount == holds.amount) or (before.proved and before.amount == holds.amount)
        kept = holds._replace(batch=there.batch, entry=there.entry, proved=proved)
        self._waiting[key] = kept.packed()

    # --- by the chain alone -------------------------------------------------------------------------------------------

    def _minted(self) -> dict[bytes, list[int]]:
        """When entries were minted, by programme, holder and amount."""
        times: dict[bytes, list[int]] = {}
        for address, programme in self.kept.programmes.items():
            for batch in programme.batches.values():
                for at in range(0, len(batch.entries), 32):
                    times.setdefault(address + batch.entries[at : at + 32], []).append(batch.time)
        return times

    def _without_place(
        self, told: Told, programme: bytes, minted: dict[bytes, list[int]], place: dict[str, str]
    ) -> None:
        """An entry that fits, and that no other receipt needs, is as much as the chain alone can tell."""
        if told.amount == 0:
            self.record.proved("promises")
            return
        times = minted.get(programme + told.holder + told.amount.to_bytes(12), [])
        fitting = next((time for time in times if told.accepted_at <= time <= told.mint_by), None)
        if fitting is None:
            self._wait(told, place)
        else:
            times.remove(fitting)
            self.record.skipped("promises", 1)

    def _at_place(
        self,
        told: Told,
        programme: bytes,
        commitment: bytes,
        leaves: dict[tuple[bytes, int], dict[int, bytes]],
        place: dict[str, str],
    ) -> None:
        batch = self.kept.batch(programme, told.batch)
        if batch is None:
            self._wait(told, place)
            return
        if not self._is_entry(told, batch):
            what = (
                f"entry {told.entry} of batch {told.batch} is not what the receipt promised, {told.amount} base units"
            )
            self._found(what, **place, block=batch.block)
            return
        if batch.time > told.mint_by:
            self._found(f"minted at {batch.time}, promised by {told.mint_by}", **place, block=batch.block)
        elif told.proved:
            self.record.proved("promises")
        leaf = self.kept.leaf(
            programme, told.batch, told.entry, holder=told.holder, amount=told.amount, commitment=commitment
        )
        leaves.setdefault((programme, told.batch), {})[told.entry] = leaf

    def _is_entry(self, told: Told, batch: Batch) -> bool:
        if not 0 <= told.entry < batch.size:
            return False
        return (batch.holder(told.entry), batch.amount(told.entry)) == (told.holder, told.amount)

    def _whole(self, programme: bytes, number: int, found: dict[int, bytes]) -> None:
        """All receipts of a batch prove each other, even without siblings."""
        batch = self.kept.programmes[programme].batches[number]
        if len(found) < batch.size:
            self.record.skipped("promises", len(found))
        elif self.kept.is_root(batch, [found[entry] for entry in range(batch.size)]):
            self.record.proved("promises", len(found))
        else:
            place = {"programme": f"0x{programme.hex()}", "batch": number}
            self._found("all receipts of the batch are here, and do not hash to its root", **place)

    def _wait(self, told: Told, place: dict[str, str]) -> None:
        if told.amount and told.mint_by < self.time:
            what = f"overdue: promised by {told.mint_by}, and not minted at {self.time}"
            self._found(what, **place, holder=f"0x{told.holder.hex()}", amount=told.amount)
        else:
            self.open += 1

    def _found(self, what: str, **place: Any) -> None:
        self.record.found("promises", what, **place)


def _terms(made: Receipt) -> tuple[bytes, int, int, int]:
    return made.holder, made.amount, made.accepted_at, made.mint_by


def _documents(folder: Path, record: Record) -> Iterator[tuple[str, Any]]:
    """Every JSON document in the folder, with the name of its file; what is none is a doubt."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        try:
            if path.suffix == ".jsonl":
                with path.open("rb") as lines:
                    for line in lines:
                        if line.strip():
                            yield name, msgspec.json.decode(line)
            elif path.suffix == ".json":
                yield name, msgspec.json.decode(path.read_bytes())
            elif path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    for each in sorted(archive.namelist()):
                        if each.endswith(".json"):
                            yield f"{name}/{each}", msgspec.json.decode(archive.read(each))
        except (OSError, msgspec.DecodeError, zipfile.BadZipFile) as error:
            record.doubted("promises", f"cannot be read: {error}", file=name)
