"""Our digests are everybody's: equal to eth-account's for every message."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_hash.backends.pysha3 import keccak256 as keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import eip712, signatures


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _values(type_: str) -> st.SearchStrategy[Any]:
    if type_ == "address":
        return st.binary(min_size=20, max_size=20)
    if type_ == "bytes32":
        return st.binary(min_size=32, max_size=32)
    if type_ == "bool":
        return st.booleans()
    return st.integers(min_value=0, max_value=2 ** int(type_[4:]) - 1)


def _messages(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({_snake(name): _values(type_) for type_, name in eip712.STRUCTS[kind]})


@pytest.mark.parametrize("kind", eip712.STRUCTS)
def test_digests_equal_those_of_eth_account(kind: str) -> None:
    digest = getattr(eip712, f"{kind.lower()}_digest")

    @settings(max_examples=40, deadline=None)
    @given(
        chain_id=st.integers(min_value=1, max_value=2**64),
        contract=st.binary(min_size=20, max_size=20),
        message=_messages(kind),
    )
    def equal(chain_id: int, contract: bytes, message: dict[str, Any]) -> None:
        document = eip712.typed_data(kind, chain_id=chain_id, contract=contract, message=message)
        signable = encode_typed_data(full_message=json.loads(json.dumps(document)))
        separator = eip712.domain_separator(chain_id, contract)
        assert separator == signable.header
        theirs = keccak(b"\x19" + signable.version + signable.header + signable.body)
        assert digest(separator, **message) == theirs

    equal()


def test_types_are_spelt_as_in_the_contracts(pytestconfig: pytest.Config) -> None:
    """In both directions: no act of the contracts is missing in our table, whose every kind is compared above."""
    sources = pytestconfig.rootpath / "contracts" / "src"
    interfaces = "".join((sources / "interfaces" / name).read_text() for name in ("IPoints.sol", "IExchange.sol"))
    documented = re.findall(r"^///     ([A-Z]\w*\(\w+ \w+(?:,\w+ \w+)*\))$", interfaces, re.MULTILINE)
    checked = re.findall(r'keccak256\("([^"]+)"\)', (sources / "libraries" / "Acts.sol").read_text())
    ours = [eip712.type_string(kind) for kind in eip712.STRUCTS]
    assert sorted(documented) == sorted(ours)
    assert sorted(checked) == sorted(set(ours) - {eip712.type_string("Receipt")})  # a promise, never checked on chain


def test_a_wallets_signature_of_the_document_is_recovered() -> None:
    message = {"holder": b"\1" * 20, "to": b"\2" * 20, "amount": 5, "nonce": 1, "deadline": 9}
    document = eip712.typed_data("Send", chain_id=31337, contract=b"\3" * 20, message=message)
    key = signatures.new_key()
    signed = Account.sign_typed_data(key, full_message=document)
    digest = eip712.send_digest(eip712.domain_separator(31337, b"\3" * 20), **message)  # type: ignore[arg-type]
    assert signatures.from_rsv(bytes(signed.signature)) == signatures.sign(key, digest)
    assert signatures.recover(digest, signatures.sign(key, digest)) == signatures.address_of(key)


def test_values_that_do_not_fit_are_refused() -> None:
    separator = eip712.domain_separator(1, b"\3" * 20)
    with pytest.raises(OverflowError):
        eip712.mint_digest(separator, batch=2**32, receipts_root=bytes(32), entries_hash=bytes(32))
    with pytest.raises(OverflowError):
        eip712.withdraw_digest(separator, account=bytes(20), to=bytes(20), amount=-1, nonce=0)
    with pytest.raises(ValueError, match="20 bytes"):
        eip712.withdraw_digest(separator, account=bytes(19), to=bytes(20), amount=1, nonce=0)
    with pytest.raises(ValueError, match="fields"):
        eip712.typed_data("Send", chain_id=1, contract=bytes(20), message={"holder": bytes(20)})
