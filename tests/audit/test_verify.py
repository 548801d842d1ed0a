"""The one-file verifier against the real contracts on a real node, and its parts against those of others."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_hash.backends.pysha3 import keccak256 as keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie  # type: ignore[attr-defined]
from typer.testing import CliRunner

from contracts import artifact, bindings, eip712, layout, receipt_tree, receipts, signatures
from contracts.rpc import Rpc, to_hex
from exchange import proofs
from exchange.proofs import Proof
from scripts import verify_proof
from scripts.audit import tries, verify
from scripts.audit.verify import Invalid
from tests.conftest import Anvil, free_port
from tests.contracts.node import NodeChain
from tests.contracts.world import Programme, World, make_world, person

MANY = 40
FLIPS = int(os.environ.get("FLIPS", "400"))
LARGEST = 8_192
ANN, BEN, NOBODY = person("ann"), person("ben"), person("nobody")


@dataclass
class Life:
    """A programme that minted three batches, the first of them with the `leaves` of receipts that it signed."""

    url: str
    world: World
    programme: Programme
    promises: list[dict[str, Any]]
    signed: list[bytes]
    leaves: list[bytes]
    entries: bytes

    def proof(self, *slots: int, newest: bool = True, wanted: int | None = None) -> Proof:
        async def read() -> Proof:
            async with Rpc(self.url) as rpc:
                return await proofs.read(rpc, self.programme.address, slots, newest=newest, wanted=wanted)

        return asyncio.run(read())

    def receipt(self, index: int = 3, *, whole: bool = False) -> dict[str, Any]:
        promise = self.promises[index]
        return {
            "format": verify.RECEIPT,
            "receipt": {
                "chain_id": self.world.chain.id,
                "programme": to_hex(self.programme.address),
                "holder": to_hex(promise["holder"]),
                "amount": f"{promise['amount'] // 100}.{promise['amount'] % 100:02}",
                "amount_base_units": str(promise["amount"]),
                "purchase": to_hex(promise["purchase"]),
                "accepted_at": promise["accepted_at"],
                "mint_by": promise["mint_by"],
                "issuer": to_hex(self.programme.issuer.address),
                "signature": to_hex(self.signed[index]),
            },
            "batch": 1,
            "index": index,
            "siblings": [to_hex(each) for each in receipts.proof(self.leaves, index)],
            **(
                {"entries": base64.b64encode(self.entries).decode()}
                if whole
                else {"entries_hash": to_hex(keccak(self.entries))}
            ),
            **self.proof(layout.batch(1)).fields(),
        }

    def balance(self, holder: bytes, said: int) -> dict[str, Any]:
        return {
            "format": verify.BALANCE,
            "programme": to_hex(self.programme.address),
            "holder": to_hex(holder),
            "balance": f"{said // 100}.{said % 100:02}",
            "balance_base_units": str(said),
            **self.proof(layout.holding(holder), layout.BOUNDS).fields(),
        }


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    node = Anvil(free_port(), ("--hardfork", "osaka", "--slots-in-an-epoch", "4"), history=True)
    node.start()
    try:
        yield _lived(node.url)
    finally:
        node.kill()


def _lived(url: str) -> Life:
    world = make_world(chain=NodeChain.at(url))
    programme = world.programme("coffee")
    chain_id, token = world.chain.id, programme.address
    promises: list[dict[str, Any]] = [
        {
            "holder": person(f"holder {index}").address,
            "amount": 1_000 + index,
            "purchase": keccak(b"purchase %d" % index),
            "accepted_at": 1_900_000_000,
            "mint_by": 1_900_086_400,
        }
        for index in range(MANY)
    ]
    promised = [eip712.receipt_hash(**promise) for promise in promises]
    signed = receipt_tree.sign(programme.issuer.sign, programme.separator, promised[:33]) + [
        programme.issuer.sign(eip712.digest(programme.separator, one)) for one in promised[33:]
    ]
    leaves = [
        receipts.leaf(chain_id=chain_id, token=token, batch=1, index=index, **_minted(promise))
        for index, promise in enumerate(promises)
    ]
    entries = receipts.pack_entries((promise["holder"], promise["amount"]) for promise in promises)
    root = receipts.root(leaves)
    digest = eip712.mint_digest(programme.separator, batch=1, receipts_root=root, entries_hash=keccak(entries))
    call = bindings.points_mint(
        batch=next(programme.batches), receipts_root=root, entries=entries, signature=programme.issuer.sign(digest)
    )
    world.chain.do(token, call)
    programme.mint((ANN, 5_000), *[(person(f"other {each}"), 100) for each in range(200)])
    programme.mint((ANN, 1))
    world.chain.do(token, programme.send_call(ANN, BEN.address, 70))
    return Life(url, world, programme, promises, signed, leaves, entries)


def _minted(promise: dict[str, Any]) -> dict[str, Any]:
    return {name: promise[name] for name in ("holder", "amount", "purchase")}


def test_a_receipt_is_proved_to_be_in_its_batch_whether_it_was_signed_alone_or_with_others(life: Life) -> None:
    for index in (0, 3, 31, 32, 39):
        verdict = verify.verify(json.dumps(life.receipt(index)))
        assert verdict.issuer == life.programme.issuer.address
        assert verdict.token == life.programme.address
        assert f"in batch 1, place {index}" in verdict.proved[-1]
        assert to_hex(life.promises[index]["holder"]) in verdict.proved[0]
    assert {signature[0] for signature in life.signed} == {0, 3}


def test_what_was_minted_is_proved_by_a_file_with_the_entries_of_the_batch(life: Life) -> None:
    file = life.receipt(5, whole=True)
    assert "minted in batch 1, place 5" in verify.verify(json.dumps(file)).proved
    for changed in (life.entries[32:], life.entries + life.entries[:32], life.entries[::-1]):
        with pytest.raises(Invalid):
            verify.verify(json.dumps({**file, "entries": base64.b64encode(changed).decode()}))


def test_a_leaf_that_promises_more_than_was_minted_is_not_said_to_be_minted(life: Life) -> None:
    """An issuer may sign any root: the entries are what counts."""
    programme, promise = life.programme, {**life.promises[0], "amount": 10**6}
    batch = next(programme.batches)
    leaf = receipts.leaf(
        chain_id=life.world.chain.id, token=programme.address, batch=batch, index=0, **_minted(promise)
    )
    entries = receipts.pack_entries([(promise["holder"], 1)])
    digest = eip712.mint_digest(programme.separator, batch=batch, receipts_root=leaf, entries_hash=keccak(entries))
    signature = programme.issuer.sign(digest)
    call = bindings.points_mint(batch=batch, receipts_root=leaf, entries=entries, signature=signature)
    life.world.chain.do(programme.address, call)
    receipt = {**life.receipt(0)["receipt"], "amount": "10000.00", "amount_base_units": "1000000"}
    receipt["signature"] = to_hex(
        programme.issuer.sign(eip712.digest(programme.separator, eip712.receipt_hash(**promise)))
    )
    file = {
        **life.receipt(0),
        "receipt": receipt,
        "batch": batch,
        "siblings": [],
        **life.proof(layout.batch(batch)).fields(),
    }
    file["entries_hash"] = to_hex(keccak(entries))
    assert "what at this place: see a file with entries" in verify.verify(json.dumps(file)).proved[-1]
    del file["entries_hash"]
    with pytest.raises(Invalid, match="minted something else"):
        verify.verify(json.dumps({**file, "entries": base64.b64encode(entries).decode()}))


def test_a_promise_alone_is_verified_and_not_said_to_be_minted(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps({name: life.receipt()[name] for name in ("format", "receipt")}))
    code, lines = verify.run(str(path))
    assert code == 2
    assert to_hex(life.programme.issuer.address) in lines[1]
    assert lines[-1].startswith("not verified")


def test_what_a_holder_has_is_proved_and_so_is_that_somebody_has_nothing(life: Life) -> None:
    for holder, has in ((ANN, 4_931), (BEN, 70), (NOBODY, 0)):
        verdict = verify.verify(json.dumps(life.balance(holder.address, has)))
        assert verdict.proved[0].startswith(f"{has // 100}.{has % 100:02} points of")
        with pytest.raises(Invalid, match="the contract says"):
            verify.verify(json.dumps(life.balance(holder.address, has + 1)))


def test_points_that_have_expired_are_none(life: Life) -> None:
    chain = life.world.chain
    assert isinstance(chain, NodeChain)
    snapshot = chain._request("evm_snapshot")
    chain.travel(1_002 * 86_400)
    assert life.programme.balance(BEN) == 0
    verify.verify(json.dumps(life.balance(BEN.address, 0)))
    with pytest.raises(Invalid, match="expired"):
        verify.verify(json.dumps(life.balance(BEN.address, 70)))
    chain._request("evm_revert", snapshot)


FILES: dict[str, Callable[[Life], dict[str, Any]]] = {
    "receipt": lambda life: life.receipt(3),
    "receipt with entries": lambda life: life.receipt(39, whole=True),
    "balance": lambda life: life.balance(BEN.address, 70),
    "nothing": lambda life: life.balance(NOBODY.address, 0),
}


@pytest.mark.parametrize("file", FILES)
def test_no_changed_byte_makes_a_file_prove_anything_else(life: Life, file: str) -> None:
    honest = json.dumps(FILES[file](life)).encode()
    verdict = verify.verify(honest.decode())
    dice, refused = random.Random(file), 0
    for _ in range(FLIPS):
        place = dice.randrange(len(honest))
        changed = bytearray(honest)
        changed[place] ^= dice.randrange(1, 128)
        try:
            proved = verify.verify(changed.decode())
        except Invalid:
            refused += 1
        else:
            if proved != verdict:  # of somebody else who has nothing, by the same absence: and so it is
                assert file == "nothing", (place, honest[place], changed[place])
                assert life.programme.balance_of(bytes.fromhex(json.loads(changed)["holder"][2:])) == 0
                assert proved.block == verdict.block
    assert refused > 0.9 * FLIPS  # the others: capitals in hexadecimal, and what says how far the chain is final


@pytest.mark.parametrize("file", FILES)
def test_no_part_of_a_file_can_be_left_out_or_added(life: Life, file: str) -> None:
    honest = FILES[file](life)
    for name in honest:
        left = {other: value for other, value in honest.items() if other != name}
        if name != "batch":  # then the rest is too much
            with pytest.raises(Invalid):
                verify.verify(json.dumps(left))
    for place in range(len(honest["nodes"])):
        with pytest.raises(Invalid):
            verify.verify(json.dumps({**honest, "nodes": honest["nodes"][:place] + honest["nodes"][place + 1 :]}))
    for added in ({"more": 1}, {"nodes": [*honest["nodes"], base64.b64encode(b"\xc1\x80").decode()]}):
        with pytest.raises(Invalid):
            verify.verify(json.dumps({**honest, **added}))
    for other in ("", "[]", "null", '{"format": 1}', "{" * 10**5, json.dumps({**honest, "nodes": 5})):
        with pytest.raises(Invalid):
            verify.verify(other)


def test_the_proof_of_one_thing_proves_no_other(life: Life) -> None:
    """Whoever else's: another holder, another place, another batch, another programme."""
    balance, receipt = life.balance(ANN.address, 4_931), life.receipt(3)
    changes: list[dict[str, Any]] = [
        {**balance, "holder": to_hex(BEN.address)},
        {**balance, "programme": to_hex(life.world.exchange)},
        {**balance, "programme": to_hex(NOBODY.address)},
        {**receipt, "batch": 2},
        {**receipt, "batch": 1 + verify.RING},
        {**receipt, "index": 4},
        {**receipt, "receipt": life.receipt(4)["receipt"]},
        {**receipt, "siblings": receipt["siblings"][:-1]},
    ]
    for changed in changes:
        with pytest.raises(Invalid):
            verify.verify(json.dumps(changed))


