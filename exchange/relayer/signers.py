"""The keys that pay for gas: rows of `exchange.signer`, sealed under the master key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import AsyncConnection

from contracts import signatures
from contracts.rpc import Rpc, from_quantity, to_hex
from exchange import vault


class Signer(NamedTuple):
    address: bytes
    role: str
    key: bytes


async def ensure_signers(
    connection: AsyncConnection, rpc: Rpc, *, master: bytes, operator: bytes | None, relayers: Sequence[bytes]
) -> None:
    """Gives each key its row; a new row's nonce is the chain's. Repeating it changes nothing but the seal."""
    keys = [("relayer", key) for key in relayers] + ([("operator", operator)] if operator else [])
    for role, key in keys:
        address = signatures.address_of(key)
        nonce = from_quantity(await rpc.call("eth_getTransactionCount", to_hex(address), "latest"))
        sealed = vault.seal(master, key, purpose=_purpose(address))
        async with connection.transaction():
            await connection.execute(
                "insert into exchange.signer (address, role, key, next_nonce) values (%s, %s, %s, %s)"
                " on conflict (address) do update set role = excluded.role, key = excluded.key",
                (address, role, sealed, nonce),
            )


async def signers(connection: AsyncConnection, *, master: bytes) -> list[Signer]:
    cursor = await connection.execute("select address, role, key from exchange.signer order by address", binary=True)
    return [
        Signer(address, role, vault.unseal(master, sealed, purpose=_purpose(address)))
        for address, role, sealed in await cursor.fetchall()
    ]


def _purpose(address: bytes) -> str:
    return f"signer:{address.hex()}"
