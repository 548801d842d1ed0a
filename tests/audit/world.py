"""A network that has lived: a real node, a real database, the gateway, the relayer and the indexer in this process.

Every table of the mirror has rows, and so has every audited table of the gateway: purchases alone, together and in
bulk, opening balances, refunds before and after the batch, with and without a shortfall, sends, redemptions, swaps,
gifts with a match, a withdrawal, a recovery, an expiry; and a programme that the gateway knows nothing of. The
gateway's clock is the chain's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.backends.pysha3 import keccak256
from pydantic import SecretStr

from contracts import bindings, deployment, eip712, receipts, signatures
from contracts.bindings import Limits, Quote, Roles, Terms
from contracts.deployment import Deployment
from contracts.rpc import from_quantity, to_hex, to_quantity
from exchange.relayer.offsetting import enter_shortfalls
from exchange.relayer.refunding import refund_everyone
from exchange.relayer.withdrawing import complete_everyone
from exchange.settings import Settings
from indexer import follow, store
from indexer.metrics import Metrics
from indexer.store import Deployed
from scripts.audit.acts import Act, Network, acts
from scripts.audit.evidence import Block
from scripts.audit.ledger import Ledger
from scripts.audit.promises import Kept
from scripts.audit.record import Record
from tests.audit.reading import read
from tests.conftest import Anvil
from tests.contracts.world import MAX_FEE_BPS
from tests.gateway.conftest import OPERATOR as OPERATOR_API_KEY
from tests.gateway.conftest import Client, serve
from tests.relayer.rig import MASTER, OPERATOR, Rig, open_rig

DAY = 86_400
FOREVER = 2**40 - 1
SENDER = Account.from_key(OPERATOR)
FEES, SPONSOR, PAID_TO = b"\xf1" * 20, bytes.fromhex(Account.from_key(b"\x51" * 32).address[2:]), b"\x99" * 20


@dataclass
class Shop:
    id: str
    slug: str
    programme: bytes
    auth: dict[str, str]


@dataclass
class Past:
    """What an audit knows of the chain: its blocks with their acts, the first being the one before the deployment."""

    network: Network
    history: list[tuple[Block, list[Act]]]

    @property
    def anchor(self) -> Block:
        return self.history[-1][0]

    def kept(self) -> Kept:
        """By which receipts are judged: the history, replayed."""
        ledger = Ledger.begun(self.network, Record(), max_fee_bps=MAX_FEE_BPS)
        for _, found in self.history:
            ledger.apply(found)
        return Kept(self.network.chain_id, ledger.programmes)


@dataclass
class World:
    rig: Rig
    client: Client
    indexing: follow.Mirror
    clock: list[float]
    people: dict[str, LocalAccount] = field(default_factory=dict)
    receipts: list[str] = field(default_factory=list)  # what merchants were answered
    charity: bytes = b""
    foreign: bytes = b""

    @property
    def database(self) -> str:
        return self.rig.database

    # --- time and chain

    async def settle(self) -> None:
        """Everything that is queued has its effect, and is mirrored; what that makes possible, too."""
        for _ in range(2):
            await self.rig.batch(size=8, now=int(self.clock[0]))
            await refund_everyone(self.rig.relaying, master=MASTER, chain_id=31337)
            await self.rig.settle(2)
            await self.index()

    async def index(self) -> None:
        while await follow.step(self.indexing):
            pass
        await enter_shortfalls(self.rig.relaying)
        block = await self.rig.rpc.call("eth_getBlockByNumber", "latest", False)
        self.clock[0] = float(from_quantity(block["timestamp"]))

    async def later(self, seconds: int) -> None:
        await self.rig.rpc.call("evm_increaseTime", seconds)
        await self.rig.mine()
        await self.index()

    async def send(self, to: bytes, data: bytes, *, sender: str = SENDER.address) -> None:
        """By hand, in a block of its own."""
        await self.rig.rpc.call("anvil_impersonateAccount", sender)
        await self.rig.rpc.call("anvil_setBalance", sender, to_quantity(10**20))
        call = {"from": sender, "to": to_hex(to), "data": to_hex(data), "gas": to_quantity(8_000_000)}
        sent = await self.rig.rpc.call("eth_sendTransaction", call)
        await self.rig.mine()
        receipt = await self.rig.rpc.call("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1", "a transaction failed"

    async def past(self, last: int | None = None) -> Past:
        """All blocks, or those up to `last`."""
        made = self.rig.deployment
        first = made.first_block - 1
        head = last or from_quantity(await self.rig.rpc.call("eth_blockNumber"))
        network = Network(made.chain_id, made.factory, made.exchange, made.settlement, made.first_block)
        record = Record()
        history = [(each, acts(each, network, record)) for each in await read(self.rig.rpc, first=first, last=head)]
        assert record.findings == []
        return Past(network, history)

    # --- the gateway

    async def post(self, path: str, body: object, auth: dict[str, str]) -> Any:
        answer = await self.client.http.post(path, json=body, headers={**auth, "idempotency-key": uuid4().hex})
        assert answer.status_code in (200, 201, 202), (path, answer.text)
        if path.startswith(("/v1/purchases", "/v1/opening-balances")):
            self.receipts.append(answer.text)
        return answer.json()

    async def open_shop(self, slug: str) -> Shop:
        body = {
            "slug": slug, "name": slug.capitalize(), "symbol": slug[:5].upper(), "currency": "USD",
            "points_per_unit": "1", "quote": {"bid": "0.0098", "ask": "0.0100"}, "margin": "1000", "pin_from": "never",
        }  # fmt: skip
        made = await self.post("/v1/merchants", body, self.client.operator)
        auth = {"authorization": f"Bearer {made['api_key']}"}
        return Shop(made["id"], slug, bytes.fromhex(made["programme"][2:]), auth)

    async def enrol(self, shop: Shop, *names: str) -> None:
        for name in names:
            self.people.setdefault(name, Account.from_key(name.encode().ljust(32, b"\x07")))
            await self.post("/v1/customers", {"member": name, "wallet": self.people[name].address}, shop.auth)

    def sale(self, member: str, amount: str) -> dict[str, Any]:
        bought = datetime.fromtimestamp(self.clock[0] - 3_600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "reference": uuid4().hex, "member": member, "amount": amount, "currency": "USD", "store": "Main Street 5",
            "purchased_at": bought,
        }  # fmt: skip

    async def sell(self, shop: Shop, member: str, amount: str) -> Any:
        return await self.post("/v1/purchases", self.sale(member, amount), shop.auth)

    async def sell_many(self, shop: Shop, sales: Sequence[tuple[str, str]]) -> list[Any]:
        body = {"purchases": [self.sale(*each) for each in sales]}
        answer = await self.post("/v1/purchases/bulk", body, shop.auth)
        assert answer["refused"] == 0, answer
        return [each["purchase"] for each in answer["results"]]

    async def statuses(self, shop: Shop) -> list[str]:
        """How far each of the shop's purchases has come, and where on the chain it is."""
        found = []
        for (id,) in await self.rig.all("select id from exchange.purchase where merchant_id = %s order by id", shop.id):
            answer = await self.client.http.get(f"/v1/purchases/{id}", headers=shop.auth)
            assert answer.status_code == 200, answer.text
            found.append(answer.text)
        return found

    async def export(self, shop: Shop, member: str) -> bytes:
        """All that the shop holds of its member."""
        query = "select id from exchange.member where merchant_id = %s and reference = %s"
        [(id,)] = await self.rig.all(query, shop.id, member)
        answer = await self.client.http.post(f"/v1/customers/{id}/export", headers=shop.auth)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def refund(self, shop: Shop, purchase: Any, amount: str | None = None) -> Any:
        body = {"reference": uuid4().hex, **({} if amount is None else {"amount": amount})}
        return await self.post(f"/v1/purchases/{purchase['id']}/refunds", body, shop.auth)

    async def sign(self, shop: Shop, member: str, kind: str, amount: str, **more: Any) -> None:
        """A wallet's intent."""
        wallet = self.people[member]
        body = {"kind": kind, "programme": shop.slug, "holder": wallet.address, "amount": amount, **more}
        draft = await self.post("/v1/intents/draft", body, {})
        signed = Account.sign_typed_data(wallet.key, full_message=draft["typed_data"]).signature.hex()
        terms = {"nonce": draft["nonce"], "deadline": draft["deadline"], "signature": "0x" + signed.removeprefix("0x")}
        await self.post("/v1/intents", {**body, **terms}, {})

    def holder(self, member: str) -> bytes:
        return bytes.fromhex(self.people[member].address[2:])


