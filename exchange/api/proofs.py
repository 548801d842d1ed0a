"""Proofs to take away: of one receipt, and of one balance. What they prove, everybody can verify alone."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from exchange import errors, proofs
from exchange.api.access import InGateway, customer, merchant_with, public
from exchange.api.forms import AsOf, answered
from exchange.api.problems import documented
from exchange.hexes import address
from exchange.merchant import Merchant
from exchange.sessions import Session

purchases = APIRouter(prefix="/v1/purchases", tags=["purchases"])
holders = APIRouter(prefix="/v1/holders", tags=["holders"])
own = APIRouter(prefix="/v1/me", tags=["me"])

Reading = Annotated[Merchant, merchant_with("purchases:read")]
Mine = Annotated[Session, customer()]
Entries = Annotated[
    bool, Query(description="With all entries of the batch, 32 bytes each: what it minted is then proved, too.")
]
Newest = Annotated[bool, Query(description="Of the newest block, which may still change, instead of the newest final.")]


class Proved(BaseModel):
    """`as_of` is the block that it is of. The file hangs on its hash: have it from somebody else than us."""

    header: str = Field(description="The block's header (RLP), in base64.")
    nodes: list[str] = Field(description="Nodes of the tries of accounts and storage (EIP-1186), in base64.")
    as_of: AsOf


class ProvedReceipt(BaseModel):
    """EIP-712 `Receipt`, with its signature."""

    chain_id: int
    programme: str
    holder: str
    amount: str
    amount_base_units: str
    purchase: str
    accepted_at: int
    mint_by: int
    issuer: str
    signature: str


class ReceiptProof(Proved):
    """`siblings` lead from the receipt's leaf to the root of its batch, of which the programme's contract keeps
    keccak(batch ‖ root ‖ keccak(entries))."""

    format: Literal["points-exchange/receipt/1"]
    receipt: ProvedReceipt
    batch: int
    index: int
    siblings: list[str]
    entries_hash: str | None = None
    entries: str | None = Field(default=None, description="In base64.")


class BalanceProof(Proved):
    format: Literal["points-exchange/balance/1"]
    programme: str
    holder: str
    balance: str = Field(examples=["12.50"])
    balance_base_units: str


_OF_BALANCE = (errors.InvalidAddress, errors.ProgrammeNotFound, errors.ChainUnavailable, errors.MirrorUnavailable)


@purchases.get(
    "/{id}/proof",
    response_model=ReceiptProof,
    responses=documented(
        errors.PurchaseNotFound,
        errors.NothingMinted,
        errors.NotOnTheChainYet,
        errors.BatchForgotten,
        errors.ChainUnavailable,
        errors.MirrorUnavailable,
        errors.Unauthenticated,
        errors.Forbidden,
    ),
    summary="The proof of a receipt, for your customer",
)
async def of_purchase(gateway: InGateway, merchant: Reading, id: UUID, entries: Entries = False) -> Response:
    """Save the answer as a file: `points verify receipt FILE`, or `scripts/audit/verify.py` alone, verifies it without
    us. It can be had for the last 4,096 batches of a programme."""
    return answered(await proofs.of_purchase(gateway, merchant, id, entries=entries))


@holders.get(
    "/{holder}/balances/{programme}/proof",
    dependencies=[public()],
    response_model=BalanceProof,
    responses=documented(*_OF_BALANCE),
    summary="The proof of an address's points",
)
async def of_balance(gateway: InGateway, holder: str, programme: str, newest: Newest = False) -> Response:
    """Public chain data: no key is needed. Save the answer as a file: `points verify balance FILE`."""
    account, token = address(holder, name="holder"), address(programme, name="programme")
    return answered(await proofs.of_balance(gateway, token, account, newest=newest))


@own.get(
    "/balances/{programme}/proof",
    response_model=BalanceProof,
    responses=documented(errors.SignInNeeded, *_OF_BALANCE),
    summary="The proof of your points",
)
async def of_mine(gateway: InGateway, session: Mine, programme: str, newest: Newest = False) -> Response:
    """Save the answer as a file: `points verify balance FILE`, or `scripts/audit/verify.py` alone, verifies it without
    us."""
    token = address(programme, name="programme")
    return answered(await proofs.of_balance(gateway, token, session.holder, newest=newest))
