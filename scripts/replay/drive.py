"""Drives the running gateway with the Complete Journey: enrol households, report purchases, act for holders, compare.

Nothing here touches chain or database on the way in: it is one more client over HTTP, which waits for a gateway that is
down and repeats what it is not sure of. Whatever is sent carries a reference of its own, so a second run adds nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from contracts import deployment
from exchange import points
from scripts.environment import Installation
from scripts.errors import CommandFailed
from scripts.replay import report, witnesses
from scripts.replay.acts import Act, Ledger, acts_of_week
from scripts.replay.gateway import Gateway
from scripts.replay.journey import Purchase, purchases_by_week
from scripts.samples import Partner, enrol_samples

BULK = 1_000
TRIES = 60
START_SECONDS = 300.0
QUIET_SECONDS = 5.0

NOT_YET = frozenset(
    {
        "charity-not-found", "not-enough-margin", "not-enough-points", "not-partners", "programme-not-found",
        "quote-expired",
    }
)  # fmt: skip
"""Refusals that pass by themselves: what was there before comes back when a chain that lost blocks has caught up."""

T = TypeVar("T")


class ReplayFailed(CommandFailed):
    """Raised when the gateway refuses something that the data says is fine."""


@dataclass(slots=True)
class Tally:
    """What this run sent, its seconds from the first purchase to the last mirrored act, and what came of it."""

    purchases: int = 0
    acts: int = 0
    seconds: float = 0.0
    minted: int = 0
    equal: bool = False


@dataclass(frozen=True, slots=True)
class Drive:
    """One run: where to, as whom, and what is expected."""

    gateway: Gateway
    partners: Mapping[str, Partner]
    ledger: Ledger
    progress: Progress
    bar: TaskID


async def replay(
    settings: Mapping[str, str], place: Installation, console: Console, *, weeks: int, seed: int = 2017
) -> Tally:
    """Replays weeks 1 to `weeks` and prints the tables. `equal` tells whether data, chain and mirror agree."""
    partners = await enrol_samples(settings, place, console)
    all_weeks = list(await asyncio.to_thread(lambda: list(purchases_by_week(weeks))))
    count = sum(len(purchases) for _, purchases in all_weeks)
    tally = Tally()
    before = await _minted(settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with Gateway(settings["POINTS_GATEWAY_URL"], waiting=console.print) as gateway:
        ledger = _ledger(await _await_programmes(gateway, partners))
        with Progress(*columns, console=console, transient=True) as progress:
            drive = Drive(gateway, partners, ledger, progress, progress.add_task("households", total=None))
            await _enrol_households(drive, {each.household for _, week in all_weeks for each in week})
            progress.reset(drive.bar, description="purchases", total=count)
            begun = time.monotonic()
            await _weeks(drive, all_weeks, seed, tally)
            await _settle(drive, settings)
            tally.seconds = time.monotonic() - begun
    tally.equal = report.show(console, await _witnesses(ledger, partners, settings))
    tally.minted = await _minted(settings) - before
    console.print(
        f"{tally.purchases:,} purchases and {tally.acts:,} acts of {weeks} week{'s' * (weeks > 1)} sent; minted anew:"
        f" {tally.minted:,}. {tally.seconds:.1f} s from the first purchase to the last mirrored act:"
        f" {tally.purchases / tally.seconds:,.0f} purchases/s end to end."
    )
    return tally


async def _witnesses(
    ledger: Ledger, partners: Mapping[str, Partner], settings: Mapping[str, str]
) -> list[witnesses.Witnesses]:
    """All three, asked again for a while if they disagree: one that lost its memory meanwhile may be catching up."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        found = await witnesses.ask_all(
            ledger,
            {slug: partner.programme for slug, partner in partners.items()},
            rpc_url=settings["POINTS_RPC_URL"],
            database_url=settings["POINTS_DATABASE_URL"],
            first_block=deployment.load(Path(settings["POINTS_DEPLOYMENT"])).first_block,
        )
        if all(each.equal for each in found) or time.monotonic() > deadline:
            return found
        if await witnesses.under_way(settings["POINTS_DATABASE_URL"]):
            deadline = time.monotonic() + QUIET_SECONDS
        await asyncio.sleep(0.5)


