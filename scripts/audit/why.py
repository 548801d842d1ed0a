"""One finding looked at again: its place on the chain or in the database as it is now, then the audit that it takes.

Whether a swap, a batch or a balance is right follows from all that was before it, so a finding takes the whole history
again; what it does not take (the database, the receipts, the balances' proofs) is left out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from rich.console import Console
from rich.markup import escape

from contracts import bindings
from contracts.abi import UndecodableLog
from contracts.errors import ChainError
from contracts.rpc import Call, from_hex, from_quantity, to_quantity
from scripts.audit import report
from scripts.audit.evidence import Node
from scripts.audit.options import Options, Progress
from scripts.audit.record import CHECKS
from scripts.audit.report import Found, Report
from scripts.audit.run import audit
from scripts.errors import CommandFailed

_OF_SQL: Final = frozenset({"mirror", "freshness", "promises"})
_OF_RECEIPTS: Final = frozenset({"promises", "batches"})
_OF_STATE: Final = frozenset({"state", "supply"})


class NoSuchFinding(CommandFailed):
    """When a report has no finding of that id, or several that begin so."""


def find(signed: Report, id: str) -> Found:
    """The finding or the doubt with this id, or the only one that begins so. Raises `NoSuchFinding`."""
    found = [each for each in (*signed.findings, *signed.doubts) if each.id.startswith(id.lower())]
    if len(found) != 1:
        raise NoSuchFinding(f"{len(found) or 'No'} findings of the report begin with {id}.")
    return found[0]


async def show_place(found: Found, options: Options, nodes: Sequence[Node], console: Console) -> None:
    """Prints what was said, and what the node and the database say of the place now."""
    proves = CHECKS.get(found.check, "a check of another version")
    console.print(f"[bold]{found.check}[/bold]: {proves}", highlight=False)
    for name, value in found.place.items():
        _line(console, name, value)
    console.print(f"\n[bold]Found[/bold]: {escape(found.message)}\n", highlight=False)
    try:
        for name, shown in [*await _on_chain(found, nodes[0]), *await _in_sql(found, options.database)]:
            _line(console, name, shown)
    except (ChainError, psycopg.Error) as error:
        console.print(f"The place itself cannot be shown: {escape(str(error).strip())}", highlight=False)


async def is_found_again(found: Found, options: Options, nodes: Sequence[Node], progress: Progress) -> bool:
    """Whether an audit of what it takes makes a finding, or a doubt, of this id."""
    check = found.check
    narrowed = msgspec.structs.replace(
        options,
        database=options.database if check in _OF_SQL else None,
        receipts=options.receipts if check in _OF_RECEIPTS else None,
        sample=options.sample if check in _OF_STATE else 0,
    )
    fresh = report.of(await audit(narrowed, nodes, progress))
    return found.id in {each.id for each in (*fresh.findings, *fresh.doubts)}


async def _on_chain(found: Found, node: Node) -> list[tuple[str, object]]:
    block, transaction, log = (found.place.get(name) for name in ("block", "transaction", "log"))
    if not isinstance(block, int):
        return []
    number = to_quantity(block)
    header = await _asked(node, ("eth_getBlockByNumber", [number, False]))
    if header is None:
        return [("the node", f"has no block {block}")]
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(from_quantity(header["timestamp"])))
    shown: list[tuple[str, object]] = [("the block now", f"{header['hash']}, of {moment}")]
    if transaction is None:
        return shown
    receipts = await _asked(node, ("eth_getBlockReceipts", [number])) or []
    receipt = next((each for each in receipts if each["transactionHash"] == transaction), None)
    if receipt is None:
        return [*shown, ("the transaction now", "is not in this block")]
    status = "succeeded" if receipt["status"] == "0x1" else "failed"
    shown.append(("the transaction now", f"{status}, from {receipt['from']}, {len(receipt['logs'])} logs"))
    first = sum(len(each["logs"]) for each in receipts[: from_quantity(receipt["transactionIndex"])])
    for index, each in enumerate(receipt["logs"], first):
        if log in (None, index):
            shown.append((f"log {index} now", f"{each['address']} {_event(each)}"))
    return shown


def _event(log: dict[str, Any]) -> str:
    topics = [from_hex(topic) for topic in log["topics"]]
    kind = bindings.EVENTS.get(topics[0]) if topics else None
    if kind is None:
        return "emitted an event that is none of ours"
    try:
        event = kind.from_log(topics, from_hex(log["data"]))
    except UndecodableLog as error:
        return f"emitted an undecodable {error}"
    values = {name: getattr(event, name) for name in event.__struct_fields__}
    told = [f"{name.rstrip('_')} {_value(value)}" for name, value in values.items()]
    return f"emitted {kind.__name__}({', '.join(told)})"


def _value(value: object) -> object:
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


async def _in_sql(found: Found, database: str | None) -> list[tuple[str, object]]:
    """The rows whose columns are what the place says."""
    table = found.place.get("table")
    if table is None or database is None:
        return []
    schema, _, name = f"mirror.{table}".rpartition(".")
    schema = schema.rpartition(".")[2]
    async with await psycopg.AsyncConnection.connect(database) as connection:
        columns = await connection.execute(
            "select column_name::text, udt_name::text from information_schema.columns"
            " where table_schema = %s and table_name = %s",
            (schema, name),
        )
        known: dict[str, str] = dict(await columns.fetchall())
        wanted = {key: value for key, value in found.place.items() if key in known and key not in ("table", "column")}
        if not wanted:
            return []
        where = sql.SQL(" and ").join(sql.SQL("{} = %s").format(sql.Identifier(key)) for key in wanted)
        query = sql.SQL("select * from {} where {} limit 3").format(sql.Identifier(schema, name), where)
        values = [
            from_hex(value) if known[key] == "bytea" and isinstance(value, str) else value
            for key, value in wanted.items()
        ]
        cursor = await connection.execute(query, values)
        rows = await cursor.fetchall()
        names = [column.name for column in cursor.description or ()]
    if not rows:
        return [("the row now", "is not there")]
    return [
        ("the row now", ", ".join(f"{key} {_value(value)}" for key, value in zip(names, row, strict=True)))
        for row in rows
    ]


async def _asked(node: Node, call: Call) -> Any:
    [answer] = await node.ask([call])
    return msgspec.json.decode(answer) if isinstance(answer, msgspec.Raw) else answer


def _line(console: Console, name: str, value: object) -> None:
    console.print(f"{name:<20} {escape(str(value))}", highlight=False, soft_wrap=True)
