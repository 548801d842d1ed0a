"""What the same acts cost with well-known contracts, measured as ours are.

OpenZeppelin's and Solady's are small contracts of `contracts/test/peers` over the libraries, compiled with our compiler
and settings: its newer pipeline saves OpenZeppelin's batches 267 gas a mint, so figures published elsewhere are higher.
Uniswap's and Permit2 are the bytes that their authors built and published in npm packages. Each figure is of the steady
state: nonces used before, reserves and supplies in place, senders that keep a balance.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_abi.abi import encode
from eth_hash.backends.pysha3 import keccak256 as keccak

from contracts import compile as solidity
from contracts.rpc import to_hex
from scripts.gas.meter import ALONE, Figure, MeasurementFailed, Meter, call
from scripts.gas.network import ACTING, AMOUNT, HOLDERS, IDLE, INTENTS, MINTS, NEXT_YEAR, STRANGERS, Person, person

PEERS = Path(solidity.HERE) / "test" / "peers"
PACKAGES = solidity.HERE / "node_modules" / "@uniswap"
PERMIT2 = bytes.fromhex("000000000022d473030f116ddee9f6b43ac78ba3")
"""Where Permit2 is on every chain; its published code knows this address."""
DEPOSITOR = person("depositor")
LIQUIDITY = 10**15
PLENTY = 10**9


def compile_peers() -> dict[str, str]:
    """Creation code by contract name. Written nowhere."""
    units = {path.stem: f"test/peers/{path.name}" for path in sorted(PEERS.glob("*.sol"))}
    made = solidity.compile_contracts(units, compiler=solidity.find_compiler())
    return {name: one["bytecode"] for name, one in made.items()}


def measure(meter: Meter, code: Mapping[str, str]) -> list[Figure]:
    if not PACKAGES.is_dir():
        raise MeasurementFailed("the peers are not installed: run `make gas`")
    oz, solady = meter.create(code["OpenZeppelinPoints"]), meter.create(code["SoladyPoints"])
    return [
        *_mints(meter, "OpenZeppelin", oz),
        *_mints(meter, "Solady", solady),
        *_transfers(meter, "OpenZeppelin", oz),
        *_transfers(meter, "Solady", solady),
        *_signed_sends(meter, code),
        _v2_swap(meter, code),
        _v4_swap(meter, code),
    ]


# ---------------------------------------------------------------------------------------------- tokens


def _mints(meter: Meter, who: str, token: bytes) -> list[Figure]:
    _mint(meter, token, [DEPOSITOR.address])  # supply is no longer zero
    alone = [person(f"{who} {number}").address for number in range(ALONE)]
    new, existing = (
        sum(meter.gas(token, call("mint(address,uint256)", one, AMOUNT)) for one in alone) // ALONE for _ in range(2)
    )
    batch = [one.address for one in HOLDERS]
    batch_new, batch_existing = (_mint(meter, token, batch) // MINTS for _ in range(2))
    return [
        Figure("mint", f"{who}, mint", 1, existing, new),
        Figure("mint", f"{who}, batch in a loop", MINTS, batch_existing, batch_new),
    ]


def _mint(meter: Meter, token: bytes, holders: Sequence[bytes], amount: int = 10_000) -> int:
    return meter.gas(token, call("mintBatch(address[],uint256[])", list(holders), [amount] * len(holders)))


def _transfers(meter: Meter, who: str, token: bytes) -> list[Figure]:
    _mint(meter, token, [meter.senders[0]], PLENTY)
    recipients = [person(f"{who} recipient {number}").address for number in range(ALONE)]
    new, existing = (
        sum(meter.gas(token, call("transfer(address,uint256)", one, AMOUNT)) for one in recipients) // ALONE
        for _ in range(2)
    )
    return [Figure("send", f"{who}, transfer by the holder", 1, existing, new)]


# ---------------------------------------------------------------------------------------------- signed sends


Rows = Callable[[Sequence[Person], Sequence[Person], int], bytes]
"""Calldata by which the first people send to the second, each with this nonce of its own."""


def _signed_sends(meter: Meter, code: Mapping[str, str]) -> list[Figure]:
    """Three ways, each with a token of its own, whose holders have acted before."""
    meter.rpc("anvil_setCode", to_hex(PERMIT2), to_hex(_permit2_code()))
    figures = []
    for who, way in (
        ("OpenZeppelin, batch of signed sends", _by_intent),
        ("ERC-2612, permit + transferFrom", _by_permit),
        ("Permit2, permitTransferFrom", _by_permit2),
    ):
        token = meter.create(code["OpenZeppelinPoints"])
        sender = meter.create(code["PermitSender"], ("address", "address"), (token, PERMIT2))
        _mint(meter, token, [one.address for one in HOLDERS], 100_000)
        target, rows = way(meter, token, sender)
        meter.gas(target, rows(ACTING, IDLE, 0))
        batch_new = meter.gas(target, rows(ACTING, STRANGERS, 1)) // INTENTS
        batch_existing = meter.gas(target, rows(ACTING, IDLE, 2)) // INTENTS
        fresh = [person(f"{who} {number}") for number in range(ALONE)]
        new, existing = (
            sum(meter.gas(target, rows([one], [to], nonce)) for one, to in zip(ACTING, fresh, strict=False)) // ALONE
            for nonce in (3, 4)
        )
        figures += [Figure("send", who, 1, existing, new), Figure("send", who, INTENTS, batch_existing, batch_new)]
    return figures


def _by_intent(meter: Meter, token: bytes, _sender: bytes) -> tuple[bytes, Rows]:
    separator = meter.ask(token, call("DOMAIN_SEPARATOR()"))
    kind = "Send(address from,address to,uint256 amount,uint256 nonce,uint256 deadline)"
    types = ["address", "address", "uint256", "uint256", "uint256"]

    def rows(holders: Sequence[Person], to: Sequence[Person], nonce: int) -> bytes:
        sends = []
        for one, other in zip(holders, to, strict=True):
            struct = _struct(kind, types, one.address, other.address, AMOUNT, nonce, NEXT_YEAR)
            sends.append((one.address, other.address, AMOUNT, NEXT_YEAR, _rsv(one, separator, struct)))
        return call("sendBatch((address,address,uint256,uint256,bytes)[])", sends)

    return token, rows


def _by_permit(meter: Meter, token: bytes, sender: bytes) -> tuple[bytes, Rows]:
    separator = meter.ask(token, call("DOMAIN_SEPARATOR()"))
    kind = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    types = ["address", "address", "uint256", "uint256", "uint256"]

    def rows(holders: Sequence[Person], to: Sequence[Person], nonce: int) -> bytes:
        sends = []
        for one, other in zip(holders, to, strict=True):
            struct = _struct(kind, types, one.address, sender, AMOUNT, nonce, NEXT_YEAR)
            rsv = _rsv(one, separator, struct)
            sends.append((one.address, other.address, AMOUNT, NEXT_YEAR, rsv[64], rsv[:32], rsv[32:64]))
        return call("byPermit((address,address,uint256,uint256,uint8,bytes32,bytes32)[])", sends)

    return sender, rows


def _by_permit2(meter: Meter, token: bytes, sender: bytes) -> tuple[bytes, Rows]:
    for one in ACTING:  # each must have approved Permit2 once, by a transaction that it paid for
        meter.rpc("anvil_impersonateAccount", to_hex(one.address))
        meter.rpc("anvil_setBalance", to_hex(one.address), hex(10**18))
        approval = call("approve(address,uint256)", PERMIT2, 2**256 - 1)
        meter.rpc(
            "eth_sendTransactionSync", {"from": to_hex(one.address), "to": to_hex(token), "data": to_hex(approval)}
        )
    separator = meter.ask(PERMIT2, call("DOMAIN_SEPARATOR()"))
    permission = "TokenPermissions(address token,uint256 amount)"
    kind = "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)" + permission
    permitted = _struct(permission, ["address", "uint256"], token, AMOUNT)
    types = ["bytes32", "address", "uint256", "uint256"]

    def rows(holders: Sequence[Person], to: Sequence[Person], nonce: int) -> bytes:
        sends = []
        for one, other in zip(holders, to, strict=True):
            signature = _rsv(one, separator, _struct(kind, types, permitted, sender, nonce, NEXT_YEAR))
            sends.append((one.address, other.address, AMOUNT, nonce, NEXT_YEAR, signature))
        return call("byPermit2((address,address,uint256,uint256,uint256,bytes)[])", sends)

    return sender, rows


def _struct(kind: str, types: list[str], *values: object) -> bytes:
    return keccak(keccak(kind.encode()) + encode(types, values))


def _rsv(one: Person, separator: bytes, struct: bytes) -> bytes:
    signature = PrivateKey(one.key).sign_recoverable(keccak(b"\x19\x01" + separator + struct), hasher=None)
    return signature[:64] + bytes((signature[64] + 27,))


def _permit2_code() -> bytes:
    """The code of chain 31337, from the helper by which Permit2's own tests put it in place."""
    helper = PACKAGES / "v4-periphery" / "lib" / "permit2" / "test" / "utils" / "DeployPermit2.sol"
    found = re.search(r'hex"([0-9a-f]+)"', helper.read_text())
    if found is None:
        raise MeasurementFailed(f"{helper.name} has no code")
    return bytes.fromhex(found[1])


