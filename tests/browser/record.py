"""Records assertions of a real browser for the tests that run where there is none: `python -m tests.browser.record`.

What is signed names the chain and the token, not its code: recordings are made anew when a signed act changes, not when
a contract does.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.browser.authenticator import Authenticator, Passkey, Site
from tests.contracts.assertions import (
    RECORDED,
    VERIFIED_ABOVE,
    Recording,
    digest_of,
    from_base64url,
    token_of_recordings,
)
from tests.contracts.node import world_with_passkeys
from tests.contracts.world import FOREVER, Programme, person

TRIES = 200
"""Chromium lengthens one in five client data, at random."""


def _record(
    device: Authenticator,
    passkey: Passkey,
    token: Programme,
    promise: str,
    *,
    kind: str = "Send",
    verified: bool = False,
    lengthened: bool = False,
    accepted: bool = True,
    nonce: int = 0,
    amount: int = 5,
) -> Recording:
    act: dict[str, Any] = {"holder": passkey.key.holder, "amount": amount, "nonce": nonce, "deadline": FOREVER}
    act |= {"to": person("Bert").address} if kind == "Send" else {"order": hashlib.sha256(b"order").digest()}
    digest = digest_of(token, kind, act)
    for _ in range(TRIES):
        (response,) = device.sign(passkey, [digest], verified=verified)
        if (b"other_keys_can_be_added_here" in from_base64url(response["clientDataJSON"])) == lengthened:
            kept = {name: response[name] for name in ("authenticatorData", "clientDataJSON", "signature")}
            return Recording(promise, passkey.public_key, kind, act, kept, accepted)
    raise RuntimeError(f"of {TRIES} assertions none had client data of the wanted length")


def main() -> None:
    with (
        world_with_passkeys() as world,
        tempfile.TemporaryDirectory() as profile,
        Site.open(Path(profile)) as site,
    ):
        token = token_of_recordings(world)
        large = VERIFIED_ABOVE + 1
        with site.device("localhost") as device:
            ours = partial(_record, device, device.create("anna"), token)
            made = [
                ours("presence is enough for a small send"),
                ours("the additional member does no harm", nonce=1, lengthened=True),
                ours("verified, for a large send", nonce=2, verified=True, amount=large),
                ours("verified, for a redemption", nonce=3, verified=True, kind="Redeem"),
                ours("presence is not enough for a large send", nonce=4, amount=large, accepted=False),
            ]
        with site.device("shop.localhost") as device:
            theirs = partial(_record, device, device.create("anna"), token)
            made.append(theirs("another site is not ours", verified=True, accepted=False))
        document = {"browser": site.browser, "recordings": [recording.to_json() for recording in made]}
    RECORDED.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
