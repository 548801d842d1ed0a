"""What is asked at the same time is done together, and each is answered as if it had been alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import eip712, receipt_tree
from exchange.api import sales
from exchange.errors import InvalidRequest, Overloaded
from exchange.gathering import Gathering
from exchange.idempotency import fingerprint
from tests.gateway.conftest import Client, sale

# --- rounds


class Rounds:
    """Work that waits until it is let go, and remembers who was together."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, asked: Sequence[int]) -> list[int | Exception]:
        self.seen.append(list(asked))
        self.begun.set()
        await self.open.wait()
        return [ValueError(str(each)) if each < 0 else 10 * each for each in asked]


@pytest.mark.asyncio
async def test_who_asks_during_a_round_is_in_the_next_one_and_a_round_is_bounded() -> None:
    rounds = Rounds()
    gathering = Gathering(rounds, most=3)
    first = asyncio.create_task(gathering.ask(1))
    await rounds.begun.wait()
    others = [asyncio.create_task(gathering.ask(each)) for each in (2, 3, -4, 5)]
    await asyncio.sleep(0)
    rounds.open.set()
    assert await first == 10
    assert await asyncio.gather(*others, return_exceptions=True) == [20, 30, others[2].exception(), 50]
    assert isinstance(others[2].exception(), ValueError)
    assert rounds.seen == [[1], [2, 3, -4], [5]]


@pytest.mark.asyncio
async def test_after_a_round_of_several_the_next_waits_for_more_and_after_one_alone_it_does_not() -> None:
    rounds, clock = Rounds(), asyncio.get_running_loop().time
    rounds.open.set()
    gathering, begun = Gathering(rounds, apart=0.2), clock()
    assert [await gathering.ask(each) for each in (1, 2, 3)] == [10, 20, 30]
    assert clock() < begun + 0.2
    begun = clock()
    await asyncio.gather(gathering.ask(4), gathering.ask(5))
    assert clock() < begun + 0.2
    late = [asyncio.create_task(gathering.ask(6))]
    await asyncio.sleep(0.1)
    late.append(asyncio.create_task(gathering.ask(7)))
    assert await asyncio.gather(*late) == [60, 70]
    assert clock() >= begun + 0.2
    assert rounds.seen == [[1], [2], [3], [4, 5], [6, 7]]


@pytest.mark.asyncio
async def test_groups_do_not_wait_for_each_other() -> None:
    rounds = Rounds()
    gathering = Gathering(rounds)
    asked = [asyncio.create_task(gathering.ask(each, group=each % 2)) for each in range(4)]
    await rounds.begun.wait()
    rounds.open.set()
    assert await asyncio.gather(*asked) == [0, 10, 20, 30]
    assert sorted(rounds.seen) == [[0, 2], [1, 3]]


@pytest.mark.asyncio
async def test_who_gave_up_before_the_round_was_never_there_and_harms_nobody() -> None:
    rounds = Rounds()
    gathering = Gathering(rounds)
    first = asyncio.create_task(gathering.ask(1))
    await rounds.begun.wait()
    gone, stays = asyncio.create_task(gathering.ask(2)), asyncio.create_task(gathering.ask(3))
    await asyncio.sleep(0)
    gone.cancel()
    first.cancel()
    await asyncio.sleep(0)
    rounds.open.set()
    assert await stays == 30
    assert rounds.seen == [[1], [3]]


@pytest.mark.asyncio
async def test_beyond_its_room_nobody_is_let_in_until_somebody_was_answered() -> None:
    rounds = Rounds()
    gathering = Gathering(rounds, room=2)
    asked = [asyncio.create_task(gathering.ask(each)) for each in (1, 2)]
    await rounds.begun.wait()
    with pytest.raises(Overloaded):
        await gathering.ask(3)
    rounds.open.set()
    await asyncio.gather(*asked)
    assert await gathering.ask(3) == 30


@pytest.mark.asyncio
async def test_a_round_that_fails_fails_for_everybody_and_the_next_one_does_not() -> None:
    broken = True

    async def work(asked: Sequence[int]) -> list[int | Exception]:
        if broken:
            raise ConnectionError
        return list(asked)

    gathering = Gathering(work)
    failed = await asyncio.gather(gathering.ask(1), gathering.ask(2), return_exceptions=True)
    assert [type(each) for each in failed] == [ConnectionError, ConnectionError]
    broken = False
    assert await gathering.ask(3) == 3


# --- purchases


