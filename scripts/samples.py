"""Enrols the sample network through the gateway's own API: merchants, consent between all of them, charities.

Repeating it changes nothing. The merchants' API keys are shown by the gateway once and kept in one private file; a key
that was lost is replaced by a new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track

from scripts.environment import Installation
from scripts.partners import CHARITIES, MARGIN, MERCHANTS
from scripts.replay.gateway import Gateway, Refused


@dataclass(frozen=True, slots=True)
class Partner:
    """An enrolled sample merchant: what the replay needs to act for it."""

    slug: str
    id: str
    programme: bytes
    key: str


async def enrol_samples(settings: Mapping[str, str], place: Installation, console: Console) -> dict[str, Partner]:
    """Enrols whatever is not enrolled yet; returns the merchants by slug."""
    operator = settings["POINTS_OPERATOR_API_KEY"]
    async with Gateway(settings["POINTS_GATEWAY_URL"], waiting=console.print) as gateway:
        known = _read(place)
        complete = len(known) == len(MERCHANTS)
        partners = {each.slug: await _enrol(gateway, operator, each.slug, known) for each in MERCHANTS}
        _write(place, partners)
        if not complete:
            for one in track(MERCHANTS, "Samples       consent ", console=console, transient=True):
                for other in MERCHANTS:
                    if one.slug != other.slug:
                        path = f"/v1/merchants/{partners[one.slug].id}/partners/{other.slug}"
                        await gateway.put(path, {"allowed": True}, key=operator)
        for charity in CHARITIES:
            body = {"slug": charity.slug, "name": charity.name}
            await _unless_there(gateway, "/v1/charities", body, operator, f"sample-{charity.slug}")
    if not complete:
        console.print(f"Samples       {len(MERCHANTS)} merchants, {len(CHARITIES)} charities")
    return partners


async def _enrol(gateway: Gateway, operator: str, slug: str, known: dict[str, Partner]) -> Partner:
    if slug in known:
        return known[slug]
    merchant = next(each for each in MERCHANTS if each.slug == slug)
    body = {
        "slug": merchant.slug,
        "name": merchant.name,
        "symbol": merchant.symbol,
        "currency": "USD",
        "points_per_unit": "1",
        "pin_from": "never",  # their cards are played back from a record, which has none
        "quote": {"bid": merchant.bid, "ask": merchant.ask},
        "margin": MARGIN,
    }
    answer = await gateway.post("/v1/merchants", body, key=operator, once=f"sample-{slug}")
    key = answer.get("api_key")
    if key is None:
        renewed = await gateway.post(
            f"/v1/merchants/{answer['id']}/keys", {"preset": "all"}, key=operator, once=f"key-{slug}"
        )
        key = renewed["api_key"]
    return Partner(slug=slug, id=answer["id"], programme=bytes.fromhex(answer["programme"][2:]), key=key)


async def _unless_there(gateway: Gateway, path: str, body: dict[str, str], key: str, once: str) -> None:
    try:
        await gateway.post(path, body, key=key, once=once)
    except Refused as refused:
        if not refused.slug.endswith("-exists"):
            raise


def sample_keys(place: Installation) -> dict[str, str]:
    """The sample merchants' API keys by slug."""
    return {slug: partner.key for slug, partner in _read(place).items()}


def _read(place: Installation) -> dict[str, Partner]:
    if not place.partners.exists():
        return {}
    stored = json.loads(place.partners.read_text())
    return {
        slug: Partner(slug=slug, id=each["id"], programme=bytes.fromhex(each["programme"][2:]), key=each["key"])
        for slug, each in stored.items()
    }


def _write(place: Installation, partners: dict[str, Partner]) -> None:
    temporary = place.partners.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(
        json.dumps(
            {
                each.slug: {"id": each.id, "programme": f"0x{each.programme.hex()}", "key": each.key}
                for each in partners.values()
            },
            indent=1,
        )
    )
    temporary.replace(place.partners)
