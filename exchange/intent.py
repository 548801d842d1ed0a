"""An intent: a holder's signed instruction, as a message, a digest and a call. Pure.

One table of four kinds; whatever differs between them is here and nowhere else. `send` and `redeem` are calls of the
programme's token, `swap` and `give` of the exchange; all four are signed in the domain of the programme.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from contracts import eip712, packed, signatures
from contracts.bindings import Call
from exchange.calls import GAS, GAS_OF_CONTRACTS

Kind = Literal["send", "redeem", "swap", "give"]

NONCE_WINDOW: Final = 96
NONCE_SLIDE: Final = 65_536
NONCE_END: Final = 2**40 - 128


@dataclass(frozen=True, slots=True)
class Act:
    """`counterparty` is whom it is sent to, the programme swapped into, or the charity. Amounts in base units."""

    kind: Kind
    programme: bytes
    holder: bytes
    amount: int
    counterparty: bytes | None = None
    minimum: int | None = None  # swap
    campaign: int | None = None  # give; 0 is none
    order: bytes | None = None  # redeem


def message(act: Act, *, nonce: int, deadline: int) -> dict[str, Any]:
    """The fields of the EIP-712 struct, in snake_case."""
    fields: dict[str, Any] = {"holder": act.holder, "amount": act.amount}
    if act.kind == "send":
        fields["to"] = act.counterparty
    elif act.kind == "redeem":
        fields["order"] = act.order
    elif act.kind == "swap":
        fields.update(into=act.counterparty, minimum=act.minimum)
    else:
        fields.update(charity=act.counterparty, campaign=act.campaign)
    return {**fields, "nonce": nonce, "deadline": deadline}


_DIGEST: Final = {
    "send": eip712.send_digest,
    "redeem": eip712.redeem_digest,
    "swap": eip712.swap_digest,
    "give": eip712.give_digest,
}


def digest(act: Act, separator: bytes, *, nonce: int, deadline: int) -> bytes:
    """What the holder signs; also the intent's name on chain."""
    made: bytes = _DIGEST[act.kind](separator, **message(act, nonce=nonce, deadline=deadline))  # type: ignore[operator]
    return made


def typed_data(act: Act, *, chain_id: int, nonce: int, deadline: int) -> dict[str, Any]:
    """The document for a wallet."""
    return eip712.typed_data(
        act.kind.capitalize(),
        chain_id=chain_id,
        contract=act.programme,
        message=message(act, nonce=nonce, deadline=deadline),
    )


def call(act: Act, *, exchange: bytes, nonce: int, deadline: int, signature: bytes) -> Call:
    """The call that carries the intent to the chain."""
    fields = {**message(act, nonce=nonce, deadline=deadline), "signature": signature}
    gas = GAS[act.kind] + (GAS_OF_CONTRACTS if signature[:1] == signatures.CONTRACT else 0)
    if act.kind == "send":
        return Call(act.programme, gas, packed.send(**fields))
    if act.kind == "redeem":
        return Call(act.programme, gas, packed.redeem(**fields))
    if act.kind == "swap":
        return Call(exchange, gas, packed.swap(from_=act.programme, **fields))
    return Call(exchange, gas, packed.give(programme=act.programme, **fields))
