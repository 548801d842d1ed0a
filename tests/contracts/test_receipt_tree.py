"""One signature for many receipts: each is verified alone, and nothing else passes for one."""

from __future__ import annotations

from typing import Any

from eth_account.messages import encode_typed_data
from eth_hash.backends.pysha3 import keccak256 as keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import eip712, receipt_tree, signatures

KEY = b"\x07" * 32
ISSUER = signatures.address_of(KEY)
TOKEN = b"\3" * 20
SEPARATOR = eip712.domain_separator(31337, TOKEN)

receipts = st.builds(
    dict,
    holder=st.binary(min_size=20, max_size=20),
    amount=st.integers(0, 2**96 - 1),
    purchase=st.binary(min_size=32, max_size=32),
    accepted_at=st.integers(0, 2**40 - 1),
    mint_by=st.integers(0, 2**40 - 1),
)
NOTHING: dict[str, Any] = {"holder": bytes(20), "amount": 0, "purchase": bytes(32), "accepted_at": 0, "mint_by": 0}


def signed(leaves: list[bytes]) -> list[bytes]:
    return receipt_tree.sign(signatures.signer(KEY), SEPARATOR, leaves)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 100), st.data())
def test_each_receipt_is_verified_alone_and_no_altered_one(count: int, data: st.DataObject) -> None:
    leaves = [keccak(bytes((i,))) for i in range(count)]
    made = signed(leaves)
    index = data.draw(st.integers(0, count - 1))
    leaf, signature = leaves[index], made[index]
    assert receipt_tree.recover(SEPARATOR, leaf, signature) == ISSUER
    assert receipt_tree.recover(SEPARATOR, keccak(leaf), signature) != ISSUER
    assert receipt_tree.recover(eip712.domain_separator(1, TOKEN), leaf, signature) != ISSUER
    for other in {made[data.draw(st.integers(0, count - 1))], signature[:-32], signature + bytes(32), signature[:-1]}:
        if other != signature:
            assert receipt_tree.recover(SEPARATOR, leaf, other) != ISSUER
    at = data.draw(st.integers(0, len(signature) - 1))
    altered = signature[:at] + bytes((signature[at] ^ data.draw(st.integers(1, 255)),)) + signature[at + 1 :]
    assert receipt_tree.recover(SEPARATOR, leaf, altered) != ISSUER


def test_an_inner_node_is_no_receipt() -> None:
    leaves = [keccak(bytes((i,))) for i in range(4)]
    signature = signed(leaves)[0]
    inner = keccak(leaves[0] + leaves[1])
    shortened = signature[:66] + signature[98:]
    assert receipt_tree.recover(SEPARATOR, leaves[0], signature) == ISSUER
    assert receipt_tree.recover(SEPARATOR, inner, shortened) != ISSUER


def test_a_receipt_alone_is_signed_as_it_is() -> None:
    leaf = eip712.receipt_hash(**NOTHING | {"amount": 5})
    digest = eip712.receipt_digest(SEPARATOR, **NOTHING | {"amount": 5})
    assert signed([leaf]) == [signatures.sign(KEY, digest)]
    assert receipt_tree.recover(SEPARATOR, leaf, signatures.sign(KEY, digest)) == ISSUER


def test_as_few_signatures_as_there_are_trees() -> None:
    acts: list[bytes] = []

    def sign(digest: bytes) -> bytes:
        acts.append(digest)
        return signatures.sign(KEY, digest)

    leaves = [keccak(bytes((i,))) for i in range(2 * receipt_tree.LARGEST + 3)]
    made = receipt_tree.sign(sign, SEPARATOR, leaves)
    assert len(acts) == 3
    assert [receipt_tree.recover(SEPARATOR, *pair) for pair in zip(leaves, made, strict=True)] == [ISSUER] * len(leaves)


@settings(max_examples=20, deadline=None)
@given(st.lists(receipts, min_size=2, max_size=20))
def test_what_is_signed_is_what_eth_account_makes_of_the_whole_document(chosen: list[dict[str, Any]]) -> None:
    depth = (len(chosen) - 1).bit_length()
    tree: Any = [
        {
            "holder": each["holder"], "amount": each["amount"], "purchase": each["purchase"],
            "acceptedAt": each["accepted_at"], "mintBy": each["mint_by"],
        }
        for each in chosen + [NOTHING] * (2**depth - len(chosen))
    ]  # fmt: skip
    while len(tree) > 2:
        tree = [tree[i : i + 2] for i in range(0, len(tree), 2)]
    document = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"},
            ],
            "Receipt": [{"name": name, "type": type_} for type_, name in eip712.STRUCTS["Receipt"]],
            "ReceiptTree": [{"name": "receipts", "type": "Receipt" + "[2]" * depth}],
        },
        "primaryType": "ReceiptTree",
        "domain": {"name": eip712.NAME, "version": eip712.VERSION, "chainId": 31337, "verifyingContract": TOKEN},
        "message": {"receipts": tree},
    }  # fmt: skip
    signable = encode_typed_data(full_message=document)
    theirs = keccak(b"\x19" + signable.version + signable.header + signable.body)
    acts: list[bytes] = []

    def sign(digest: bytes) -> bytes:
        acts.append(digest)
        return signatures.sign(KEY, digest)

    receipt_tree.sign(sign, SEPARATOR, [eip712.receipt_hash(**each) for each in chosen])
    assert acts == [theirs]
