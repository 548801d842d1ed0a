"""The contracts on an in-process chain, with the people who use them: no node, no ports, a few milliseconds an act."""

from __future__ import annotations

import ast
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode
from eth_hash.backends.pysha3 import keccak256 as keccak
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils.address import to_checksum_address

from contracts import artifact, bindings, eip712, packed, signatures
from contracts.bindings import Call, Event, Limits, Quote, Roles, Terms

CHAIN_ID = 131277322940537  # eth-tester's own
NOW = 1_900_000_000
FOREVER = 2**40 - 1
GAS = 29_000_000
MAX_FEE_BPS = 500
ROOT = keccak(b"receipts")
RP_ID_HASH = hashlib.sha256(b"localhost").digest()
LASTING = Terms(life=1_000, verified_above=2**96 - 1)
WIDE = Limits(supply_cap=2**96 - 1, entry_cap=2**96 - 1, bucket=2**96 - 1, refill=2**96 - 1)


class Refused(Exception):
    """A call reverted; the text is its reason."""


@dataclass(frozen=True, slots=True)
class Person:
    key: bytes

    @property
    def address(self) -> bytes:
        return signatures.address_of(self.key)

    def sign(self, digest: bytes) -> bytes:
        return signatures.sign(self.key, digest)


def person(name: str) -> Person:
    return Person(keccak(name.encode()))


@dataclass
class Chain:
    tester: Any
    gas_used: int = 0
    id: int = CHAIN_ID

    @classmethod
    def start(cls) -> Chain:
        genesis = PyEVMBackend.generate_genesis_params({"timestamp": NOW})
        return cls(EthereumTester(PyEVMBackend(genesis_parameters=genesis)))

    @property
    def now(self) -> int:
        return int(self.tester.get_block_by_number("pending")["timestamp"])

    def travel(self, seconds: int) -> None:
        self.tester.time_travel(self.now + seconds)

    def deploy(self, name: str, types: Sequence[str] = (), values: Sequence[object] = ()) -> bytes:
        data = artifact.load(name).bytecode + encode(types, values).hex()
        sent = self.tester.send_transaction(self._transaction(0, None, data))
        receipt = self.tester.get_transaction_receipt(sent)
        assert receipt["status"] == 1
        return bytes.fromhex(receipt["contract_address"][2:])

    def do(self, to: bytes, data: bytes, *, sender: int = 0) -> list[Event]:
        """A transaction; its events. `Refused` with the reason if it reverts."""
        transaction = self._transaction(sender, to, "0x" + data.hex())
        receipt = self.tester.get_transaction_receipt(self.tester.send_transaction(transaction))
        self.gas_used = receipt["gas_used"]
        if receipt["status"] != 1:
            self.ask(to, data, sender=sender)
            raise AssertionError("reverted in a transaction and not in a call")
        return [_decoded(log) for log in receipt["logs"]]

    def refusal(self, to: bytes, data: bytes) -> str | None:
        """The reason why a transaction reverted; None if it did not."""
        try:
            self.do(to, data)
        except Refused as refused:
            return str(refused)
        return None

    def ask(self, to: bytes, data: bytes, *, sender: int = 0) -> bytes:
        try:
            answer = self.tester.call(self._transaction(sender, to, "0x" + data.hex()))
        except TransactionFailed as failed:
            reason = str(failed.args[0])  # the backend decodes `Error(string)`, and gives `repr` of the rest
            if not reason.startswith(("b'", 'b"')):
                raise Refused(reason) from None
            raise Refused(bindings.describe_error(ast.literal_eval(reason))) from None
        return bytes.fromhex(answer[2:])

    def account(self, sender: int) -> bytes:
        return bytes.fromhex(self.tester.get_accounts()[sender][2:])

    def _transaction(self, sender: int, to: bytes | None, data: str) -> dict[str, object]:
        whole: dict[str, object] = {
            "from": self.tester.get_accounts()[sender],
            "data": data,
            "gas": GAS,
            "max_fee_per_gas": 10**10,
            "max_priority_fee_per_gas": 0,
        }
        return whole if to is None else whole | {"to": to_checksum_address(to)}


def _decoded(log: Any) -> Event:
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    return bindings.EVENTS[topics[0]].from_log(topics, bytes.fromhex(log["data"][2:]))


