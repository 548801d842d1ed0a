"""`points rotate-keys`: goes through everything that is sealed, and says what is left."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from rich.console import Console

from exchange.rotation import SEALED
from exchange.rotation import rotate as rotate_column
from scripts.errors import CommandFailed


class NoOldKey(CommandFailed):
    """Raised when there is nothing to rotate from."""


async def rotate(settings: Mapping[str, str], console: Console) -> bool:
    """Whether everything opens with the new key alone now. Raises `NoOldKey`."""
    old = settings.get("POINTS_OLD_MASTER_KEY")
    if not old or "POINTS_MASTER_KEY" not in settings:
        raise NoOldKey(
            "Set POINTS_MASTER_KEY to the new key and POINTS_OLD_MASTER_KEY to the one before, 32 bytes in hex."
        )
    keys = {"new": bytes.fromhex(settings["POINTS_MASTER_KEY"]), "old": bytes.fromhex(old)}
    lost = 0
    async with await psycopg.AsyncConnection.connect(settings["POINTS_DATABASE_URL"], autocommit=True) as connection:
        for sealed in SEALED:
            count = await rotate_column(connection, sealed, **keys)
            lost += count.lost
            said = f"{count.rotated} sealed anew, {count.already} were already"
            problem = f", [red]{count.lost} open with neither key[/red]" if count.lost else ""
            console.print(f"{sealed.table}.{sealed.column:<12} {said}{problem}", highlight=False)
    if lost:
        console.print("Keep the old key: some rows need another one still.")
    else:
        console.print("Everything is sealed with the new key. Unset POINTS_OLD_MASTER_KEY and restart.")
    return lost == 0
