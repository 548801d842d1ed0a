"""A lost holder's points: announced over HTTP, moved by the chain two weeks after, unless the holder acts."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from eth_account import Account

from contracts import signatures
from contracts.rpc import to_hex
from exchange import recoveries, vault
from tests.gateway.test_refusals import refused
from tests.relayer.network import FRIEND, Network
from tests.relayer.rig import MASTER

LOST = b"\x07" * 32
HOLDER = signatures.address_of(LOST)


class Owner:
    """The merchant's own key of the gateway."""

    def __init__(self, network: Network, auth: dict[str, str]) -> None:
        self.network, self.auth = network, auth
        self.path = f"/v1/merchants/{network.programme.merchant}/recoveries"

    @classmethod
    async def of(cls, network: Network, *, kept: bool) -> Owner:
        merchant = network.programme.merchant
        if kept:
            sealed = vault.seal(MASTER, network.programme.owner, purpose=f"owner:{merchant}")
            await network.rig.sql.execute("update exchange.merchant set owner_key = %s", (sealed,))
        keys = f"/v1/merchants/{merchant}/keys"
        made = await network.client.http.post(keys, json={"preset": "all"}, headers=network.client.operator)
        assert made.status_code == 201, made.text
        return cls(network, {"authorization": f"Bearer {made.json()['api_key']}"})

    async def announce(self, once: str = "k", **more: Any) -> httpx2.Response:
        body = {"holder": to_hex(HOLDER), "to": to_hex(FRIEND), **more}
        headers = {**self.auth, "idempotency-key": once}
        return await self.network.client.http.post(self.path, json=body, headers=headers)

    async def status(self) -> str:
        answer = await self.network.client.http.get(f"{self.path}/{to_hex(HOLDER)}", headers=self.auth)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["status"])

    async def finish(self) -> httpx2.Response:
        return await self.network.client.http.post(f"{self.path}/{to_hex(HOLDER)}/finish", headers=self.auth)

    async def later(self) -> None:
        """As if the notice were over, for the chain and for the gateway."""
        await self.network.rig.rpc.call("evm_increaseTime", recoveries.NOTICE)
        await self.network.rig.mine()
        gateway = self.network.client.app.state.gateway
        clock = gateway.clock
        object.__setattr__(gateway, "clock", lambda: clock() + recoveries.NOTICE + 60)


@pytest.mark.asyncio
async def test_a_lost_holders_points_move_two_weeks_after_the_announcement(network: Network) -> None:
    owner = await Owner.of(network, kept=True)
    await network.fund(HOLDER, 1_000)
    assert await owner.status() == "none"
    refused(await owner.finish(), 409, "no-recovery")
    for _ in range(2):
        assert (await owner.announce()).status_code == 202
    assert len(await network.rig.all("select 1 from exchange.call where kind = 'recover'")) == 1, "the same key once"
    await network.rig.settle()
    assert await owner.status() == "announced"
    refused(await owner.finish(), 409, "no-recovery")
    await owner.later()
    assert await owner.status() == "due"
    assert (await owner.finish()).status_code == 202
    assert await network.friend_has() == 1_000
    assert await network.rig.balance(network.programme, HOLDER) == 0
    assert await owner.status() == "none"
    refused(await owner.finish(), 409, "no-recovery")
    # The owner's next nonce is the next one.
    assert (await owner.announce("k2")).status_code == 202
    await network.rig.settle()
    assert await owner.status() == "announced"


@pytest.mark.asyncio
async def test_a_holder_who_is_there_cancels_a_recovery_by_any_act(network: Network) -> None:
    owner = await Owner.of(network, kept=True)
    await network.fund(HOLDER, 1_000)
    assert (await owner.announce()).status_code == 202
    await network.rig.settle()
    wish = await network.wish(HOLDER, "1.00")
    signed = signatures.sign(LOST, bytes.fromhex(wish["digest"][2:]))
    assert (await network.submit(wish, signature=to_hex(signed))).status_code == 202
    assert await network.friend_has() == 100
    assert await owner.status() == "none"
    await owner.later()
    refused(await owner.finish(), 409, "no-recovery")
    assert await network.rig.balance(network.programme, HOLDER) == 900


@pytest.mark.asyncio
async def test_an_owner_that_keeps_its_key_signs_what_it_is_shown(network: Network) -> None:
    owner = await Owner.of(network, kept=False)
    needed = refused(await owner.announce(), 409, "owner-signature-needed")
    document = needed["typed_data"]
    signed = Account.sign_typed_data(network.programme.owner, full_message=document)
    own = {
        "nonce": int(document["message"]["nonce"]), "deadline": int(document["message"]["deadline"]),
        "signature": "0x" + signed.signature.hex().removeprefix("0x"),
    }  # fmt: skip
    refused(await owner.announce(**{**own, "nonce": own["nonce"] + 1}), 422, "bad-signature")
    refused(await owner.announce(**{**own, "deadline": None}), 422, "invalid-request")
    refused(await owner.announce(**own, to=to_hex(HOLDER)), 422, "invalid-request")
    assert (await owner.announce(**own)).status_code == 202
    await network.rig.settle()
    assert await owner.status() == "announced"