@dataclass
class Programme:
    """A merchant's token, with the keys of its owner and issuer."""

    chain: Chain
    address: bytes
    owner: Person
    issuer: Person
    separator: bytes
    batches: Any = field(default_factory=lambda: itertools.count(1))

    def mint_call(self, entries: bytes, *, batch: int, signer: Person | None = None) -> bytes:
        digest = eip712.mint_digest(self.separator, batch=batch, receipts_root=ROOT, entries_hash=keccak(entries))
        signature = (signer or self.issuer).sign(digest)
        return bindings.points_mint(batch=batch, receipts_root=ROOT, entries=entries, signature=signature)

    def mint(self, *entries: tuple[Person, int]) -> list[Event]:
        packed = b"".join(holder.address + amount.to_bytes(12) for holder, amount in entries)
        return self.chain.do(self.address, self.mint_call(packed, batch=next(self.batches)))

    def send_call(
        self,
        holder: Person,
        to: bytes,
        amount: int,
        *,
        nonce: int = 0,
        deadline: int = FOREVER,
        by: Person | None = None,
        short: bool = False,
    ) -> bytes:
        act: dict[str, Any] = {
            "holder": holder.address,
            "to": to,
            "amount": amount,
            "nonce": nonce,
            "deadline": deadline,
        }
        signature = (by or holder).sign(eip712.send_digest(self.separator, **act))
        return (packed.send if short else bindings.points_send)(**act, signature=signature)

    def redeem_call(
        self,
        holder: Person,
        amount: int,
        *,
        order: bytes = ROOT,
        nonce: int = 0,
        deadline: int = FOREVER,
        short: bool = False,
    ) -> bytes:
        act: dict[str, Any] = {"holder": holder.address, "amount": amount, "order": order}
        act |= {"nonce": nonce, "deadline": deadline}
        signature = holder.sign(eip712.redeem_digest(self.separator, **act))
        return (packed.redeem if short else bindings.points_redeem)(**act, signature=signature)

    def balance(self, holder: Person) -> int:
        return self.balance_of(holder.address)

    def balance_of(self, holder: bytes) -> int:
        answer = self.chain.ask(self.address, bindings.points_balance_of(account=holder))
        return bindings.points_balance_of_result(answer)

    def supply(self) -> int:
        return bindings.points_total_supply_result(self.chain.ask(self.address, bindings.points_total_supply()))

    def word(self, holder: Person) -> int:
        answer = self.chain.ask(self.address, bindings.points_account_of(holder=holder.address))
        return bindings.points_account_of_result(answer)


