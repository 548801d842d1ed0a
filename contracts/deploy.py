"""Puts the network's contracts on a chain, once, and remembers where.

Idempotent: while the saved deployment's code is on the chain it is returned as it is; what an interrupted run left
behind is abandoned, never half used, because the file is written last. On a local chain, and only there, it also
deploys the settlement token, mints the operator's float and lets the exchange pull it. The operator's key owns the
exchange.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.backends.pysha3 import keccak256 as keccak
from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.types import Nonce, TxParams, TxReceipt, Wei

from contracts import artifact, bindings
from contracts.deployment import Deployment, load, save

LOCAL_CHAINS = frozenset({31337, 1337})
MAX_FEE_BPS = 500
RP_ID = "localhost"
"""The domain of the passkeys that the contracts accept (WebAuthn's relying party), for ever."""
FLOAT = 10**9 * 10**6
"""What the operator gets on a local chain, in settlement base units: a billion dollars."""
WAIT = 120.0
"""Seconds that a transaction of the deployment may take to be mined."""


class DeploymentError(Exception):
    """The contracts could not be deployed."""


def deploy(
    url: str,
    operator_key: bytes,
    *,
    path: Path,
    settlement: bytes | None = None,
    max_fee_bps: int = MAX_FEE_BPS,
    rp_id: str = RP_ID,
) -> Deployment:
    """The contracts on the chain at `url`: those saved at `path` if they are there, else new ones, saved.

    `settlement` is the token of every margin; a local chain may leave it out and gets one of its own. Raises
    `DeploymentError` when a transaction fails, and web3's errors when the node does not answer.
    """
    web3 = Web3(HTTPProvider(url))
    operator: LocalAccount = Account.from_key(operator_key)
    saved = load(path) if path.exists() else None
    if saved is not None and _is_there(web3, saved):
        return saved
    chain_id = web3.eth.chain_id
    if settlement is None and chain_id not in LOCAL_CHAINS:
        raise DeploymentError(f"chain {chain_id} is not a local one: name its settlement token")
    rp_id_hash = hashlib.sha256(rp_id.encode()).digest()
    terms = (max_fee_bps, rp_id_hash)
    deployment = _deploy_all(web3, operator, chain_id=chain_id, settlement=settlement, terms=terms)
    if settlement is None:
        _fund(web3, operator, deployment)
    save(deployment, path)
    return deployment


def _is_there(web3: Web3, saved: Deployment) -> bool:
    if saved.chain_id != web3.eth.chain_id:
        return False
    addresses = (saved.settlement, saved.exchange, saved.factory, saved.bundle)
    return all(web3.eth.get_code(to_checksum_address(address)) for address in addresses)


def _deploy_all(
    web3: Web3, operator: LocalAccount, *, chain_id: int, settlement: bytes | None, terms: tuple[int, bytes]
) -> Deployment:
    """Sends all creations before it waits for the first one; the factory is made by the exchange's own."""
    token = settlement
    pending = []
    nonce = web3.eth.get_transaction_count(operator.address)
    if token is None:
        token = created_address(operator.address, nonce)
        pending.append(_create(web3, operator, nonce, "SettlementToken"))
        nonce = Nonce(nonce + 1)
    exchange = created_address(operator.address, nonce)
    made = _create(web3, operator, nonce, "Exchange", to_checksum_address(token), operator.address, *terms)
    bundle = created_address(operator.address, nonce + 1)
    pending += [made, _create(web3, operator, nonce + 1, "Bundle")]
    for transaction in pending:
        _receipt(web3, transaction)
    factory = web3.eth.call({"to": to_checksum_address(exchange), "data": _hex(bindings.exchange_factory())})
    return Deployment(
        chain_id=chain_id,
        first_block=_receipt(web3, made)["blockNumber"],
        settlement=token,
        exchange=exchange,
        factory=bindings.exchange_factory_result(bytes(factory)),
        bundle=bundle,
    )


def _fund(web3: Web3, operator: LocalAccount, deployment: Deployment) -> None:
    """Mints the operator's float and lets the exchange pull deposits from it."""
    holder = bytes.fromhex(operator.address[2:])
    calls = (
        bindings.settlement_mint(to=holder, amount=FLOAT),
        bindings.settlement_approve(spender=deployment.exchange, value=2**256 - 1),
    )
    nonce = web3.eth.get_transaction_count(operator.address)
    token = to_checksum_address(deployment.settlement)
    pending = [
        _send(web3, operator, {"to": token, "data": _hex(call), "nonce": Nonce(nonce + place)})
        for place, call in enumerate(calls)
    ]
    for transaction in pending:
        _receipt(web3, transaction)


def created_address(sender: str, nonce: int) -> bytes:
    """Where `sender`'s transaction with `nonce` puts a contract."""
    return keccak(rlp.encode([bytes.fromhex(sender[2:]), nonce]))[12:]


def _create(web3: Web3, operator: LocalAccount, nonce: int, name: str, *arguments: Any) -> HexBytes:
    made = artifact.load(name)
    contract = web3.eth.contract(abi=made.abi, bytecode=made.bytecode)
    data = contract.constructor(*arguments).data_in_transaction
    return _send(web3, operator, {"data": data, "nonce": Nonce(nonce)})


def _send(web3: Web3, operator: LocalAccount, transaction: TxParams) -> HexBytes:
    """Signs with twice the base fee and a fifth more gas than estimated; returns the transaction's hash."""
    base_fee = web3.eth.get_block("latest").get("baseFeePerGas", Wei(0))
    tip = web3.eth.max_priority_fee
    whole: TxParams = {
        "from": operator.address,
        "chainId": web3.eth.chain_id,
        "value": Wei(0),
        "maxPriorityFeePerGas": tip,
        "maxFeePerGas": Wei(2 * base_fee + tip),
        **transaction,
    }
    whole["gas"] = web3.eth.estimate_gas(whole) * 6 // 5
    signed = operator.sign_transaction(cast(dict[str, Any], whole))
    return web3.eth.send_raw_transaction(signed.raw_transaction)


def _receipt(web3: Web3, transaction: HexBytes) -> TxReceipt:
    receipt = web3.eth.wait_for_transaction_receipt(transaction, timeout=WAIT, poll_latency=0.1)
    if receipt["status"] != 1:
        raise DeploymentError(f"transaction 0x{transaction.hex()} failed")
    return receipt


def _hex(data: bytes) -> HexStr:
    return HexStr(f"0x{data.hex()}")
