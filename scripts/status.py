"""`points status`: where the queue, the chain and the mirror are, and what every programme has outstanding."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from rich.console import Console
from rich.table import Table

from contracts.errors import ChainError
from contracts.rpc import Rpc

_FACTS = {
    "purchases accepted": "select count(*) from exchange.purchase",
    "purchases waiting for a batch": "select count(*) from exchange.purchase where batch_number is null"
    " and points > cancelled and available_at <= extract(epoch from now())",
    "purchases pending (may be returned)": "select count(*) from exchange.purchase where batch_number is null"
    " and points > cancelled and available_at > extract(epoch from now())",
    "calls waiting": "select count(*) from exchange.call where state = 'queued'",
    "transactions not final": "select count(*) from exchange.transaction where state <> 'final'",
    "signing keys paused": "select coalesce(string_agg(paused, '; '), 'none') from exchange.signer",
    "mirror's next block": "select next_block from mirror.cursor",
    "mirror's finalized block": "select finalized from mirror.cursor",
}

_PROGRAMMES = """
select m.slug, '0x' || encode(p.address, 'hex'), coalesce(s.amount, 0)::bigint, coalesce(g.amount, 0)::bigint,
       (select count(*) from mirror.batch b where b.programme = p.address)
from mirror.programme p
left join exchange.merchant m on m.programme = p.address
left join mirror.supply s on s.programme = p.address
left join mirror.margin g on g.account = p.address
order by p.block, p.log_index
"""


async def show(settings: Mapping[str, str], console: Console) -> bool:
    """Prints both tables. A part that does not answer is said to be down; True when none is."""
    up = True
    async with Rpc(settings["POINTS_RPC_URL"]) as rpc:
        try:
            console.print(f"chain's head: {int(await rpc.call('eth_blockNumber'), 16)}")
        except ChainError as error:
            console.print(f"chain: [red]down[/red] ({error})")
            up = False
    try:
        async with await psycopg.AsyncConnection.connect(settings["POINTS_DATABASE_URL"]) as connection:
            for name, query in _FACTS.items():
                row = await (await connection.execute(query)).fetchone()
                console.print(f"{name}: {'none' if row is None else row[0]}")
            programmes = await (await connection.execute(_PROGRAMMES)).fetchall()
    except psycopg.OperationalError as error:
        console.print(f"database: [red]down[/red] ({str(error).strip()})")
        return False
    table = Table(title="Programmes", title_justify="left")
    for name in ("programme", "token"):
        table.add_column(name)
    for name in ("points outstanding", "margin", "batches"):
        table.add_column(name, justify="right")
    for slug, address, supply, margin, batches in programmes:
        table.add_row(slug, address, f"{supply / 100:,.2f}", f"{margin / 10**6:,.2f}", f"{batches:,}")
    console.print(table)
    return up