async def _weeks(drive: Drive, weeks: Iterable[tuple[int, list[Purchase]]], seed: int, tally: Tally) -> None:
    """Purchases of a week go out while the week before is minted; only then do its holders act."""
    waiting: list[Act] = []
    last: dict[str, str] = {}
    for week, purchases in weeks:
        drive.progress.update(drive.bar, description=f"week {week}, purchases")
        reported = await _report_purchases(drive, purchases)
        tally.purchases += len(purchases)
        await _await_minted(drive, last)
        tally.acts += await _act(drive, waiting)
        drive.ledger.earn(purchases)
        waiting, last = acts_of_week(drive.ledger, seed=seed, week=week), reported
        drive.ledger.apply(waiting)
    await _await_minted(drive, last)
    tally.acts += await _act(drive, waiting)


async def _enrol_households(drive: Drive, households: set[int]) -> None:
    """One custodial customer a household, a member of every merchant: points travel between programmes."""
    ordered = sorted(households)
    drive.progress.update(drive.bar, total=len(ordered) * len(drive.partners))
    first, *others = drive.partners.values()
    customers: dict[int, str] = {}
    for chunk in _chunks(ordered, BULK):
        items: list[dict[str, Any]] = [{"member": f"hh-{each}", "custodial": True} for each in chunk]
        for household, result in zip(chunk, await _enrol(drive, first, items), strict=True):
            customers[household] = result["customer"]["id"]
    for partner in others:
        for chunk in _chunks(ordered, BULK):
            wanted = {"customers": [customers[each] for each in chunk]}
            codes = (await drive.gateway.post("/v1/customers/link-codes", wanted, key=first.key, once=None))["codes"]
            linked = [{"member": f"hh-{each}", "link": made["code"]} for each, made in zip(chunk, codes, strict=True)]
            await _enrol(drive, partner, linked)