@dataclass
class World:
    chain: Chain
    settlement: bytes
    exchange: bytes
    factory: bytes
    bundle: bytes
    separator: bytes
    salts: Any = field(default_factory=lambda: itertools.count(1))

    def programme(self, name: str, limits: Limits = WIDE, terms: Terms = LASTING) -> Programme:
        owner, issuer = person(f"{name} owner"), person(f"{name} issuer")
        title = name.encode().ljust(32, b"\0")
        call = bindings.factory_create(
            name=title,
            symbol=title,
            roles=Roles(owner.address, issuer.address),
            limits=limits,
            terms=terms,
            salt=next(self.salts).to_bytes(32),
        )
        (created,) = self.chain.do(self.factory, call)
        assert isinstance(created, bindings.ProgrammeCreated)
        separator = eip712.domain_separator(self.chain.id, created.programme)
        return Programme(self.chain, created.programme, owner, issuer, separator)

    def trading(self, name: str, *, bid: int, ask: int, margin: int = 0, cap: int = 2**88 - 1) -> Programme:
        """A programme with a quote and margin."""
        made = self.programme(name)
        self.quote(made, bid=bid, ask=ask, cap=cap)
        if margin:
            self.deposit(made.address, margin)
        return made

    def nonce(self, account: bytes) -> int:
        answer = self.chain.ask(self.exchange, bindings.exchange_nonce_of(account=account))
        return bindings.exchange_nonce_of_result(answer)

    def margin(self, account: bytes) -> int:
        answer = self.chain.ask(self.exchange, bindings.exchange_margin_of(account=account))
        return bindings.exchange_margin_of_result(answer)

    def held(self) -> int:
        answer = self.chain.ask(self.settlement, bindings.settlement_balance_of(account=self.exchange))
        return bindings.settlement_balance_of_result(answer)

    def quote_call(
        self,
        programme: Programme,
        *,
        bid: int,
        ask: int,
        until: int = FOREVER,
        cap: int = 2**88 - 1,
        by: Person | None = None,
    ) -> bytes:
        nonce = self.nonce(programme.address)
        digest = eip712.quote_digest(
            self.separator, programme=programme.address, bid=bid, ask=ask, until=until, cap=cap, nonce=nonce
        )
        return bindings.exchange_set_quote(
            programme=programme.address,
            quote=Quote(bid, ask, until, cap),
            nonce=nonce,
            signature=(by or programme.owner).sign(digest),
        )

    def quote(
        self, programme: Programme, *, bid: int, ask: int, until: int = FOREVER, cap: int = 2**88 - 1
    ) -> list[Event]:
        """Posts a quote and, if it has to wait, waits until it is in force."""
        events = self.chain.do(self.exchange, self.quote_call(programme, bid=bid, ask=ask, until=until, cap=cap))
        (posted,) = events
        assert isinstance(posted, bindings.Quoted)
        self.chain.travel(max(0, posted.effective - self.chain.now))
        return events

    def consent(self, programme: Programme, partner: bytes, allowed: bool = True) -> list[Event]:
        act: dict[str, Any] = {
            "programme": programme.address,
            "partner": partner,
            "allowed": allowed,
            "nonce": self.nonce(programme.address),
        }
        signature = programme.owner.sign(eip712.partner_digest(self.separator, **act))
        return self.chain.do(self.exchange, bindings.exchange_set_partner(**act, signature=signature))

    def partners(self, one: Programme, other: Programme) -> None:
        self.consent(one, other.address)
        self.consent(other, one.address)

    def deposit(self, account: bytes, amount: int) -> list[Event]:
        self.chain.do(self.settlement, bindings.settlement_mint(to=self.chain.account(0), amount=amount))
        return self.chain.do(self.exchange, bindings.exchange_deposit(account=account, amount=amount))

    def withdraw_call(self, account: bytes, signer: Person, to: bytes, amount: int) -> bytes:
        act: dict[str, Any] = {"account": account, "to": to, "amount": amount, "nonce": self.nonce(account)}
        signature = signer.sign(eip712.withdraw_digest(self.separator, **act))
        return bindings.exchange_withdraw(**act, signature=signature)

    def payout_call(self, charity: Person, payout: bytes, *, by: Person | None = None) -> bytes:
        act: dict[str, Any] = {"charity": charity.address, "payout": payout, "nonce": self.nonce(charity.address)}
        signature = (by or charity).sign(eip712.payout_digest(self.separator, **act))
        return bindings.exchange_set_payout(**act, signature=signature)

    def swap_call(
        self,
        from_: Programme,
        into: Programme,
        holder: Person,
        amount: int,
        *,
        minimum: int = 0,
        nonce: int = 0,
        deadline: int = FOREVER,
        short: bool = False,
    ) -> bytes:
        act: dict[str, Any] = {
            "holder": holder.address,
            "amount": amount,
            "into": into.address,
            "minimum": minimum,
            "nonce": nonce,
            "deadline": deadline,
        }
        signature = holder.sign(eip712.swap_digest(from_.separator, **act))
        encode_call = packed.swap if short else bindings.exchange_swap
        return encode_call(from_=from_.address, **act, signature=signature)

    def give_call(
        self,
        programme: Programme,
        holder: Person,
        amount: int,
        charity: bytes,
        *,
        campaign: int = 0,
        nonce: int = 0,
        deadline: int = FOREVER,
        short: bool = False,
    ) -> bytes:
        act: dict[str, Any] = {
            "holder": holder.address,
            "amount": amount,
            "charity": charity,
            "campaign": campaign,
            "nonce": nonce,
            "deadline": deadline,
        }
        signature = holder.sign(eip712.give_digest(programme.separator, **act))
        encode_call = packed.give if short else bindings.exchange_give
        return encode_call(programme=programme.address, **act, signature=signature)

    def charity(self, name: str) -> Person:
        one = person(name)
        title = name.encode().ljust(32, b"\0")
        self.chain.do(self.exchange, bindings.exchange_register_charity(charity=one.address, name=title))
        return one

    def bundled(self, *calls: tuple[bytes, bytes], gas: int = 250_000, sender: int = 0) -> list[Event]:
        return self.chain.do(
            self.bundle, packed.execute([Call(target, gas, data) for target, data in calls]), sender=sender
        )


def make_world(max_fee_bps: int = MAX_FEE_BPS, *, chain: Chain | None = None) -> World:
    """The contracts, the operator (account 0) with an allowance to the exchange, and nothing else."""
    chain = chain or Chain.start()
    settlement = chain.deploy("SettlementToken")
    types = ("address", "address", "uint16", "bytes32")
    values = (settlement, chain.account(0), max_fee_bps, RP_ID_HASH)
    exchange = chain.deploy("Exchange", types, values)
    factory = bindings.exchange_factory_result(chain.ask(exchange, bindings.exchange_factory()))
    chain.do(settlement, bindings.settlement_approve(spender=exchange, value=2**256 - 1))
    separator = eip712.domain_separator(chain.id, exchange)
    return World(chain, settlement, exchange, factory, chain.deploy("Bundle"), separator)
