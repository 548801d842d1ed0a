"""What a customer that has signed in is shown of itself. Reads only, in the customer's own role."""

from __future__ import annotations

from typing import Any

from webauthn.helpers import bytes_to_base64url

from contracts import signatures
from exchange.database import Connection, rows
from exchange.hexes import checksum, hexed
from exchange.points import render_points
from exchange.sessions import Session


async def shown(sql: Connection, session: Session, *, now: int) -> dict[str, Any]:
    """Who it is, where it is a member, and what tills have set aside. Not under which number: whoever lets a card's
    customer in by a code, the merchant itself perhaps, must not learn another merchant's."""
    memberships = await rows(
        sql,
        "select p.programme, p.slug, p.name from exchange.member b"
        " join exchange.programme p on p.id = b.merchant_id order by p.slug",
    )
    held = await rows(
        sql,
        "select programme, amount, expires_at from exchange.hold where state = 'open' and expires_at > %s"
        " order by expires_at",
        now,
    )
    return {
        "id": session.customer,
        "holder": checksum(session.holder),
        "custody": session.custody,
        "session": session.id,
        "fresh": session.fresh,
        "memberships": [
            {"programme": checksum(row["programme"]), "slug": row["slug"], "name": row["name"]} for row in memberships
        ],
        "held": [
            {
                "programme": checksum(row["programme"]),
                "amount": render_points(int(row["amount"])),
                "expires_at": row["expires_at"],
            }
            for row in held
        ],
    }


async def credentials(sql: Connection, session: Session) -> list[dict[str, Any]]:
    """The passkeys, with their public keys: an assertion says which passkey made it, and a signature names its key."""
    found = await rows(sql, "select id, x, y, created_at, used_at from exchange.credential order by created_at, id")
    return [
        {
            "id": bytes_to_base64url(row["id"]),
            "x": hexed(row["x"]),
            "y": hexed(row["y"]),
            "holds": signatures.passkey_holder(bytes(row["x"]), bytes(row["y"])) == session.holder,
            "created_at": row["created_at"].isoformat(),
            "used_at": None if row["used_at"] is None else row["used_at"].isoformat(),
        }
        for row in found
    ]