def test_a_proof_is_of_the_newest_final_block_unless_that_has_not_what_is_wanted(life: Life) -> None:
    chain, slot = life.world.chain, layout.holding(ANN.address)
    assert isinstance(chain, NodeChain)
    before = chain._request("evm_snapshot")
    chain._request("anvil_mine", "0x8")
    final = life.proof(slot, newest=False)
    assert final.number == final.finalized == chain.web3.eth.block_number - 8
    life.programme.mint((ANN, 1))
    newest = life.proof(slot)
    assert newest.number == chain.web3.eth.block_number
    assert newest.words != final.words
    assert life.proof(slot, newest=False, wanted=final.words[0]).number == final.number + 1  # the chain grew
    assert life.proof(slot, newest=False, wanted=newest.words[0]).number == newest.number
    chain._request("evm_revert", before)


def test_what_nobody_would_make_is_refused_and_breaks_nothing(life: Life) -> None:
    nested = b"\x80"
    while len(nested) < 10_000:
        nested = tries.sequence(nested)
    wide = tries.sequence(tries.string(b"\x20" + keccak(bytes(32))), tries.string(tries.string(b"\x01" * 40)))
    for made in (nested, wide, b"", b"\xc0", b"\xc2\x80\x80", b"\xc2\x40\x80", b"\xf8"):
        for kind in ("receipt", "balance"):
            honest = FILES[kind](life)
            with pytest.raises(Invalid):
                verify.verify(json.dumps({**honest, "header": base64.b64encode(made).decode()}))
            for place in range(len(honest["nodes"])):
                nodes = [*honest["nodes"]]
                nodes[place] = base64.b64encode(made).decode()
                with pytest.raises(Invalid):
                    verify.verify(json.dumps({**honest, "nodes": nodes}))
        with pytest.raises(Invalid):
            verify.storage(keccak(made), 0, [made])


