"""What a real browser signed once is judged as it was, where there is no browser too.

`tests.browser.record` makes the recordings; `tests/browser` has a browser sign anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.assertions import (
    VERIFIED_ABOVE,
    Recording,
    call,
    digest_of,
    mint,
    recordings,
    signature,
    token_of_recordings,
)
from tests.contracts.node import world_with_passkeys
from tests.contracts.world import Programme, Refused

RECORDINGS = recordings()


@pytest.fixture(scope="module")
def token() -> Iterator[Programme]:
    with world_with_passkeys() as world:
        yield token_of_recordings(world)


@pytest.mark.parametrize("recording", RECORDINGS, ids=[one.promise for one in RECORDINGS])
def test_recorded(token: Programme, recording: Recording) -> None:
    act, kind = recording.act, recording.kind
    mint(token, act["holder"], 10 * VERIFIED_ABOVE)
    before = token.balance_of(act["holder"])
    signed = signature(digest_of(token, kind, act), recording.key, recording.response)
    for spoilt in (signed.replace(b"http:", b"httq:"), signed[:-1] + b" }"):
        assert spoilt != signed
        with pytest.raises(Refused, match="InvalidSignature"):
            token.chain.do(token.address, call(kind, act, spoilt))
    if not recording.accepted:
        with pytest.raises(Refused, match="InvalidSignature"):
            token.chain.do(token.address, call(kind, act, signed))
        return
    token.chain.do(token.address, call(kind, act, signed))
    assert token.balance_of(act["holder"]) == before - act["amount"]
    with pytest.raises(Refused, match="InvalidNonce"):
        token.chain.do(token.address, call(kind, act, signed))


def test_recordings_are_of_both_kinds() -> None:
    assert {recording.accepted for recording in RECORDINGS} == {True, False}
