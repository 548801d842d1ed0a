"""Whether a holder signed an intent, by whichever of the three schemes its token reads (`ISigned`).

A key's and a passkey's signature prove themselves. A contract's wallet is asked, as the token will ask it (ERC-1271),
through the node: its answer may be another one by the time that the call is on the chain, and then the relayer's
simulation refuses it. Without that question anybody could set somebody's points aside by an intent that never works.
"""

from __future__ import annotations

import hashlib
from typing import Final

from contracts import signatures
from contracts.errors import NodeError, Unavailable
from contracts.rpc import from_hex, to_hex, to_quantity
from exchange.errors import BadSignature, ChainUnavailable
from exchange.gateway import Gateway
from exchange.hexes import checksum

CONTRACT_GAS: Final = 250_000
"""What the tokens give a wallet's contract for its answer."""
_IS_VALID_SIGNATURE: Final = bytes.fromhex("1626ba7e")


async def require_signed(gateway: Gateway, *, token: bytes, holder: bytes, digest: bytes, signature: bytes) -> None:
    """Raises `BadSignature`, and `ChainUnavailable` if a contract cannot be asked."""
    scheme = signature[:1]
    if scheme == signatures.ECDSA and len(signature) == 65:
        signed = signatures.recover(digest, signature) == holder
    elif scheme == signatures.PASSKEY:
        rp_id_hash = hashlib.sha256(gateway.settings.rp_id.encode()).digest()
        signed = signatures.is_assertion(holder, digest, signature, rp_id_hash=rp_id_hash)
    elif scheme == signatures.CONTRACT:
        signed = await is_approved(gateway, holder, digest, signature[1:], asker=token)
    else:
        raise BadSignature("The signature has no form that the token reads.")
    if not signed:
        raise BadSignature(f"The signature over this intent is not that of {checksum(holder)}.")


async def is_approved(gateway: Gateway, wallet: bytes, digest: bytes, signature: bytes, *, asker: bytes) -> bool:
    """What the contract at `wallet` says now to `asker`; no, if there is none. Raises `ChainUnavailable`."""
    padding = bytes(-len(signature) % 32)
    data = _IS_VALID_SIGNATURE + digest + (64).to_bytes(32) + len(signature).to_bytes(32) + signature + padding
    gas = 21_000 + 40 * len(data) + CONTRACT_GAS
    call = {"from": to_hex(asker), "to": to_hex(wallet), "data": to_hex(data), "gas": to_quantity(gas)}
    try:
        answer = from_hex(await gateway.rpc.call("eth_call", call, "latest"))
    except NodeError:
        return False
    except Unavailable as error:
        raise ChainUnavailable("The node could not be asked whether the wallet's contract signed this.") from error
    return answer[:32] == _IS_VALID_SIGNATURE.ljust(32, b"\0")