# --- the program


def _program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """By itself: no package is importable, and nothing of ours."""
    command = [sys.executable, "-I", "-S", str(verify.__file__), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_file_alone_verifies_with_nothing_but_python(life: Life, tmp_path: Path) -> None:
    path, bad = tmp_path / "receipt.json", tmp_path / "bad.json"
    file = life.receipt(3)
    path.write_text(json.dumps(file))
    bad.write_text(json.dumps({**file, "index": 2}))
    hash_ = file["as_of"]["hash"]
    proved = _program(path, "--block", hash_)
    assert (proved.returncode, proved.stderr) == (0, "")
    assert f"signed by {to_hex(life.programme.issuer.address)}" in proved.stdout
    assert _program(path).returncode == 2  # nobody said that the block is the chain's
    assert _program(path, "--block", "0x" + "11" * 32).returncode == 1
    assert _program(path, "--block", hash_[2:]).returncode == 2
    assert _program(bad, "--block", hash_).returncode == 1
    assert _program(tmp_path / "none.json").returncode == 2
    ast.parse(Path(verify.__file__).read_text(), feature_version=(3, 9))


def test_points_verify_says_what_the_file_alone_says_and_takes_no_balance_for_a_receipt(
    life: Life, tmp_path: Path
) -> None:
    runner, path = CliRunner(), tmp_path / "proof.json"
    for kind, other in (("receipt", "balance"), ("balance", "receipt")):
        file = FILES[kind](life)
        path.write_text(json.dumps(file))
        said = runner.invoke(verify_proof.app, [kind, str(path), "--block", file["as_of"]["hash"]])
        assert (said.exit_code, said.output) == (0, _program(path, "--block", file["as_of"]["hash"]).stdout)
        assert runner.invoke(verify_proof.app, [other, str(path), "--rpc", life.url]).exit_code == 1


def test_a_node_says_whether_the_block_is_the_chains_and_shows_the_code(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(life.receipt(3)))
    asked = _program(path, "--rpc", life.url)
    assert (asked.returncode, asked.stderr) == (0, ""), asked.stdout
    assert "the contract's code is a programme's, whose issuer signed" in asked.stdout
    assert "not yet final" in asked.stdout
    assert _program(path, "--rpc", "http://127.0.0.1:9").returncode == 2
    other = Anvil(free_port())
    other.start()
    try:
        assert _program(path, "--rpc", other.url).returncode == 2  # it has no such block yet
        NodeChain.at(other.url)._request("anvil_mine", "0x40")
        assert _program(path, "--rpc", other.url).returncode == 1
    finally:
        other.kill()


@pytest.mark.parametrize(
    "told", [b"", b"[]", b"1", b"null", b"{}", b'{"result": 5}', b'{"result": {}}', b'{"result": "0x"}', b"\xff"]
)
def test_a_node_that_answers_nonsense_verifies_nothing(life: Life, tmp_path: Path, told: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *arguments: object) -> None: ...

    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(life.receipt(3)))
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code, lines = verify.run(str(path), rpc=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (code, lines[-1][:33]) == (2, "not verified: the node could not ")


def test_a_receipt_that_somebody_else_than_the_issuer_signed_is_found_by_the_code(life: Life, tmp_path: Path) -> None:
    file, path = life.receipt(3), tmp_path / "receipt.json"
    digest = eip712.digest(life.programme.separator, eip712.receipt_hash(**life.promises[3]))
    file["receipt"] |= {"issuer": to_hex(NOBODY.address), "signature": to_hex(NOBODY.sign(digest))}
    path.write_text(json.dumps(file))
    asked = _program(path, "--rpc", life.url)
    assert asked.returncode == 1
    assert "did not sign" in asked.stdout


def test_a_contract_that_is_no_programme_is_found_by_its_code(life: Life) -> None:
    code = bytes.fromhex(artifact.load("Points").deployed_bytecode[2:])
    assert set(verify.code_of(code).values()) == {bytes(32)}
    for other in (code[:-1], b"", bytes.fromhex(artifact.load("Exchange").deployed_bytecode[2:])):
        with pytest.raises(Invalid):
            verify.code_of(other)
    place = verify.IMMUTABLES["issuer"][1]
    for changed in (place, 0, len(code) - 1):
        with pytest.raises(Invalid):
            verify.code_of(code[:changed] + bytes([code[changed] ^ 1]) + code[changed + 1 :])


def test_a_file_is_small_and_verified_in_less_than_a_fifth_of_a_second_without_any_package(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [json.dumps(FILES[file](life)) for file in ("receipt", "balance")]
    assert max(map(len, texts)) < LARGEST
    monkeypatch.setattr(verify, "keccak", verify.sponge)
    for text in texts:
        verify._node.cache_clear()
        begun = time.process_time()
        verify.verify(text)
        assert time.process_time() - begun < 0.2
    verify._node.cache_clear()


# --- what the verifier knows of the contracts


def test_slots_are_where_everybody_else_knows_them() -> None:
    known = (layout.BOUNDS, layout.HOLDINGS, layout.BATCHES, layout.RING)
    assert known == (verify.BOUNDS, verify.HOLDINGS, verify.BATCHES, verify.RING)


def test_the_code_is_what_the_compiler_made() -> None:
    made = artifact.load("Points")
    assert to_hex(keccak(bytes.fromhex(made.deployed_bytecode[2:]))) == verify.CODE
    places = [
        tuple(place["start"] for place in made.immutable_references[str(number)])
        for number in range(len(made.immutable_references))
    ]
    assert [*verify.IMMUTABLES.values()] == places


def test_immutables_are_what_their_names_say(life: Life) -> None:
    chain = life.world.chain
    assert isinstance(chain, NodeChain)
    code = bytes.fromhex(chain._request("eth_getCode", to_hex(life.programme.address), "latest")[2:])
    found = verify.code_of(code)
    assert found["issuer"][12:] == life.programme.issuer.address
    assert found["owner"][12:] == life.programme.owner.address
    assert found["exchange"][12:] == life.world.exchange
    assert found["separator"] == life.programme.separator
    assert int.from_bytes(found["chain"]) == chain.id


# --- its parts, beside others'


@given(st.binary(max_size=600))
def test_the_sponge_is_keccak(data: bytes) -> None:
    assert verify.sponge(data) == keccak(data)


@given(st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=20), max_leaves=30))
def test_what_others_encode_is_decoded(value: Any) -> None:
    assert verify.decode(rlp.encode(value)) == value


