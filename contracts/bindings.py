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


class Terms(NamedTuple):
    life: int
    verified_above: int


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


CLAWED_BACK_TOPIC: Final = bytes.fromhex("b51de3177c9035741facbc720dd780194487b427016c1ec08d6607497fe4e9b3")


class ClawedBack(msgspec.Struct, frozen=True, gc=False):
    batch: int
    holder: bytes
    purchase: bytes
    index: int
    burned: int
    shortfall: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> ClawedBack:
        if len(topics) != 4 or len(data) != 96 or topics[0] != CLAWED_BACK_TOPIC:
            raise UndecodableLog("ClawedBack", topics, data)
        return cls(
            int.from_bytes(topics[1]),
            topics[2][12:],
            topics[3],
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
            int.from_bytes(data[64:96]),
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


EXPIRED_TOPIC: Final = bytes.fromhex("751a0eb66c3cc9aa48957d09bd3cc81db888f5bcac6689def5fb9e18ec3cf201")


class Expired(msgspec.Struct, frozen=True, gc=False):
    holder: bytes
    amount: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Expired:
        if len(topics) != 2 or len(data) != 32 or topics[0] != EXPIRED_TOPIC:
            raise UndecodableLog("Expired", topics, data)
        return cls(
            topics[1][12:],
            int.from_bytes(data[0:32]),
        )


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


GIVEN_TOPIC: Final = bytes.fromhex("1566f57813659bbff83447bd9d4cc6c81de2b94fab2b3fcdde99a21d36a2ae2c")


class Given(msgspec.Struct, frozen=True, gc=False):
    intent: bytes
    programme: bytes
    charity: bytes
    campaign: int
    value: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Given:
        if len(topics) != 4 or len(data) != 64 or topics[0] != GIVEN_TOPIC:
            raise UndecodableLog("Given", topics, data)
        return cls(
            topics[1],
            topics[2][12:],
            topics[3][12:],
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
        )


GUARDIAN_SET_TOPIC: Final = bytes.fromhex("e6c09ffe4572dc9ceaa5ddde4ae41befa655d6fdfe8052077af0970f700e942e")


class GuardianSet(msgspec.Struct, frozen=True, gc=False):
    guardian: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> GuardianSet:
        if len(topics) != 2 or len(data) != 0 or topics[0] != GUARDIAN_SET_TOPIC:
            raise UndecodableLog("GuardianSet", topics, data)
        return cls(
            topics[1][12:],
        )


LIFE_EXTENDED_TOPIC: Final = bytes.fromhex("f6055f22ed1907bade555d1ada92d15aa4b74de19345938a7fd6b04dbf8204eb")


class LifeExtended(msgspec.Struct, frozen=True, gc=False):
    life: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> LifeExtended:
        if len(topics) != 1 or len(data) != 32 or topics[0] != LIFE_EXTENDED_TOPIC:
            raise UndecodableLog("LifeExtended", topics, data)
        return cls(
            int.from_bytes(data[0:32]),
        )


LIMITS_SET_TOPIC: Final = bytes.fromhex("9e6581b71d136d4b494da49875d5525291a67be46b32aeab3f53ecba831163a9")


class LimitsSet(msgspec.Struct, frozen=True, gc=False):
    supply_cap: int
    entry_cap: int
    bucket: int
    refill: int
    effective: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> LimitsSet:
        if len(topics) != 1 or len(data) != 160 or topics[0] != LIMITS_SET_TOPIC:
            raise UndecodableLog("LimitsSet", topics, data)
        return cls(
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
            int.from_bytes(data[64:96]),
            int.from_bytes(data[96:128]),
            int.from_bytes(data[128:160]),
        )


MATCH_SET_TOPIC: Final = bytes.fromhex("78c7d299f462f042a3bd9bc356eeadab6ea2bf5914d6cf7051b6b49d9634af97")


class MatchSet(msgspec.Struct, frozen=True, gc=False):
    campaign: int
    sponsor: bytes
    ratio: int
    pool: int
    until: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> MatchSet:
        if len(topics) != 3 or len(data) != 96 or topics[0] != MATCH_SET_TOPIC:
            raise UndecodableLog("MatchSet", topics, data)
        return cls(
            int.from_bytes(topics[1]),
            topics[2][12:],
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
            int.from_bytes(data[64:96]),
        )


MATCHED_TOPIC: Final = bytes.fromhex("e822dfda17a8c2b55306beb719cddb87381d3e91c4dcc008a7463d7da4f05fa1")


class Matched(msgspec.Struct, frozen=True, gc=False):
    intent: bytes
    campaign: int
    sponsor: bytes
    charity: bytes
    value: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Matched:
        if len(topics) != 4 or len(data) != 64 or topics[0] != MATCHED_TOPIC:
            raise UndecodableLog("Matched", topics, data)
        return cls(
            topics[1],
            int.from_bytes(topics[2]),
            topics[3][12:],
            data[12:32],
            int.from_bytes(data[32:64]),
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


PAUSE_SET_TOPIC: Final = bytes.fromhex("6f699ce4d02cfb79a55b1c9e5c7be4706f5970349e5889aeaf8669c2340f6148")


class PauseSet(msgspec.Struct, frozen=True, gc=False):
    until: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> PauseSet:
        if len(topics) != 1 or len(data) != 32 or topics[0] != PAUSE_SET_TOPIC:
            raise UndecodableLog("PauseSet", topics, data)
        return cls(
            int.from_bytes(data[0:32]),
        )


PAYOUT_SET_TOPIC: Final = bytes.fromhex("c2a26648ed7d9663546cc7e54338eeb250c4905c3498bce802a151d515808256")


class PayoutSet(msgspec.Struct, frozen=True, gc=False):
    charity: bytes
    payout: bytes
    effective: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> PayoutSet:
        if len(topics) != 3 or len(data) != 32 or topics[0] != PAYOUT_SET_TOPIC:
            raise UndecodableLog("PayoutSet", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
        )


PROGRAMME_CREATED_TOPIC: Final = bytes.fromhex("1aee9b8dac1a1a2fe22b5d763ce940cb5437313befeb0c51a07669c0e2ff6106")


class ProgrammeCreated(msgspec.Struct, frozen=True, gc=False):
    programme: bytes
    owner: bytes
    issuer: bytes
    name: bytes
    symbol: bytes
    life: int
    verified_above: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> ProgrammeCreated:
        if len(topics) != 4 or len(data) != 128 or topics[0] != PROGRAMME_CREATED_TOPIC:
            raise UndecodableLog("ProgrammeCreated", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            topics[3][12:],
            data[0:32],
            data[32:64],
            int.from_bytes(data[64:96]),
            int.from_bytes(data[96:128]),
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


RECOVERED_TOPIC: Final = bytes.fromhex("fff3b3844276f57024e0b42afec1a37f75db36511e43819a4f2a63ab7862b648")


class Recovered(msgspec.Struct, frozen=True, gc=False):
    holder: bytes
    to: bytes
    amount: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Recovered:
        if len(topics) != 3 or len(data) != 32 or topics[0] != RECOVERED_TOPIC:
            raise UndecodableLog("Recovered", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
        )


RECOVERY_CANCELLED_TOPIC: Final = bytes.fromhex("8154b6c5e1fc90d44b49808ef93f9739148d0821411890f8cd684385e24b9f1e")


class RecoveryCancelled(msgspec.Struct, frozen=True, gc=False):
    holder: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> RecoveryCancelled:
        if len(topics) != 2 or len(data) != 0 or topics[0] != RECOVERY_CANCELLED_TOPIC:
            raise UndecodableLog("RecoveryCancelled", topics, data)
        return cls(
            topics[1][12:],
        )


RECOVERY_STARTED_TOPIC: Final = bytes.fromhex("acd637199da8579ddc0d7510cb9b09dcac0f944de300f1a2d034231428c4efec")


class RecoveryStarted(msgspec.Struct, frozen=True, gc=False):
    holder: bytes
    to: bytes
    due: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> RecoveryStarted:
        if len(topics) != 3 or len(data) != 32 or topics[0] != RECOVERY_STARTED_TOPIC:
            raise UndecodableLog("RecoveryStarted", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
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


SENT_TOPIC: Final = bytes.fromhex("27b5aea9f5736c02241d8a0272e9ec988ea44cf85c4b4760329431aa19678394")


class Sent(msgspec.Struct, frozen=True, gc=False):
    intent: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Sent:
        if len(topics) != 2 or len(data) != 0 or topics[0] != SENT_TOPIC:
            raise UndecodableLog("Sent", topics, data)
        return cls(
            topics[1],
        )


SPONSOR_NAMED_TOPIC: Final = bytes.fromhex("0045a6f6f38040dc1a78f24fac5d1f04b649f7086f8431c8fb1fbf931a50fe60")


class SponsorNamed(msgspec.Struct, frozen=True, gc=False):
    campaign: int
    sponsor: bytes

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> SponsorNamed:
        if len(topics) != 3 or len(data) != 0 or topics[0] != SPONSOR_NAMED_TOPIC:
            raise UndecodableLog("SponsorNamed", topics, data)
        return cls(
            int.from_bytes(topics[1]),
            topics[2][12:],
        )


SWAPPED_TOPIC: Final = bytes.fromhex("4adf69b3cc3659bd54b982c2e827bdeeb1fd17ae206a7fe64f28d4d7d0c3ad84")


class Swapped(msgspec.Struct, frozen=True, gc=False):
    intent: bytes
    from_: bytes
    into: bytes
    value: int
    fee: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Swapped:
        if len(topics) != 4 or len(data) != 64 or topics[0] != SWAPPED_TOPIC:
            raise UndecodableLog("Swapped", topics, data)
        return cls(
            topics[1],
            topics[2][12:],
            topics[3][12:],
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
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


WITHDRAWAL_ANNOUNCED_TOPIC: Final = bytes.fromhex("c928030e5a8733053fe0b9b133e8e6945af6acb852da1dc5429dc036a6863847")


class WithdrawalAnnounced(msgspec.Struct, frozen=True, gc=False):
    account: bytes
    to: bytes
    amount: int
    due: int

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> WithdrawalAnnounced:
        if len(topics) != 3 or len(data) != 64 or topics[0] != WITHDRAWAL_ANNOUNCED_TOPIC:
            raise UndecodableLog("WithdrawalAnnounced", topics, data)
        return cls(
            topics[1][12:],
            topics[2][12:],
            int.from_bytes(data[0:32]),
            int.from_bytes(data[32:64]),
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
    | ClawedBack
    | Deposited
    | EIP712DomainChanged
    | Expired
    | Failed
    | FeeSet
    | Given
    | GuardianSet
    | LifeExtended
    | LimitsSet
    | MatchSet
    | Matched
    | Minted
    | NonceCancelled
    | OwnershipTransferred
    | PartnerSet
    | PauseSet
    | PayoutSet
    | ProgrammeCreated
    | Quoted
    | Recovered
    | RecoveryCancelled
    | RecoveryStarted
    | Redeemed
    | Sent
    | SponsorNamed
    | Swapped
    | Transfer
    | WithdrawalAnnounced
    | Withdrawn
)


EVENTS: Final[dict[bytes, type[Event]]] = {
    APPROVAL_TOPIC: Approval,
    CAMPAIGN_OPENED_TOPIC: CampaignOpened,
    CHARITY_REGISTERED_TOPIC: CharityRegistered,
    CLAWED_BACK_TOPIC: ClawedBack,
    DEPOSITED_TOPIC: Deposited,
    EIP712_DOMAIN_CHANGED_TOPIC: EIP712DomainChanged,
    EXPIRED_TOPIC: Expired,
    FAILED_TOPIC: Failed,
    FEE_SET_TOPIC: FeeSet,
    GIVEN_TOPIC: Given,
    GUARDIAN_SET_TOPIC: GuardianSet,
    LIFE_EXTENDED_TOPIC: LifeExtended,
    LIMITS_SET_TOPIC: LimitsSet,
    MATCH_SET_TOPIC: MatchSet,
    MATCHED_TOPIC: Matched,
    MINTED_TOPIC: Minted,
    NONCE_CANCELLED_TOPIC: NonceCancelled,
    OWNERSHIP_TRANSFERRED_TOPIC: OwnershipTransferred,
    PARTNER_SET_TOPIC: PartnerSet,
    PAUSE_SET_TOPIC: PauseSet,
    PAYOUT_SET_TOPIC: PayoutSet,
    PROGRAMME_CREATED_TOPIC: ProgrammeCreated,
    QUOTED_TOPIC: Quoted,
    RECOVERED_TOPIC: Recovered,
    RECOVERY_CANCELLED_TOPIC: RecoveryCancelled,
    RECOVERY_STARTED_TOPIC: RecoveryStarted,
    REDEEMED_TOPIC: Redeemed,
    SENT_TOPIC: Sent,
    SPONSOR_NAMED_TOPIC: SponsorNamed,
    SWAPPED_TOPIC: Swapped,
    TRANSFER_TOPIC: Transfer,
    WITHDRAWAL_ANNOUNCED_TOPIC: WithdrawalAnnounced,
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


def points_cancel(*, holder: bytes, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("6e903b30") + abi.sequence(abi.address(holder), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_cancel_nonce(*, nonce: int) -> bytes:
    return bytes.fromhex("a4e86e3b") + abi.sequence(abi.uint(nonce, 40))


def points_clawback(*, batch: int, index: int, purchase: bytes, taken: int, entries: bytes, proof: Sequence[bytes], signature: bytes) -> bytes:
    return bytes.fromhex("973d7016") + abi.sequence(abi.uint(batch, 32), abi.uint(index, 32), abi.fixed(purchase, 32), abi.uint(taken, 96), abi.blob(entries), abi.array([abi.fixed(item, 32) for item in proof]), abi.blob(signature))


def points_credit_against_margin(*, holder: bytes, amount: int) -> bytes:
    return bytes.fromhex("0c89c179") + abi.sequence(abi.address(holder), abi.uint(amount, 96))


def points_credit_against_margin_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


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


def points_extend_life(*, wanted: int, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("bcdaa67a") + abi.sequence(abi.uint(wanted, 16), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_finish_recovery(*, holder: bytes) -> bytes:
    return bytes.fromhex("c53d8124") + abi.sequence(abi.address(holder))


def points_has_passkeys() -> bytes:
    return bytes.fromhex("80d04e03")


def points_has_passkeys_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


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


def points_life() -> bytes:
    return bytes.fromhex("c5310868")


def points_life_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_limits() -> bytes:
    return bytes.fromhex("860aefcf")


def points_limits_result(data: bytes) -> Limits:
    abi.result(data, 4)
    return Limits(int.from_bytes(data[0:32]), int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128]))


def points_mint(*, batch: int, receipts_root: bytes, entries: bytes, signature: bytes) -> bytes:
    return bytes.fromhex("9577d278") + abi.sequence(abi.uint(batch, 32), abi.fixed(receipts_root, 32), abi.blob(entries), abi.blob(signature))


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


def points_pause() -> bytes:
    return bytes.fromhex("8456cb59")


def points_paused_until() -> bytes:
    return bytes.fromhex("da748b10")


def points_paused_until_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_pending_limits() -> bytes:
    return bytes.fromhex("7dc7d4d7")


def points_pending_limits_result(data: bytes) -> tuple[int, int, int, int, int]:
    abi.result(data, 5)
    return int.from_bytes(data[0:32]), int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128]), int.from_bytes(data[128:160])


def points_recover(*, holder: bytes, to: bytes, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("d3daffa6") + abi.sequence(abi.address(holder), abi.address(to), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_recovery_of(*, holder: bytes) -> bytes:
    return bytes.fromhex("80366651") + abi.sequence(abi.address(holder))


def points_recovery_of_result(data: bytes) -> tuple[bytes, int]:
    abi.result(data, 2)
    return data[12:32], int.from_bytes(data[32:64])


def points_redeem(*, holder: bytes, amount: int, order: bytes, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("d87965df") + abi.sequence(abi.address(holder), abi.uint(amount, 96), abi.fixed(order, 32), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_refunded(*, batch: int, index: int) -> bytes:
    return bytes.fromhex("ff792b9d") + abi.sequence(abi.uint(batch, 32), abi.uint(index, 32))


def points_refunded_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def points_rp_id_hash() -> bytes:
    return bytes.fromhex("2c4d11fc")


def points_rp_id_hash_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[0:32]


def points_send(*, holder: bytes, to: bytes, amount: int, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("6ba09201") + abi.sequence(abi.address(holder), abi.address(to), abi.uint(amount, 96), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_set_limits(*, wanted: Limits, nonce: int, deadline: int, signature: bytes) -> bytes:
    return bytes.fromhex("c1224feb") + abi.sequence(abi.structure(abi.uint(wanted.supply_cap, 96), abi.uint(wanted.entry_cap, 96), abi.uint(wanted.bucket, 96), abi.uint(wanted.refill, 96)), abi.uint(nonce, 40), abi.uint(deadline, 40), abi.blob(signature))


def points_sweep(*, holders: Sequence[bytes]) -> bytes:
    return bytes.fromhex("780469bb") + abi.sequence(abi.array([abi.address(item) for item in holders]))


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


def points_unpause() -> bytes:
    return bytes.fromhex("3f4ba83a")


def points_verified_above() -> bytes:
    return bytes.fromhex("9c3a1410")


def points_verified_above_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_max_fee_bps() -> bytes:
    return bytes.fromhex("d55be8c6")


def exchange_max_fee_bps_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_announced_quote(*, programme: bytes) -> bytes:
    return bytes.fromhex("0a67c804") + abi.sequence(abi.address(programme))


def exchange_announced_quote_result(data: bytes) -> tuple[int, int, int, int, int]:
    abi.result(data, 5)
    return int.from_bytes(data[0:32]), int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128]), int.from_bytes(data[128:160])


def exchange_announced_withdrawal(*, programme: bytes) -> bytes:
    return bytes.fromhex("2edb4747") + abi.sequence(abi.address(programme))


def exchange_announced_withdrawal_result(data: bytes) -> tuple[bytes, int, int]:
    abi.result(data, 3)
    return data[12:32], int.from_bytes(data[32:64]), int.from_bytes(data[64:96])


def exchange_campaign_of(*, number: int) -> bytes:
    return bytes.fromhex("ae3efc54") + abi.sequence(abi.uint(number, 32))


def exchange_campaign_of_result(data: bytes) -> tuple[bytes, int, int, int]:
    abi.result(data, 4)
    return data[12:32], int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128])


def exchange_cap_left(*, programme: bytes) -> bytes:
    return bytes.fromhex("70ed086f") + abi.sequence(abi.address(programme))


def exchange_cap_left_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_complete_withdrawal(*, programme: bytes) -> bytes:
    return bytes.fromhex("6dbaf9ee") + abi.sequence(abi.address(programme))


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


def exchange_guardian() -> bytes:
    return bytes.fromhex("452a9320")


def exchange_guardian_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def exchange_has_passkeys() -> bytes:
    return bytes.fromhex("80d04e03")


def exchange_has_passkeys_result(data: bytes) -> bool:
    abi.result(data, 1)
    return any(data[0:32])


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


def exchange_match_of(*, number: int) -> bytes:
    return bytes.fromhex("d48c5916") + abi.sequence(abi.uint(number, 32))


def exchange_match_of_result(data: bytes) -> tuple[bytes, int, int, int]:
    abi.result(data, 4)
    return data[12:32], int.from_bytes(data[32:64]), int.from_bytes(data[64:96]), int.from_bytes(data[96:128])


def exchange_name_sponsor(*, number: int, sponsor: bytes) -> bytes:
    return bytes.fromhex("eacba5e0") + abi.sequence(abi.uint(number, 32), abi.address(sponsor))


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


def exchange_pause() -> bytes:
    return bytes.fromhex("8456cb59")


def exchange_paused_until() -> bytes:
    return bytes.fromhex("da748b10")


def exchange_paused_until_result(data: bytes) -> int:
    abi.result(data, 1)
    return int.from_bytes(data[0:32])


def exchange_payout_of(*, charity: bytes) -> bytes:
    return bytes.fromhex("6da61d1e") + abi.sequence(abi.address(charity))


def exchange_payout_of_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


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


def exchange_rp_id_hash() -> bytes:
    return bytes.fromhex("2c4d11fc")


def exchange_rp_id_hash_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[0:32]


def exchange_set_fee(*, fee_bps: int, account: bytes) -> bytes:
    return bytes.fromhex("30f738be") + abi.sequence(abi.uint(fee_bps, 16), abi.address(account))


def exchange_set_guardian(*, account: bytes) -> bytes:
    return bytes.fromhex("8a0dac4a") + abi.sequence(abi.address(account))


def exchange_set_match(*, number: int, ratio: int, pool: int, until: int, nonce: int, signature: bytes) -> bytes:
    return bytes.fromhex("d55f06f4") + abi.sequence(abi.uint(number, 32), abi.uint(ratio, 32), abi.uint(pool, 96), abi.uint(until, 40), abi.uint(nonce, 64), abi.blob(signature))


def exchange_set_partner(*, programme: bytes, partner: bytes, allowed: bool, nonce: int, signature: bytes) -> bytes:
    return bytes.fromhex("0d807829") + abi.sequence(abi.address(programme), abi.address(partner), abi.boolean(allowed), abi.uint(nonce, 64), abi.blob(signature))


def exchange_set_payout(*, charity: bytes, payout: bytes, nonce: int, signature: bytes) -> bytes:
    return bytes.fromhex("66be6765") + abi.sequence(abi.address(charity), abi.address(payout), abi.uint(nonce, 64), abi.blob(signature))


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


def exchange_unpause() -> bytes:
    return bytes.fromhex("3f4ba83a")


def exchange_withdraw(*, account: bytes, to: bytes, amount: int, nonce: int, signature: bytes) -> bytes:
    return bytes.fromhex("606536a8") + abi.sequence(abi.address(account), abi.address(to), abi.uint(amount, 96), abi.uint(nonce, 64), abi.blob(signature))


def factory_address_of(*, name: bytes, symbol: bytes, roles: Roles, limits: Limits, terms: Terms, salt: bytes) -> bytes:
    return bytes.fromhex("9b0b7096") + abi.sequence(abi.fixed(name, 32), abi.fixed(symbol, 32), abi.structure(abi.address(roles.owner), abi.address(roles.issuer)), abi.structure(abi.uint(limits.supply_cap, 96), abi.uint(limits.entry_cap, 96), abi.uint(limits.bucket, 96), abi.uint(limits.refill, 96)), abi.structure(abi.uint(terms.life, 16), abi.uint(terms.verified_above, 96)), abi.fixed(salt, 32))


def factory_address_of_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[12:32]


def factory_create(*, name: bytes, symbol: bytes, roles: Roles, limits: Limits, terms: Terms, salt: bytes) -> bytes:
    return bytes.fromhex("e7b2d4a3") + abi.sequence(abi.fixed(name, 32), abi.fixed(symbol, 32), abi.structure(abi.address(roles.owner), abi.address(roles.issuer)), abi.structure(abi.uint(limits.supply_cap, 96), abi.uint(limits.entry_cap, 96), abi.uint(limits.bucket, 96), abi.uint(limits.refill, 96)), abi.structure(abi.uint(terms.life, 16), abi.uint(terms.verified_above, 96)), abi.fixed(salt, 32))


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


def wallet_is_valid_signature(*, argument0: bytes, signature: bytes) -> bytes:
    return bytes.fromhex("1626ba7e") + abi.sequence(abi.fixed(argument0, 32), abi.blob(signature))


def wallet_is_valid_signature_result(data: bytes) -> bytes:
    abi.result(data, 1)
    return data[0:4]


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
    bytes.fromhex("053d1119"): ("InvalidLife", ["current", "wanted"], ["uint256", "uint256"]),
    bytes.fromhex("29ac473e"): ("InvalidMatch", [], []),
    bytes.fromhex("430f13b3"): ("InvalidName", [], []),
    bytes.fromhex("dbc205b1"): ("InvalidNonce", ["account", "nonce"], ["address", "uint256"]),
    bytes.fromhex("f8618030"): ("InvalidQuote", [], []),
    bytes.fromhex("d855c4f4"): ("InvalidSignature", ["signer"], ["address"]),
    bytes.fromhex("24ab76b2"): ("MalformedCall", ["index"], ["uint256"]),
    bytes.fromhex("4dbd0531"): ("MalformedEntries", ["length"], ["uint256"]),
    bytes.fromhex("6ac6c1e6"): ("MarginOverflow", ["margin", "value"], ["uint256", "uint256"]),
    bytes.fromhex("b6f517bd"): ("MarginTooLow", ["account", "margin", "wanted"], ["address", "uint256", "uint256"]),
    bytes.fromhex("9d90e36b"): ("NoRecovery", ["holder"], ["address"]),
    bytes.fromhex("b47f8cc9"): ("NotAContract", ["index", "target"], ["uint256", "address"]),
    bytes.fromhex("5e31f860"): ("NotEnoughGas", ["index"], ["uint256"]),
    bytes.fromhex("48a1f012"): ("NotPartners", ["from", "into"], ["address", "address"]),
    bytes.fromhex("7fb966d8"): ("NotPayout", ["charity", "to"], ["address", "address"]),
    bytes.fromhex("11a3161b"): ("NothingAnnounced", ["programme"], ["address"]),
    bytes.fromhex("9bb675c4"): ("NoticeNotOver", ["programme", "due"], ["address", "uint256"]),
    bytes.fromhex("fa23a60d"): ("OnlyExchange", ["caller"], ["address"]),
    bytes.fromhex("ea79172d"): ("OnlyGuardian", ["caller"], ["address"]),
    bytes.fromhex("0a86c02a"): ("OnlyOwner", ["caller"], ["address"]),
    bytes.fromhex("32fb7c98"): ("Paused", ["until"], ["uint256"]),
    bytes.fromhex("79abcd72"): ("PausedTooRecently", ["until"], ["uint256"]),
    bytes.fromhex("01ec3b71"): ("QuoteExpired", ["programme", "until"], ["address", "uint256"]),
    bytes.fromhex("63a6b527"): ("RecoveryNotDue", ["holder", "due"], ["address", "uint256"]),
    bytes.fromhex("7c781105"): ("RefundOutOfBounds", ["before", "granted", "taken"], ["uint256", "uint256", "uint256"]),
    bytes.fromhex("5274afe7"): ("SafeERC20FailedOperation", ["token"], ["address"]),
    bytes.fromhex("96eab70d"): ("SameAccount", ["account"], ["address"]),
    bytes.fromhex("4b344b11"): ("SupplyCapExceeded", ["cap", "wanted"], ["uint256", "uint256"]),
    bytes.fromhex("39d659fb"): ("UnexpectedDeposit", ["wanted", "received"], ["uint256", "uint256"]),
    bytes.fromhex("25435c4e"): ("UnknownCampaign", ["campaign"], ["uint256"]),
    bytes.fromhex("c5206d9e"): ("UnknownCharity", ["charity"], ["address"]),
    bytes.fromhex("6e05294e"): ("UnknownKind", ["kind"], ["uint256"]),
    bytes.fromhex("398d7b58"): ("UnknownProgramme", ["programme"], ["address"]),
    bytes.fromhex("4350e8aa"): ("UnknownReceipt", ["batch", "index"], ["uint256", "uint256"]),
    bytes.fromhex("c183c0f5"): ("WorthNothing", [], []),
    bytes.fromhex("d92e233d"): ("ZeroAddress", [], []),
    bytes.fromhex("1f2a2005"): ("ZeroAmount", [], []),
}


def describe_error(data: bytes) -> str:
    """A revert's reason in words; `data` may be cut short after any word."""
    return abi.describe_error(ERRORS, data)