# ---------------------------------------------------------------------------------------------- swaps


def _two_tokens(meter: Meter, code: Mapping[str, str], spender: bytes) -> tuple[bytes, bytes]:
    """Two tokens, the lower address first. All senders have the first, number 0 has both; all let `spender` pull."""
    one, other = sorted(meter.create(code["OpenZeppelinPoints"]) for _ in range(2))
    _mint(meter, one, meter.senders[:ALONE], 2 * LIQUIDITY)
    _mint(meter, other, meter.senders[:1], 2 * LIQUIDITY)
    for sender in range(ALONE):
        for token in (one, other):
            meter.do(token, call("approve(address,uint256)", spender, 2**256 - 1), sender=sender)
    return one, other


def _swapping(meter: Meter, act: str, who: str, router: bytes, swap: bytes) -> Figure:
    """Everybody but number 0 swaps twice: first without, then with some of what comes out."""
    meter.do(router, swap)  # the pool's first swap pays for words of the pool
    new, existing = (
        sum(meter.gas(router, swap, sender=sender) for sender in range(1, ALONE)) // (ALONE - 1) for _ in range(2)
    )
    return Figure(act, who, 1, existing, new)


def _v2_swap(meter: Meter, code: Mapping[str, str]) -> Figure:
    built = json.loads((PACKAGES / "v2-core" / "build" / "UniswapV2Factory.json").read_text())
    factory = meter.create("0x" + built["bytecode"].removeprefix("0x"), ("address",), (meter.senders[0],))
    router = meter.create(code["PairRouter"])
    one, other = _two_tokens(meter, code, router)
    meter.do(factory, call("createPair(address,address)", one, other))
    pair = meter.ask(factory, call("getPair(address,address)", one, other))[12:]
    for token in (one, other):
        meter.do(token, call("transfer(address,uint256)", pair, LIQUIDITY))
    meter.do(pair, call("mint(address)", meter.senders[0]))
    swap = call("swap(address,address,uint256,uint256,uint256)", pair, one, AMOUNT, 1_200, NEXT_YEAR)
    return _swapping(meter, "swap", "Uniswap v2, pair by a least router", router, swap)