@asynccontextmanager
async def open_world(database: str, anvil: Anvil, made: Deployment, folder: Path) -> AsyncIterator[World]:
    """Nothing has happened yet. The node must mine only when told to."""
    path = folder / "deployment.json"
    deployment.save(made, path)
    clock = [0.0]
    settings = Settings(
        database_url=database,
        deployment=path,
        operator_api_key=SecretStr(OPERATOR_API_KEY),
        rpc_url=anvil.url,
        pool_size=4,
        master_key=SecretStr(MASTER.hex()),
    )
    async with open_rig(database, anvil, made) as rig, await store.connect(database) as connection:
        deployed = Deployed(made.chain_id, made.factory, made.exchange, made.first_block)
        indexing = await follow.open_mirror(connection, rig.rpc, deployed, Metrics())
        async with serve(settings, clock=lambda: clock[0]) as client:
            world = World(rig, client, indexing, clock)
            await world.later(1)
            yield world


async def live(world: World) -> tuple[Shop, Shop]:
    """The whole story; afterwards nothing is under way but what waits for its return window."""
    grocer, florist = await world.open_shop("grocer"), await world.open_shop("florist")
    await world.settle()
    await _open_market(world, grocer, florist)
    await world.enrol(grocer, "ann", "bob", "cat", "dan", "eve", "fay")
    await world.enrol(florist, "ann", "gus")
    await _sell(world, grocer, florist)
    await _act(world, grocer)
    await _refund(world, grocer)
    await _go_abroad(world, grocer)
    return grocer, florist