async def _enrol(drive: Drive, partner: Partner, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = await drive.gateway.post("/v1/customers/bulk", {"customers": items}, key=partner.key, once=None)
    drive.progress.advance(drive.bar, len(items))
    return _accepted(answer["results"])


async def _report_purchases(drive: Drive, purchases: Sequence[Purchase]) -> dict[str, str]:
    """Sends a week, all merchants at once; returns the id of each merchant's last purchase."""
    by_merchant: dict[str, list[Purchase]] = defaultdict(list)
    for each in purchases:
        by_merchant[each.merchant].append(each)

    async def send(slug: str, mine: list[Purchase]) -> str:
        last = ""
        for chunk in _chunks(mine, BULK):
            items = [
                {
                    "reference": each.reference,
                    "member": f"hh-{each.household}",
                    "amount": points.render(each.amount, digits=2),
                    "currency": "USD",
                    "store": each.store,
                    "purchased_at": each.purchased_at,
                }
                for each in chunk
            ]
            answer = await drive.gateway.post(
                "/v1/purchases/bulk", {"purchases": items}, key=drive.partners[slug].key, once=chunk[0].reference
            )
            last = _accepted(answer["results"])[-1]["purchase"]["id"]
            drive.progress.advance(drive.bar, len(chunk))
        return last

    sent = await asyncio.gather(*(send(slug, mine) for slug, mine in by_merchant.items()))
    return dict(zip(by_merchant, sent, strict=True))


async def _await_minted(drive: Drive, last: Mapping[str, str]) -> None:
    """Waits until each merchant's last purchase is in the mirror; batches are minted in order, so all before it are."""

    async def wait(slug: str, purchase: str) -> None:
        while True:
            answer = await drive.gateway.get(f"/v1/purchases/{purchase}", key=drive.partners[slug].key)
            if answer["status"] in ("confirmed", "final"):
                return
            await asyncio.sleep(0.2)

    await asyncio.gather(*(wait(slug, purchase) for slug, purchase in last.items()))


async def _act(drive: Drive, acts: Sequence[Act]) -> int:
    """Acts of one week. What they need is waited for while it is on its way to the chain."""
    for slug in sorted({act.merchant for act in acts}):
        mine = [act for act in acts if act.merchant == slug]
        for attempt in range(TRIES):
            once = f"{mine[0].reference}/{attempt}"
            answer = await drive.gateway.post(
                "/v1/customers/intents/bulk",
                {"intents": [_wish(act) for act in mine]},
                key=drive.partners[slug].key,
                once=once,
            )
            results = zip(mine, answer["results"], strict=True)
            mine = [act for act, result in results if _must_wait(act, result)]
            if not mine:
                break
            await asyncio.sleep(1)
        else:
            raise ReplayFailed(f"{len(mine)} acts at {slug} are still refused after {TRIES} tries.")
    return len(acts)


def _wish(act: Act) -> dict[str, Any]:
    wish: dict[str, Any] = {
        "kind": act.kind,
        "member": f"hh-{act.household}",
        "amount": points.render_points(act.amount),
    }
    match act.kind:
        case "send":
            wish["to_member"] = f"hh-{act.other}"
        case "swap":
            wish["into"] = act.other
        case "give":
            wish["charity"] = act.other
        case _:
            wish["order"] = act.reference
    return wish


def _must_wait(act: Act, result: dict[str, Any]) -> bool:
    if result["status"] != "refused":
        return False
    problem = result["problem"]
    if problem["type"].rpartition(":")[2] in NOT_YET:
        return True
    raise ReplayFailed(f"{act}: {problem['detail']} {problem.get('action', '')}")


async def _settle(drive: Drive, settings: Mapping[str, str]) -> None:
    """Waits until the mirror holds what is expected, or nothing more is on its way to it."""
    drive.progress.update(drive.bar, description="settling")
    expected = {partner.programme: drive.ledger.supply[slug] for slug, partner in drive.partners.items()}
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        supply = await witnesses.mirrored_supply(settings["POINTS_DATABASE_URL"])
        if all(supply.get(programme, 0) == amount for programme, amount in expected.items()):
            return
        if await witnesses.under_way(settings["POINTS_DATABASE_URL"]):
            quiet_since = time.monotonic()
        await asyncio.sleep(0.2)


async def _await_programmes(gateway: Gateway, partners: Mapping[str, Partner]) -> dict[str, dict[str, Any]]:
    """Waits until every partner's programme, its quote and its consents are on the chain; what is shown of each."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        programmes = {each["slug"]: each for each in (await gateway.get("/v1/programmes"))["programmes"]}
        if all(
            slug in programmes
            and programmes[slug]["quote"] is not None
            and len(programmes[slug]["partners"]) >= len(partners) - 1
            for slug in partners
        ):
            return {slug: programmes[slug] for slug in partners}
        await asyncio.sleep(0.3)
    raise ReplayFailed("The programmes are not on the chain: is the relayer running? See `points status`.")


def _ledger(programmes: Mapping[str, Mapping[str, Any]]) -> Ledger:
    """An empty ledger at the quotes that are posted."""
    quotes = {slug: programme["quote"] for slug, programme in programmes.items()}
    return Ledger(
        bid={slug: points.price(quote["bid"], name="bid") for slug, quote in quotes.items()},
        ask={slug: points.price(quote["ask"], name="ask") for slug, quote in quotes.items()},
    )


async def _minted(settings: Mapping[str, str]) -> int:
    return await witnesses.mirrored_entries(settings["POINTS_DATABASE_URL"])


def _accepted(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    for result in results:
        if result["status"] == "refused":
            problem = result["problem"]
            raise ReplayFailed(f"{problem['detail']} {problem.get('action', '')}".strip())
    return list(results)


def _chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
