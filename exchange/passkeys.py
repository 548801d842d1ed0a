"""Passkeys: made, attached and asked, by py_webauthn; P-256 only, for the chain knows no other.

Whoever signs up with one gets the holder that the contracts make of its key. A card customer's passkey, or a second one
of a customer, opens sessions and spends nothing: the points are another key's. Each answer is checked against this
origin and relying party, and the user must have been verified, by finger, face or PIN.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import webauthn
from webauthn.helpers import (
    decode_credential_public_key,
    options_to_json_dict,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import DecodedEC2PublicKey
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from contracts import signatures
from exchange.errors import SignInRefused
from exchange.settings import Settings

NAME: Final = "points-exchange"


@dataclass(frozen=True, slots=True)
class Passkey:
    """`signatures` is how many it says that it has made; many always say 0."""

    id: bytes
    x: bytes
    y: bytes
    signatures: int

    @property
    def holder(self) -> bytes:
        return signatures.passkey_holder(self.x, self.y)


def new_challenge() -> bytes:
    return secrets.token_bytes(32)


def creation_options(settings: Settings, challenge: bytes, *, name: str, known: Sequence[bytes] = ()) -> dict[str, Any]:
    """For `navigator.credentials.create`; `name` is what the device shows, `known` are passkeys that it may have."""
    options = webauthn.generate_registration_options(
        rp_id=settings.rp_id,
        rp_name=NAME,
        user_name=name,
        user_id=secrets.token_bytes(32),
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        supported_pub_key_algs=[COSEAlgorithmIdentifier.ECDSA_SHA_256],
        exclude_credentials=[PublicKeyCredentialDescriptor(id=id) for id in known],
    )
    return options_to_json_dict(options)


def request_options(settings: Settings, challenge: bytes) -> dict[str, Any]:
    """For `navigator.credentials.get`: any passkey of ours, so that nobody need type who they are."""
    options = webauthn.generate_authentication_options(
        rp_id=settings.rp_id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
    )
    return options_to_json_dict(options)


def challenge_of(credential: dict[str, Any], *, created: bool) -> bytes:
    """Which challenge it claims to answer. Raises `SignInRefused` if it is no browser's answer."""
    try:
        if created:
            client_data = parse_registration_credential_json(credential).response.client_data_json
        else:
            client_data = parse_authentication_credential_json(credential).response.client_data_json
        return parse_client_data_json(client_data).challenge
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SignInRefused("The credential is not what a browser answers.") from error


def id_of(credential: dict[str, Any]) -> bytes:
    """As `challenge_of`."""
    try:
        return parse_authentication_credential_json(credential).raw_id
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SignInRefused("The credential is not what a browser answers.") from error


def created(settings: Settings, credential: dict[str, Any], challenge: bytes) -> Passkey:
    """The new passkey. Raises `SignInRefused`."""
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=settings.rp_id,
            expected_origin=settings.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier.ECDSA_SHA_256],
        )
        key = decode_credential_public_key(made.credential_public_key)
    except (WebAuthnException, ValueError, TypeError, KeyError, IndexError) as error:
        raise SignInRefused(f"The passkey was not made for these pages: {error}.") from error
    if not isinstance(key, DecodedEC2PublicKey) or len(key.x) != 32 or len(key.y) != 32:
        raise SignInRefused("The passkey is of another curve than P-256.")
    return Passkey(made.credential_id, key.x, key.y, made.sign_count)


def answered(settings: Settings, credential: dict[str, Any], challenge: bytes, passkey: Passkey) -> int:
    """How many signatures it says that it has made now. Raises `SignInRefused` unless the passkey answered."""
    try:
        answer = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=settings.rp_id,
            expected_origin=settings.origin,
            credential_public_key=b"\x04" + passkey.x + passkey.y,
            credential_current_sign_count=passkey.signatures,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, IndexError) as error:
        raise SignInRefused(f"The passkey did not sign this: {error}.") from error
    return answer.new_sign_count