@pytest.mark.asyncio
async def test_purchases_at_the_same_time_are_each_judged_alone(client: Client) -> None:
    shop, other = await client.shop(), await client.shop("other")
    await client.customer(shop)
    await client.customer(other)
    known = sale(reference="known")
    first = await client.http.post("/v1/purchases", json=known, headers=shop.once("known"))
    reports = [
        (shop, sale(reference="a"), "a"), (shop, sale(reference="b", member="nobody"), "b"),
        (shop, sale(reference="c", amount="0"), "c"), (shop, sale(reference="d", amount=5), "d"),
        (shop, known, "known"), (shop, known, "known-too"), (shop, sale(reference="known", amount="1"), "e"),
        (shop, sale(reference="f"), "known"), (shop, sale(reference="a"), "a-too"), (other, sale(reference="a"), "a"),
    ]  # fmt: skip
    answers = await asyncio.gather(
        *(client.http.post("/v1/purchases", json=body, headers=who.once(key)) for who, body, key in reports)
    )
    slugs = [answer.json().get("type", "").rpartition(":")[2] for answer in answers]
    assert slugs == [
        "", "customer-not-found", "invalid-amount", "invalid-request", "", "", "reference-conflict",
        "idempotency-key-reused", "", "",
    ]  # fmt: skip
    assert first.content == answers[4].content == answers[5].content
    assert answers[0].content == answers[8].content
    assert answers[9].json()["customer"] != answers[0].json()["customer"]
    assert client.counts()["purchase"] == 3


@pytest.mark.asyncio
async def test_keys_looked_up_together_are_each_themselves(client: Client) -> None:
    shop, other = await client.shop(), await client.shop("other")
    wrong = {"authorization": f"Bearer {shop.key[:-1]}{'0' if shop.key[-1] != '0' else '1'}"}
    revoked = await client.key(shop, preset="all")
    client.chain.run(
        "update exchange.api_key set revoked_at = now() where prefix = %s", revoked["authorization"][15:25]
    )
    asked = [(shop, shop.auth, 200), (shop, other.auth, 404), (other, other.auth, 200), (shop, wrong, 401),
             (shop, revoked, 401), (shop, shop.auth, 200)]  # fmt: skip
    answers = await asyncio.gather(
        *(client.http.get(f"/v1/merchants/{whose.id}", headers=headers) for whose, headers, _ in asked)
    )
    assert [answer.status_code for answer in answers] == [status for _, _, status in asked]


@pytest.mark.asyncio
async def test_receipts_of_a_bulk_request_are_each_the_issuers_and_stay_the_same(client: Client) -> None:
    shop = await client.shop()
    customer = await client.customer(shop)
    body = {"purchases": [sale(reference=str(i), amount=f"{i + 1}.00") for i in range(40)]}
    answer = await client.http.post("/v1/purchases/bulk", json=body, headers=shop.once())
    made = [result["purchase"] for result in answer.json()["results"]]
    [merchant] = client.chain.run("select issuer from exchange.merchant")
    separator = eip712.domain_separator(31337, shop.programme)
    for each in made:
        receipt = each["receipt"]
        promised = eip712.receipt_hash(
            holder=bytes.fromhex(customer["holder"][2:]),
            amount=int(receipt["amount_base_units"]),
            purchase=bytes.fromhex(receipt["purchase"][2:]),
            accepted_at=receipt["accepted_at"],
            mint_by=receipt["mint_by"],
        )
        signature = bytes.fromhex(receipt["signature"][2:])
        assert receipt_tree.recover(separator, promised, signature) == merchant["issuer"]
    assert len({each["receipt"]["signature"][:132] for each in made}) == 2, "32 receipts a signature"
    shown = (await client.http.get(f"/v1/purchases/{made[7]['id']}", headers=shop.auth)).json()
    assert {name: shown[name] for name in made[7]} == made[7]


# --- what is read the fast way means what the form says

TEXTS = st.text(max_size=6) | st.sampled_from(["a\x7f", "\u200b", "a" * 200, "a" * 201, "ä\\/", "\ud7ff", ""])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "reference": TEXTS,
    "member": TEXTS | st.none(),
    "amount": st.sampled_from(["1", "12.34", "-1", "x", "9" * 81]) | st.integers(),
    "currency": st.sampled_from(["USD", "usd", "USDX", "ÄBC", "US\n"]),
    "store": TEXTS | st.none(),
    "purchased_at": st.sampled_from(
        ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05z", "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05+01:00",
         "2026-13-02T03:04:05Z", "2026-W01-1T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:04:60Z", "today"]
    ),
    "customer": st.uuids().map(str) | st.none(),
}  # fmt: skip
FORMS = st.fixed_dictionaries(
    {name: st.just(value) | FIELDS[name] for name, value in sale(reference="r").items()},
    optional={"customer": FIELDS["customer"], "more": st.integers()},
)


@settings(max_examples=400, deadline=None)
@given(FORMS, st.booleans())
def test_a_sale_read_the_fast_way_is_what_the_form_makes_of_it(form: dict[str, Any], escaped: bool) -> None:
    raw = json.dumps(form, ensure_ascii=escaped).encode(errors="surrogatepass")
    expected: Any
    try:
        expected = sales._ITEM.validate_python(sales.parsed(raw)).report()
    except ValueError:
        expected = None
    try:
        body, report = sales.one(raw)
    except InvalidRequest:
        assert expected is None
        return
    assert report == expected
    assert fingerprint("POST", "/", body, secret=b"s") == fingerprint("POST", "/", sales.parsed(raw), secret=b"s")
    body, [item] = sales.bulk(b'{"purchases": [' + raw + b"]}")
    assert item == expected
    assert fingerprint("POST", "/", body, secret=b"s") == fingerprint(
        "POST", "/", {"purchases": [sales.parsed(raw)]}, secret=b"s"
    )
