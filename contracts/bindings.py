"""Generated from the contracts' ABIs by `contracts/generate.py`; `make artifacts` writes it anew.

Events decode by fixed words; a log with an event's topic but another shape raises `UndecodableLog`. Addresses and
hashes are raw bytes. Calldata is `<contract>_<function>(...)`; a view's answer is read by
`<contract>_<view>_result(data)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from contracts import abi
from contracts.abi import UndecodableLog


class Call(NamedTuple):
    target: bytes
    gas: int
    data: bytes


class Limits(NamedTuple):
    supply_cap: int
    entry_cap: int
    bucket: int
    refill: int


class Quote(NamedTuple):
    bid: int
    ask: int
    until: int
    cap: int


class Roles(NamedTuple):
    owner: bytes
    issuer: bytes


APPROVAL_TOPIC: Final = bytes.fromhex("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925")


class Approval(msgspec.Struct, frozen=True, gc=False):
    owner: bytes
    spender: bytes
    value: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Approval:
        if len(topics) != 3 or len(data) != 32 or topics[0] != APPROVAL_TOPIC:
            raise UndecodableLog("Approval", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
        )


CAMPAIGN_OPENED_TOPIC: Final = bytes.fromhex("bd38837f02da870550a81fdf608c6f1b166cdc57ddcafbecee8b674488672495")


class CampaignOpened(msgspec.Struct, frozen=True, gc=False):
    campaign: int
    charity: bytes
    goal: int
    end: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> CampaignOpened:
        if len(topics) != 3 or len(data) != 64 or topics[0] != CAMPAIGN_OPENED_TOPIC:
            raise UndecodableLog("CampaignOpened", topics, data)
        return cls(
            int.from_bytes(topics[1]),
            topics[2][12:],
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
        )


CHARITY_REGISTERED_TOPIC: Final = bytes.fromhex("209ad0d3db944c2001909d74b7fc4380c2f512a878361878ffae14b56b3f12c6")


class CharityRegistered(msgspec.Struct, frozen=True, gc=False):
    charity: bytes
    name: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> CharityRegistered:
        if len(topics) != 2 or len(data) != 32 or topics[0] != CHARITY_REGISTERED_TOPIC:
            raise UndecodableLog("CharityRegistered", topics, data)
        return cls(
            topics[1][12:],
            data[0:32],
        )


DEPOSITED_TOPIC: Final = bytes.fromhex("8752a472e571a816aea92eec8dae9baf628e840f4929fbcc2d155e6233ff68a7")


class Deposited(msgspec.Struct, frozen=True, gc=False):
    account: bytes
    from_: bytes
    amount: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Deposited:
        if len(topics) != 3 or len(data) != 32 or topics[0] != DEPOSITED_TOPIC:
            raise UndecodableLog("Deposited", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
        )


EIP712_DOMAIN_CHANGED_TOPIC: Final = bytes.fromhex("0a6387c9ea3628b88a633bb4f3b151770f70085117a15f9bf3787cda53f13d31")


class EIP712DomainChanged(msgspec.Struct, frozen=True, gc=False):

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> EIP712DomainChanged:
        if len(topics) != 1 or len(data) != 0 or topics[0] != EIP712_DOMAIN_CHANGED_TOPIC:
            raise UndecodableLog("EIP712DomainChanged", topics, data)
        return cls()


FAILED_TOPIC: Final = bytes.fromhex("d3ffc8f4b18262d93e3d5309bfb0d5fa8ffc276603fee2c529efaa02044935af")


class Failed(msgspec.Struct, frozen=True, gc=False):
    index: int
    error: bytes
    first: bytes
    second: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Failed:
        if len(topics) != 2 or len(data) != 96 or topics[0] != FAILED_TOPIC:
            raise UndecodableLog("Failed", topics, data)
        return cls(
            int.from_bytes(topics[1]),
            data[0:4],
            data[32:64],
            data[64:96],
        )


FEE_SET_TOPIC: Final = bytes.fromhex("c8242dc5446855370b781abbfc5d882af1d1a3cc29143216aba3558feb0ce925")


class FeeSet(msgspec.Struct, frozen=True, gc=False):
    fee_bps: int
    account: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> FeeSet:
        if len(topics) != 2 or len(data) != 32 or topics[0] != FEE_SET_TOPIC:
            raise UndecodableLog("FeeSet", topics, data)
        return cls(
            int.from_bytes(data[0:32]),
            topics[1][12:],
        )


GIVEN_TOPIC: Final = bytes.fromhex("41ad13c7bd4e80dbbae3cbf10decab11f6a09cde03abc981a6df7fefb09c7382")


class Given(msgspec.Struct, frozen=True, gc=False):
    intent: bytes
    programme: bytes
    charity: bytes
    holder: bytes
    campaign: int
    amount: int
    value: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Given:
        if len(topics) != 4 or len(data) != 128 or topics[0] != GIVEN_TOPIC:
            raise UndecodableLog("Given", topics, data)
        return cls(
            topics[1],
            topics[2][12:],
            topics[3][12:],
            data[12:32],
            int.from_bytes(data[32:64]),
            int.from_bytes(data[64:96]),
            int.from_bytes(data[96:128]),
        )


MINTED_TOPIC: Final = bytes.fromhex("0e0437ef800ac8d369f1580c429edc454d2f220153d4e4b7ec9a32078cb4bb7b")


class Minted(msgspec.Struct, frozen=True, gc=False):
    batch: int
    receipts_root: bytes
    entries_hash: bytes
    total: int
    count: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Minted:
        if len(topics) != 2 or len(data) != 128 or topics[0] != MINTED_TOPIC:
            raise UndecodableLog("Minted", topics, data)
        return cls(
            int.from_bytes(topics[1]),
            data[0:32],
            data[32:64],
            int.from_bytes(data[64:96]),
            int.from_bytes(data[96:128]),
        )


NONCE_CANCELLED_TOPIC: Final = bytes.fromhex("26ccf9904b9b2fb069d347553978928fd2fc65efb2638dcbeb8d142e974479f0")


class NonceCancelled(msgspec.Struct, frozen=True, gc=False):
    holder: bytes
    nonce: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> NonceCancelled:
        if len(topics) != 2 or len(data) != 32 or topics[0] != NONCE_CANCELLED_TOPIC:
            raise UndecodableLog("NonceCancelled", topics, data)
        return cls(
            topics[1][12:],
            int.from_bytes(data[0:32]),
        )


OWNERSHIP_TRANSFERRED_TOPIC: Final = bytes.fromhex("8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0")


class OwnershipTransferred(msgspec.Struct, frozen=True, gc=False):
    previous: bytes
    current: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> OwnershipTransferred:
        if len(topics) != 3 or len(data) != 0 or topics[0] != OWNERSHIP_TRANSFERRED_TOPIC:
            raise UndecodableLog("OwnershipTransferred", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
        )


PARTNER_SET_TOPIC: Final = bytes.fromhex("4c4339673774ce690c8fdf02bc5f8aac6ff35121d877efc48f352cddf7cc6efc")


class PartnerSet(msgspec.Struct, frozen=True, gc=False):
    programme: bytes
    partner: bytes
    allowed: bool

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> PartnerSet:
        if len(topics) != 3 or len(data) != 32 or topics[0] != PARTNER_SET_TOPIC:
            raise UndecodableLog("PartnerSet", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            any(data[0:32]),
        )


PROGRAMME_CREATED_TOPIC: Final = bytes.fromhex("0270b2bdbe12585b025a33c3fd16b7bc1ae1da3a9fe44611e4446616597ff11b")


class ProgrammeCreated(msgspec.Struct, frozen=True, gc=False):
    programme: bytes
    owner: bytes
    issuer: bytes
    name: bytes
    symbol: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> ProgrammeCreated:
        if len(topics) != 4 or len(data) != 64 or topics[0] != PROGRAMME_CREATED_TOPIC:
            raise UndecodableLog("ProgrammeCreated", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            topics[3][12:],
            data[0:32],
            data[32:64],
        )


QUOTED_TOPIC: Final = bytes.fromhex("38cd7470ca0e8bb4600c9727c01003a076d5b81cbf5bfb0a8902668d33371c17")


class Quoted(msgspec.Struct, frozen=True, gc=False):
    programme: bytes
    bid: int
    ask: int
    until: int
    cap: int
    effective: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Quoted:
        if len(topics) != 2 or len(data) != 160 or topics[0] != QUOTED_TOPIC:
            raise UndecodableLog("Quoted", topics, data)
        return cls(
            topics[1][12:],
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
            int.from_bytes(data[64:96]),
            int.from_bytes(data[96:128]),
            int.from_bytes(data[128:160]),
        )


REDEEMED_TOPIC: Final = bytes.fromhex("6f9f39208215a5899092d7c8b3464ef2c190bd9a9cd108c6ec088242cb0c06bd")


class Redeemed(msgspec.Struct, frozen=True, gc=False):
    intent: bytes
    holder: bytes
    order: bytes
    amount: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Redeemed:
        if len(topics) != 4 or len(data) != 32 or topics[0] != REDEEMED_TOPIC:
            raise UndecodableLog("Redeemed", topics, data)
        return cls(
            topics[1],
            topics[2][12:],
            topics[3],
            int.from_bytes(data[0:32]),
        )


SENT_TOPIC: Final = bytes.fromhex("694312179c29178a99acf06670f5965230682449c6800c13d8a41928b1494ba3")


class Sent(msgspec.Struct, frozen=True, gc=False):
    intent: bytes
    holder: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Sent:
        if len(topics) != 3 or len(data) != 0 or topics[0] != SENT_TOPIC:
            raise UndecodableLog("Sent", topics, data)
        return cls(
            topics[1],
            topics[2][12:],
        )


SWAPPED_TOPIC: Final = bytes.fromhex("c660268e6d24d6fffe69e8d3f3e23946e65db2126cbcbeb066c79f36ab0f9b66")


class Swapped(msgspec.Struct, frozen=True, gc=False):
    intent: bytes
    from_: bytes
    into: bytes
    holder: bytes
    amount: int
    out: int
    value: int
    fee: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Swapped:
        if len(topics) != 4 or len(data) != 160 or topics[0] != SWAPPED_TOPIC:
            raise UndecodableLog("Swapped", topics, data)
        return cls(
            topics[1],
            topics[2][12:],
            topics[3][12:],
            data[12:32],
            int.from_bytes(data[32:64]),
            int.from_bytes(data[64:96]),
            int.from_bytes(data[96:128]),
            int.from_bytes(data[128:160]),
        )


TRANSFER_TOPIC: Final = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")


class Transfer(msgspec.Struct, frozen=True, gc=False):
    from_: bytes
    to: bytes
    value: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Transfer:
        if len(topics) != 3 or len(data) != 32 or topics[0] != TRANSFER_TOPIC:
            raise UndecodableLog("Transfer", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
        )


WITHDRAWN_TOPIC: Final = bytes.fromhex("d1c19fbcd4551a5edfb66d43d2e337c04837afda3482b42bdf569a8fccdae5fb")


class Withdrawn(msgspec.Struct, frozen=True, gc=False):
    account: bytes
    to: bytes
    amount: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Withdrawn:
        if len(topics) != 3 or len(data) != 32 or topics[0] != WITHDRAWN_TOPIC:
            raise UndecodableLog("Withdrawn", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
        )


Event = (
    Approval
    | CampaignOpened
    | CharityRegistered
    | Deposited
    | EIP712DomainChanged
    | Failed
    | FeeSet
    | Given
    | Minted
    | NonceCancelled
    | OwnershipTransferred
    | PartnerSet
    | ProgrammeCreated
    | Quoted
    | Redeemed
    | Sent
    | Swapped
    | Transfer
    | Withdrawn
)


EVENTS: Final[dict[bytes, type[Event]]] = {
    APPROVAL_TOPIC: Approval,
    CAMPAIGN_OPENED_TOPIC: CampaignOpened,
    CHARITY_REGISTERED_TOPIC: CharityRegistered,
    DEPOSITED_TOPIC: Deposited,
    EIP712_DOMAIN_CHANGED_TOPIC: EIP712DomainChanged,
    FAILED_TOPIC: Failed,
    FEE_SET_TOPIC: FeeSet,
    GIVEN_TOPIC: Given,
    MINTED_TOPIC: Minted,
    NONCE_CANCELLED_TOPIC: NonceCancelled,
    OWNERSHIP_TRANSFERRED_TOPIC: OwnershipTransferred,
    PARTNER_SET_TOPIC: PartnerSet,
    PROGRAMME_CREATED_TOPIC: ProgrammeCreated,
    QUOTED_TOPIC: Quoted,
    REDEEMED_TOPIC: Redeemed,
    SENT_TOPIC: Sent,
    SWAPPED_TOPIC: Swapped,
    TRANSFER_TOPIC: Transfer,
    WITHDRAWN_TOPIC: Withdrawn,
}


def points_account_of(*, holder: bytes) -> bytes:
    return bytes.fromhex("8086b8ba") + abi.sequence(abi.address(holder))


def points_account_of_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_allowance(*, holder: bytes, spender: bytes) -> bytes:
    return bytes.fromhex("dd62ed3e") + abi.sequence(abi.address(holder), abi.address(spender))


def points_allowance_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_approve(*, spender: bytes, value: int) -> bytes:
    return bytes.fromhex("095ea7b3") + abi.sequence(abi.address(spender), abi.uint(value, 256))


def points_approve_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def points_balance_of(*, account: bytes) -> bytes:
    return bytes.fromhex("70a08231") + abi.sequence(abi.address(account))


def points_balance_of_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_bucket_available() -> bytes:
    return bytes.fromhex("af0151df")


def points_bucket_available_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_cancel_nonce(*, nonce: int) -> bytes:
    return bytes.fromhex("a4e86e3b") + abi.sequence(abi.uint(nonce, 40))


def points_decimals() -> bytes:
    return bytes.fromhex("313ce567")


def points_decimals_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_eip712_domain() -> bytes:
    return bytes.fromhex("84b0196e")


def points_exchange() -> bytes:
    return bytes.fromhex("d2f7265a")


def points_exchange_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def points_execute_packed() -> bytes:
    return bytes.fromhex("0c89e77a")


def points_execute_packed_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[0:32]


def points_is_nonce_usable(*, holder: bytes, nonce: int) -> bytes:
    return bytes.fromhex("30b13cca") + abi.sequence(abi.address(holder), abi.uint(nonce, 40))


def points_is_nonce_usable_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def points_issuer() -> bytes:
    return bytes.fromhex("1d143848")


def points_issuer_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def points_limits() -> bytes:
    return bytes.fromhex("860aefcf")


def points_limits_result(data: bytes) -> Limits:
    abi.result(data, 4)
    return Limits(int.from_bytes(data[0:32]), int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128]))


def points_mint(*, batch: int, receipts_root: bytes, entries: bytes, signature: bytes) -> bytes:
    return bytes.fromhex("9577d278") + abi.sequence(abi.uint(batch, 32), abi.fixed(receipts_root, 32), abi.blob(entries), abi.blob(signature))


def points_mint_for_swap(*, holder: bytes, amount: int) -> bytes:
    return bytes.fromhex("d401bae3") + abi.sequence(abi.address(holder), abi.uint(amount, 96))


def points_mint_for_swap_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_name() -> bytes:
    return bytes.fromhex("06fdde03")


def points_name_result(data: bytes) -> str:
    return abi.returned_text(data)


def points_next_batch() -> bytes:
    return bytes.fromhex("e7c51f1b")


def points_next_batch_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_owner() -> bytes:
    return bytes.fromhex("8da5cb5b")


def points_owner_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def points_redeem(*, holder: bytes, amount: int, order: bytes, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("d87965df") + abi.sequence(abi.address(holder), abi.uint(amount, 96), abi.fixed(order, 32), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_send(*, holder: bytes, to: bytes, amount: int, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("6ba09201") + abi.sequence(abi.address(holder), abi.address(to), abi.uint(amount, 96), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_symbol() -> bytes:
    return bytes.fromhex("95d89b41")


def points_symbol_result(data: bytes) -> str:
    return abi.returned_text(data)


def points_total_supply() -> bytes:
    return bytes.fromhex("18160ddd")


def points_total_supply_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_transfer(*, to: bytes, value: int) -> bytes:
    return bytes.fromhex("a9059cbb") + abi.sequence(abi.address(to), abi.uint(value, 256))


def points_transfer_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def points_transfer_from(*, from_: bytes, to: bytes, value: int) -> bytes:
    return bytes.fromhex("23b872dd") + abi.sequence(abi.address(from_), abi.address(to), abi.uint(value, 256))


def points_transfer_from_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def exchange_max_fee_bps() -> bytes:
    return bytes.fromhex("d55be8c6")


def exchange_max_fee_bps_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_campaign_of(*, campaign: int) -> bytes:
    return bytes.fromhex("ae3efc54") + abi.sequence(abi.uint(campaign, 32))


def exchange_campaign_of_result(data: bytes) -> tuple[bytes, int, int, int]:
    abi.result(data, 4)
    return data[12:32], int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128])


def exchange_cap_left(*, programme: bytes) -> bytes:
    return bytes.fromhex("70ed086f") + abi.sequence(abi.address(programme))


def exchange_cap_left_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_deposit(*, account: bytes, amount: int) -> bytes:
    return bytes.fromhex("3ae50b73") + abi.sequence(abi.address(account), abi.uint(amount, 96))


def exchange_eip712_domain() -> bytes:
    return bytes.fromhex("84b0196e")


def exchange_execute_packed() -> bytes:
    return bytes.fromhex("0c89e77a")


def exchange_execute_packed_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_factory() -> bytes:
    return bytes.fromhex("c45a0155")


def exchange_factory_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def exchange_give(*, programme: bytes, holder: bytes, amount: int, charity: bytes, campaign: int, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("104d9132") + abi.sequence(abi.address(programme), abi.address(holder), abi.uint(amount, 96), abi.address(charity), abi.uint(campaign, 32), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def exchange_give_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_is_charity(*, account: bytes) -> bytes:
    return bytes.fromhex("e81ffbef") + abi.sequence(abi.address(account))


def exchange_is_charity_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def exchange_margin_of(*, account: bytes) -> bytes:
    return bytes.fromhex("a23270b2") + abi.sequence(abi.address(account))


def exchange_margin_of_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_nonce_of(*, account: bytes) -> bytes:
    return bytes.fromhex("ed2a2d64") + abi.sequence(abi.address(account))


def exchange_nonce_of_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_open_campaign(*, charity: bytes, goal: int, end: int) -> bytes:
    return bytes.fromhex("ff05afc4") + abi.sequence(abi.address(charity), abi.uint(goal, 96), abi.uint(end, 40))


def exchange_open_campaign_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_owner() -> bytes:
    return bytes.fromhex("8da5cb5b")


def exchange_owner_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def exchange_partners(*, from_: bytes, into: bytes) -> bytes:
    return bytes.fromhex("aa5f434c") + abi.sequence(abi.address(from_), abi.address(into))


def exchange_partners_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def exchange_preview_swap(*, from_: bytes, into: bytes, amount: int) -> bytes:
    return bytes.fromhex("a010c77e") + abi.sequence(abi.address(from_), abi.address(into), abi.uint(amount, 96))


def exchange_preview_swap_result(data: bytes) -> tuple[int, int, int]:
    abi.result(data, 3)
    return int.from_bytes(data[0:32]), int.from_bytes(data[32:64]), int.from_bytes(data[64:96])


def exchange_quote_of(*, programme: bytes) -> bytes:
    return bytes.fromhex("cab1ef67") + abi.sequence(abi.address(programme))


def exchange_quote_of_result(data: bytes) -> Quote:
    abi.result(data, 4)
    return Quote(int.from_bytes(data[0:32]), int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128]))


def exchange_register_charity(*, charity: bytes, name: bytes) -> bytes:
    return bytes.fromhex("7e87c695") + abi.sequence(abi.address(charity), abi.fixed(name, 32))


def exchange_set_fee(*, fee_bps: int, account: bytes) -> bytes:
    return bytes.fromhex("30f738be") + abi.sequence(abi.uint(fee_bps, 16), abi.address(account))


def exchange_set_partner(*, programme: bytes, partner: bytes, allowed: bool, nonce: int, signature: bytes) -> bytes:
    return bytes.fromhex("0d807829") + abi.sequence(abi.address(programme), abi.address(partner), abi.boolean(allowed), abi.uint(nonce, 64), abi.blob(signature))


def exchange_set_quote(*, programme: bytes, quote: Quote, nonce: int, signature: bytes) -> bytes:
    return bytes.fromhex("e2c21f11") + abi.sequence(abi.address(programme), abi.structure(abi.uint(quote.bid, 64), abi.uint(quote.ask, 64), abi.uint(quote.until, 40), abi.uint(quote.cap, 88)), abi.uint(nonce, 64), abi.blob(signature))


def exchange_settlement_token() -> bytes:
    return bytes.fromhex("7b9e618d")


def exchange_settlement_token_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def exchange_swap(*, from_: bytes, holder: bytes, amount: int, into: bytes, minimum: int, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("5871ce72") + abi.sequence(abi.address(from_), abi.address(holder), abi.uint(amount, 96), abi.address(into), abi.uint(minimum, 96), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def exchange_swap_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_transfer_ownership(*, to: bytes) -> bytes:
    return bytes.fromhex("f2fde38b") + abi.sequence(abi.address(to))


def exchange_withdraw(*, account: bytes, to: bytes, amount: int, nonce: int, signature: bytes) -> bytes:
    return bytes.fromhex("606536a8") + abi.sequence(abi.address(account), abi.address(to), abi.uint(amount, 96), abi.uint(nonce, 64), abi.blob(signature))


def factory_address_of(*, name: bytes, symbol: bytes, roles: Roles, limits: Limits, salt: bytes) -> bytes:
    return bytes.fromhex("8af19e0b") + abi.sequence(abi.fixed(name, 32), abi.fixed(symbol, 32), abi.structure(abi.address(roles.owner), abi.address(roles.issuer)), abi.structure(abi.uint(limits.supply_cap, 96), abi.uint(limits.entry_cap, 96), abi.uint(limits.bucket, 96), abi.uint(limits.refill, 96)), abi.fixed(salt, 32))


def factory_address_of_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def factory_create(*, name: bytes, symbol: bytes, roles: Roles, limits: Limits, salt: bytes) -> bytes:
    return bytes.fromhex("958e0632") + abi.sequence(abi.fixed(name, 32), abi.fixed(symbol, 32), abi.structure(abi.address(roles.owner), abi.address(roles.issuer)), abi.structure(abi.uint(limits.supply_cap, 96), abi.uint(limits.entry_cap, 96), abi.uint(limits.bucket, 96), abi.uint(limits.refill, 96)), abi.fixed(salt, 32))


def factory_create_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def factory_exchange() -> bytes:
    return bytes.fromhex("d2f7265a")


def factory_exchange_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def factory_is_programme(*, account: bytes) -> bytes:
    return bytes.fromhex("c88c773c") + abi.sequence(abi.address(account))


def factory_is_programme_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def bundle_execute(*, calls: Sequence[Call]) -> bytes:
    return bytes.fromhex("4f4b4d05") + abi.sequence(abi.array([abi.structure(abi.address(item.target), abi.uint(item.gas, 32), abi.blob(item.data)) for item in calls]))


def bundle_execute_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def bundle_execute_packed(*, targets: Sequence[bytes], calls: bytes) -> bytes:
    return bytes.fromhex("98414b5c") + abi.sequence(abi.array([abi.address(item) for item in targets]), abi.blob(calls))


def bundle_execute_packed_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def settlement_allowance(*, owner: bytes, spender: bytes) -> bytes:
    return bytes.fromhex("dd62ed3e") + abi.sequence(abi.address(owner), abi.address(spender))


def settlement_allowance_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def settlement_approve(*, spender: bytes, value: int) -> bytes:
    return bytes.fromhex("095ea7b3") + abi.sequence(abi.address(spender), abi.uint(value, 256))


def settlement_approve_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def settlement_balance_of(*, account: bytes) -> bytes:
    return bytes.fromhex("70a08231") + abi.sequence(abi.address(account))


def settlement_balance_of_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def settlement_decimals() -> bytes:
    return bytes.fromhex("313ce567")


def settlement_decimals_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def settlement_mint(*, to: bytes, amount: int) -> bytes:
    return bytes.fromhex("40c10f19") + abi.sequence(abi.address(to), abi.uint(amount, 256))


def settlement_name() -> bytes:
    return bytes.fromhex("06fdde03")


def settlement_name_result(data: bytes) -> str:
    return abi.returned_text(data)


def settlement_symbol() -> bytes:
    return bytes.fromhex("95d89b41")


def settlement_symbol_result(data: bytes) -> str:
    return abi.returned_text(data)


def settlement_total_supply() -> bytes:
    return bytes.fromhex("18160ddd")


def settlement_total_supply_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def settlement_transfer(*, to: bytes, value: int) -> bytes:
    return bytes.fromhex("a9059cbb") + abi.sequence(abi.address(to), abi.uint(value, 256))


def settlement_transfer_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


def settlement_transfer_from(*, from_: bytes, to: bytes, value: int) -> bytes:
    return bytes.fromhex("23b872dd") + abi.sequence(abi.address(from_), abi.address(to), abi.uint(value, 256))


def settlement_transfer_from_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


ERRORS: Final[dict[bytes, tuple[str, list[str], list[str]]]] = {
    bytes.fromhex("08c379a0"): ("Error", ["reason"], ["string"]),
    bytes.fromhex("4e487b71"): ("Panic", ["code"], ["uint256"]),
    bytes.fromhex("4ca419e6"): ("AlreadyCreated", ["programme"], ["address"]),
    bytes.fromhex("45ed80e9"): ("AlreadyRegistered", ["charity"], ["address"]),
    bytes.fromhex("e49112c8"): ("BatchOutOfOrder", ["expected", "given"], ["uint256", "uint256"]),
    bytes.fromhex("bd49034f"): ("BelowMinimum", ["out", "minimum"], ["uint256", "uint256"]),
    bytes.fromhex("6eb5ece8"): ("BucketExceeded", ["available", "wanted"], ["uint256", "uint256"]),
    bytes.fromhex("5a31f5ed"): ("CampaignEnded", ["campaign", "end"], ["uint256", "uint256"]),
    bytes.fromhex("4ca249dc"): ("Create2EmptyBytecode", [], []),
    bytes.fromhex("d0f63438"): ("DailyCapExceeded", ["account", "left", "wanted"], ["address", "uint256", "uint256"]),
    bytes.fromhex("fb8f41b2"): ("ERC20InsufficientAllowance", ["spender", "allowance", "needed"], ["address", "uint256", "uint256"]),
    bytes.fromhex("e450d38c"): ("ERC20InsufficientBalance", ["sender", "balance", "needed"], ["address", "uint256", "uint256"]),
    bytes.fromhex("e602df05"): ("ERC20InvalidApprover", ["approver"], ["address"]),
    bytes.fromhex("ec442f05"): ("ERC20InvalidReceiver", ["receiver"], ["address"]),
    bytes.fromhex("96c6fd1e"): ("ERC20InvalidSender", ["sender"], ["address"]),
    bytes.fromhex("94280d62"): ("ERC20InvalidSpender", ["spender"], ["address"]),
    bytes.fromhex("efbed5dd"): ("EntryOutOfBounds", ["index", "amount"], ["uint256", "uint256"]),
    bytes.fromhex("b06ebf3d"): ("FailedDeployment", [], []),
    bytes.fromhex("e757126a"): ("FeeTooHigh", ["feeBps", "most"], ["uint256", "uint256"]),
    bytes.fromhex("cf479181"): ("InsufficientBalance", ["balance", "needed"], ["uint256", "uint256"]),
    bytes.fromhex("7d372854"): ("IntentExpired", ["deadline"], ["uint256"]),
    bytes.fromhex("430f13b3"): ("InvalidName", [], []),
    bytes.fromhex("dbc205b1"): ("InvalidNonce", ["account", "nonce"], ["address", "uint256"]),
    bytes.fromhex("f8618030"): ("InvalidQuote", [], []),
    bytes.fromhex("d855c4f4"): ("InvalidSignature", ["signer"], ["address"]),
    bytes.fromhex("4dbd0531"): ("MalformedEntries", ["length"], ["uint256"]),
    bytes.fromhex("6ac6c1e6"): ("MarginOverflow", ["margin", "value"], ["uint256", "uint256"]),
    bytes.fromhex("b6f517bd"): ("MarginTooLow", ["account", "margin", "wanted"], ["address", "uint256", "uint256"]),
    bytes.fromhex("b47f8cc9"): ("NotAContract", ["index", "target"], ["uint256", "address"]),
    bytes.fromhex("5e31f860"): ("NotEnoughGas", ["index"], ["uint256"]),
    bytes.fromhex("48a1f012"): ("NotPartners", ["from", "into"], ["address", "address"]),
    bytes.fromhex("fa23a60d"): ("OnlyExchange", ["caller"], ["address"]),
    bytes.fromhex("0a86c02a"): ("OnlyOwner", ["caller"], ["address"]),
    bytes.fromhex("01ec3b71"): ("QuoteExpired", ["programme", "until"], ["address", "uint256"]),
    bytes.fromhex("5274afe7"): ("SafeERC20FailedOperation", ["token"], ["address"]),
    bytes.fromhex("4b344b11"): ("SupplyCapExceeded", ["cap", "wanted"], ["uint256", "uint256"]),
    bytes.fromhex("39d659fb"): ("UnexpectedDeposit", ["wanted", "received"], ["uint256", "uint256"]),
    bytes.fromhex("25435c4e"): ("UnknownCampaign", ["campaign"], ["uint256"]),
    bytes.fromhex("c5206d9e"): ("UnknownCharity", ["charity"], ["address"]),
    bytes.fromhex("6e05294e"): ("UnknownKind", ["kind"], ["uint256"]),
    bytes.fromhex("398d7b58"): ("UnknownProgramme", ["programme"], ["address"]),
    bytes.fromhex("c183c0f5"): ("WorthNothing", [], []),
    bytes.fromhex("d92e233d"): ("ZeroAddress", [], []),
    bytes.fromhex("1f2a2005"): ("ZeroAmount", [], []),
}


def describe_error(data: bytes) -> str:
    """A revert's reason in words; `data` may be cut short after any word."""
    return abi.describe_error(ERRORS, data)