async def _open_market(world: World, grocer: Shop, florist: Shop) -> None:
    exchange, operator = world.rig.deployment.exchange, world.client.operator
    for one, other in ((grocer, florist), (florist, grocer)):
        path = f"/v1/merchants/{one.id}/partners/{other.slug}"
        answer = await world.client.http.put(path, json={"allowed": True}, headers=operator)
        assert answer.status_code == 202, answer.text
    made = await world.post("/v1/charities", {"slug": "food-bank", "name": "City Food Bank"}, operator)
    world.charity = bytes.fromhex(made["address"][2:])
    ends = datetime.fromtimestamp(world.clock[0] + 300 * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    campaign = {"charity": "food-bank", "title": "A warm winter", "goal": "10", "ends_at": ends}
    await world.post("/v1/campaigns", campaign, operator)
    await world.settle()
    await world.send(exchange, bindings.exchange_set_fee(fee_bps=30, account=FEES))
    await world.send(exchange, bindings.exchange_deposit(account=SPONSOR, amount=10**8))
    await world.send(exchange, bindings.exchange_name_sponsor(number=1, sponsor=SPONSOR))
    match = bindings.exchange_set_match(
        number=1, ratio=5_000, pool=10**7, until=int(world.clock[0]) + 30 * DAY, nonce=0, signature=b""
    )
    await world.send(exchange, match, sender="0x" + SPONSOR.hex())
    await world.index()


async def _sell(world: World, grocer: Shop, florist: Shop) -> None:
    await world.sell(grocer, "ann", "12.34")
    # At the same time, so that receipts share signatures.
    names = ("ann", "bob", "cat", "dan", "eve")
    await asyncio.gather(*(world.sell(grocer, name, f"{20 + place}.00") for place, name in enumerate(names)))
    await world.sell_many(grocer, [(names[n % 5], f"{n + 3}.50") for n in range(13)])
    balances = [{"member": name, "points": f"{place}.00"} for place, name in enumerate(names)]
    opened = await world.post("/v1/opening-balances", {"balances": balances}, grocer.auth)
    assert opened["accepted"] == 5
    await world.sell_many(florist, [("ann", "40.00"), ("gus", "7.00")])
    await world.settle()


async def _act(world: World, grocer: Shop) -> None:
    charity = to_hex(world.charity)
    await world.sign(grocer, "ann", "send", "5.00", to=world.people["bob"].address)
    await world.sign(grocer, "bob", "redeem", "4.00", order="0x" + "ab" * 32)
    await world.sign(grocer, "cat", "swap", "10.00", into="florist", minimum="9.00")
    await world.sign(grocer, "dan", "give", "8.00", charity=charity, campaign=1)
    await world.sign(grocer, "eve", "give", "2.00", charity=charity)
    await world.sign(grocer, "ann", "swap", "3.00", into="florist", minimum="2.00")
    await world.settle()


async def _refund(world: World, grocer: Shop) -> None:
    path = f"/v1/merchants/{grocer.id}/terms"
    # From now on shortfalls are offset; of a year's window what is refunded within it is never minted.
    changed = await world.client.http.patch(path, json={"offset_shortfalls": True}, headers=grocer.auth)
    assert changed.status_code == 200, changed.text
    kept, spent, other = [await world.sell(grocer, name, "30.00") for name in ("bob", "fay", "cat")]
    await world.settle()
    await world.sign(grocer, "fay", "send", "30.00", to=world.people["dan"].address)
    await world.settle()
    await world.refund(grocer, kept, "10.00")
    await world.refund(grocer, spent)
    await world.settle()
    await world.refund(grocer, kept, "5.00")
    await world.refund(grocer, other, "30.00")
    await world.rig.mine(20)
    await world.settle()
    withholding = await world.sell(grocer, "fay", "50.00")
    assert withholding["offset"] == "30.00"
    changed = await world.client.http.patch(path, json={"return_window": 365}, headers=grocer.auth)
    assert changed.status_code == 200, changed.text
    waiting = [await world.sell(grocer, name, "25.00") for name in ("ann", "bob", "eve")]
    await world.refund(grocer, waiting[0], "5.00")
    await world.refund(grocer, waiting[0], "6.00")
    await world.refund(grocer, waiting[1])
    await world.settle()


async def _go_abroad(world: World, grocer: Shop) -> None:
    """A programme of somebody else, whose points are transferred, expire and are recovered; and a withdrawal."""
    world.foreign = await _create(world)
    await world.send(world.foreign, bindings.points_extend_life(wanted=40, nonce=0, deadline=0, signature=b""))
    people = ("hal", "ida", "joe", "kim")
    for name in people:
        world.people[name] = Account.from_key(name.encode().ljust(32, b"\x07"))
    await _mint(world, [(world.holder(name), 1_000 + place) for place, name in enumerate(people)])
    transfer = bindings.points_transfer(to=world.holder("ida"), value=7)
    await world.send(world.foreign, transfer, sender=world.people["hal"].address)
    nothing = bindings.points_transfer(to=world.holder("ida"), value=0)
    await world.send(world.foreign, nothing, sender=world.people["hal"].address)
    act = {"holder": world.holder("joe"), "to": world.holder("kim")}
    await world.send(world.foreign, bindings.points_recover(**act, nonce=1, deadline=FOREVER, signature=b""))
    withdrawal = {"amount": "100", "to": to_hex(PAID_TO)}
    await world.post(f"/v1/merchants/{grocer.id}/withdrawals", withdrawal, grocer.auth)
    await world.settle()
    await world.later(15 * DAY)
    await world.send(world.foreign, bindings.points_finish_recovery(holder=world.holder("joe")))
    await complete_everyone(world.rig.relaying, world.rig.rpc, exchange=world.rig.deployment.exchange)
    await world.settle()
    await world.later(41 * DAY)
    await world.send(world.foreign, bindings.points_sweep(holders=[world.holder("ida")]))
    await world.rig.mine(20)
    await world.settle()


async def _create(world: World) -> bytes:
    factory = world.rig.deployment.factory
    fields: dict[str, Any] = {
        # Cut in the middle of a letter, which is no UTF-8.
        "name": ("Café " * 6).encode()[:30].ljust(32, b"\0"),
        "symbol": "É".encode()[:1].ljust(32, b"\0"),
        "roles": Roles(bytes.fromhex(SENDER.address[2:]), bytes.fromhex(SENDER.address[2:])),
        "limits": Limits(supply_cap=10**14, entry_cap=10**10, bucket=10**13, refill=10**9),
        "terms": Terms(life=30, verified_above=2**96 - 1),
        "salt": bytes(32),
    }
    token = bindings.factory_address_of_result(await world.rig.view(factory, bindings.factory_address_of(**fields)))
    await world.send(factory, bindings.factory_create(**fields))
    quote = Quote(bid=10**9, ask=2 * 10**9, until=FOREVER, cap=10**9)
    post = bindings.exchange_set_quote(programme=token, quote=quote, nonce=0, signature=b"")
    await world.send(world.rig.deployment.exchange, post)
    return token


async def _mint(world: World, entries: Sequence[tuple[bytes, int]]) -> None:
    packed, root = receipts.pack_entries(entries), keccak256(b"root")
    digest = eip712.mint_digest(
        eip712.domain_separator(31337, world.foreign), batch=1, receipts_root=root, entries_hash=keccak256(packed)
    )
    signature = signatures.sign(OPERATOR, digest)
    await world.send(
        world.foreign, bindings.points_mint(batch=1, receipts_root=root, entries=packed, signature=signature)
    )