@settings(max_examples=500)
@given(st.binary(max_size=80))
def test_whatever_comes_is_decoded_as_others_do_or_refused_with_them(data: bytes) -> None:
    try:
        expected = rlp.decode(data)
    except rlp.DecodingError:
        with pytest.raises(Invalid):
            verify.decode(data)
    else:
        assert verify.decode(data) == expected


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.binary(min_size=1, max_size=3), st.binary(min_size=1, max_size=40), max_size=60), st.binary())
def test_presence_and_absence_are_read_off_a_trie_as_others_do(content: dict[bytes, bytes], absent: bytes) -> None:
    peer: Any = HexaryTrie({})
    for key, value in content.items():
        peer[keccak(key)] = value
    for key in [*list(content)[:10], absent]:
        proof = [rlp.encode(node) for node in peer.get_proof(keccak(key))]
        nodes = verify.Nodes([node for node in proof if len(node) >= 32 or keccak(node) == peer.root_hash])
        assert nodes.value(peer.root_hash, key) == content.get(key, b"")
        nodes.check_all_needed()


@settings(max_examples=25, deadline=None)
@given(
    st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(0, 64), st.integers(1, 255)
)
def test_a_signer_is_recovered_as_others_do_it(key: bytes, digest: bytes, place: int, change: int) -> None:
    key = keccak(key)
    honest = signatures.sign(key, digest)
    assert verify.recover(digest, *_r_vs(honest)) == signatures.address_of(key)
    changed = honest[:1] + bytes([each ^ (change if at == place else 0) for at, each in enumerate(honest[1:], 1)])
    expected = signatures.recover(digest, changed)
    try:
        assert verify.recover(digest, *_r_vs(changed)) == expected
    except Invalid:
        assert expected is None


def _r_vs(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[1:33]), int.from_bytes(signature[33:65])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.data())
def test_who_signed_a_tree_of_receipts_is_found_as_our_own_code_finds_it(many: int, data: st.DataObject) -> None:
    chain_id, token = 31337, person("token").address
    separator = eip712.domain_separator(chain_id, token)
    made = [(keccak(b"%d" % each)[12:], each, keccak(b"p%d" % each), 5, 9) for each in range(many)]
    hashes = [
        eip712.receipt_hash(holder=holder, amount=amount, purchase=purchase, accepted_at=at, mint_by=by)
        for holder, amount, purchase, at, by in made
    ]
    signed = receipt_tree.sign(ANN.sign, separator, hashes)
    index = data.draw(st.integers(0, many - 1))
    assert verify.signer(chain_id, token, made[index], signed[index]) == ANN.address
    cut = signed[index][: data.draw(st.integers(0, len(signed[index])))]
    expected = receipt_tree.recover(separator, hashes[index], cut)
    try:
        assert verify.signer(chain_id, token, made[index], cut) == expected
    except Invalid:
        assert expected is None
