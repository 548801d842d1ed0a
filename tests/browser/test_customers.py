"""A customer with a real browser: signs up, signs out and in by passkey, sees its points and sends some, on a chain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts import deploy
from contracts.rpc import to_hex
from exchange.settings import Settings
from tests.browser.authenticator import Site
from tests.conftest import Anvil, free_port
from tests.contracts.assertions import to_base64url
from tests.gateway.conftest import OPERATOR as OPERATOR_API_KEY
from tests.gateway.conftest import Chain, create_mirror
from tests.gateway.serving import serving
from tests.relayer.rig import OPERATOR, open_rig

FRIEND = b"\xfe" * 20


@pytest.mark.asyncio
async def test_a_customer_signs_in_by_passkey_and_sends_points(
    site: Site, database: str, new_anvil: Callable[..., Anvil], tmp_path: Path
) -> None:
    node, path, port = new_anvil("--hardfork", "osaka"), tmp_path / "deployment.json", free_port()
    deployment = deploy.deploy(node.url, OPERATOR, path=path)
    page = f"http://localhost:{port}"
    settings = Settings(database_url=database, deployment=path, operator_api_key=SecretStr(OPERATOR_API_KEY))
    async with open_rig(database, node, deployment) as rig:
        create_mirror(database)
        programme, chain = await rig.programme(), Chain(database)
        await rig.settle()
        chain.programme(programme.address)
        with (
            serving(settings, POINTS_PORT=str(port), POINTS_ORIGIN=page, POINTS_RPC_URL=node.url),
            site.device("localhost", page=f"{page}/healthz") as device,
        ):

            def done(method: str, path: str, body: object = None, *, status: int = 200) -> Any:
                got, answer = device.fetch(method, path, body)
                assert got == status, answer
                return answer

            # Signs up: the browser keeps the cookie, and no script reads it.
            options = done("POST", "/v1/sign-up/passkey/options", {"name": "anna"})
            credential = device.made(options)
            asked = {
                "challenge": options["challenge"], "rpId": "localhost", "userVerification": "required",
                "allowCredentials": [{"type": "public-key", "id": credential["id"]}],
            }  # fmt: skip
            body = {"credential": credential, "proof": device.answered(asked)}
            made = done("POST", "/v1/sign-up/passkey", body, status=201)
            holder = bytes.fromhex(made["holder"][2:])
            assert device.driver.execute_script("return document.cookie") == ""
            cookie = device.driver.get_cookie("__Host-points")
            assert cookie is not None
            assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")

            # Signs out, and in again with whatever passkey there is.
            done("DELETE", "/v1/me/session", status=204)
            done("GET", "/v1/me", status=401)
            answer = device.answered(done("POST", "/v1/sign-in/passkey/options", {}))
            again = done("POST", "/v1/sign-in/passkey", {"credential": answer})
            assert again["customer"] == made["customer"]
            assert done("GET", "/v1/me")["custody"] == "passkey"

            # Earns, and sees it.
            await rig.purchases(programme, 1, customers=[(made["customer"], holder)], points=1_000)
            await rig.batch()
            await rig.settle()
            chain.credit(programme.address, holder, 1_000)
            assert [each["points"] for each in done("GET", "/v1/me/balances")["balances"]] == ["10.00"]

            # Sends some: the passkey signs the draft's digest, with the public key that the gateway remembers.
            wish = {
                "kind": "send", "programme": to_hex(programme.address), "holder": made["holder"], "amount": "3.00",
                "to": to_hex(FRIEND),
            }  # fmt: skip
            draft = done("POST", "/v1/intents/draft", wish)
            [credential] = done("GET", "/v1/me/credentials")["credentials"]
            assert credential["holds"]
            challenge = to_base64url(bytes.fromhex(draft["digest"][2:]))
            response = device.answered({**asked, "challenge": challenge})["response"]
            signed = {name: response[name] for name in ("authenticatorData", "clientDataJSON", "signature")}
            signed["public_key"] = credential["x"] + credential["y"][2:]
            intent = {**wish, "nonce": draft["nonce"], "deadline": draft["deadline"], "passkey": signed}
            sent = done("POST", "/v1/intents", intent, status=202)
            assert [each["id"] for each in done("GET", "/v1/me/intents")["intents"]] == [sent["id"]]
            await rig.settle()
            assert await rig.balance(programme, FRIEND) == 300
            assert await rig.balance(programme, holder) == 700

            # Another site's page, in the same browser, gets nowhere with the cookie.
            device.driver.get(f"http://shop.localhost:{site.port}/")
            for method in ("GET", "DELETE"):
                status, _ = device.fetch(method, f"{page}/v1/me" + ("/sessions" if method == "DELETE" else ""))
                assert status == 0, "the browser lets it neither read nor change anything"
            device.driver.get(f"{page}/healthz")
            assert done("GET", "/v1/me")["id"] == made["customer"]