def _v4_swap(meter: Meter, code: Mapping[str, str]) -> Figure:
    manager = meter.create(_v4_code("PoolManager"), ("address",), (meter.senders[0],))
    router = meter.create(_v4_code("SwapRouterNoChecks"), ("address",), (manager,))
    liquidity = meter.create(_v4_code("PoolModifyLiquidityTestNoChecks"), ("address",), (manager,))
    one, other = _two_tokens(meter, code, router)
    for token in (one, other):
        meter.do(token, call("approve(address,uint256)", liquidity, 2**256 - 1))
    key = (one, other, 3_000, 60, bytes(20))
    key_type = "(address,address,uint24,int24,address)"
    meter.do(manager, call(f"initialize({key_type},uint160)", key, 2**96))
    position = (-600, 600, LIQUIDITY, bytes(32))
    meter.do(liquidity, call(f"modifyLiquidity({key_type},(int24,int24,int256,bytes32),bytes)", key, position, b""))
    lowest = 4_295_128_740
    swap = call(f"swap({key_type},(bool,int256,uint160))", key, (True, -AMOUNT, lowest))
    return _swapping(meter, "swap", "Uniswap v4, the package's SwapRouterNoChecks", router, swap)


def _v4_code(name: str) -> str:
    built: Any = json.loads((PACKAGES / "v4-core" / "out" / f"{name}.sol" / f"{name}.json").read_text())
    return str(built["bytecode"]["object"])
