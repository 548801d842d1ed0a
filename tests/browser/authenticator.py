"""Drives a headless Chromium whose authenticator is virtual: a page of ours, and the passkeys that it makes and asks.

The browser has a new profile, resolves no name but `localhost` and its subdomains, and does nothing in the background.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.virtual_authenticator import Protocol, Transport, VirtualAuthenticatorOptions

from scripts.browser import find
from tests.contracts.assertions import Key, to_base64url

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
)
PAGE = b"<!doctype html><title>points-exchange</title>"
CREATE = """
    const [options, done] = arguments;
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    navigator.credentials.create({publicKey}).then(made => done(made.toJSON()), error => done(`${error}`));
"""
GET = """
    const [all, done] = arguments;
    (async () => {
        const answers = [];
        for (const options of all) {
            const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
            answers.push((await navigator.credentials.get({publicKey})).toJSON().response);
        }
        return answers;
    })().then(done, error => done(`${error}`));
"""


GET_ONE = """
    const [options, done] = arguments;
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    navigator.credentials.get({publicKey}).then(answer => done(answer.toJSON()), error => done(`${error}`));
"""
FETCH = """
    const [method, path, body, done] = arguments;
    const headers = body === null ? {} : {"content-type": "application/json"};
    fetch(path, {method, headers, credentials: "include", body: body === null ? undefined : JSON.stringify(body)})
        .then(async answer => done([answer.status, answer.status === 204 ? null : await answer.json()]),
              error => done([0, `${error}`]));
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Refusal(Exception):
    """The browser refused; the text is its reason."""


@dataclass(frozen=True, slots=True)
class Passkey:
    id: str
    public_key: str  # SubjectPublicKeyInfo in base64url

    @property
    def key(self) -> Key:
        return Key.from_json(self.public_key)


@dataclass(frozen=True)
class Authenticator:
    """A device at a page of one of our hosts."""

    driver: Chrome

    def create(self, name: str) -> Passkey:
        """A new passkey for the page's host."""
        made = self._run(
            CREATE,
            {
                "rp": {"name": "points-exchange"},
                "user": {"id": to_base64url(secrets.token_bytes(16)), "name": name, "displayName": name},
                "challenge": to_base64url(secrets.token_bytes(32)),
                "pubKeyCredParams": [{"type": "public-key", "alg": -7}],  # ES256
                "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
            },
        )
        return Passkey(made["id"], made["response"]["publicKey"])

    def sign(
        self, passkey: Passkey, digests: Sequence[bytes], *, verified: bool = False, site: str | None = None
    ) -> list[dict[str, str]]:
        """The browser's answers to these challenges, one after the other; `site` claims to be another one's page."""
        options: dict[str, Any] = {} if site is None else {"rpId": site}
        options |= {
            "allowCredentials": [{"type": "public-key", "id": passkey.id}],
            "userVerification": "required" if verified else "discouraged",
        }
        answers: list[dict[str, str]] = self._run(
            GET, [options | {"challenge": to_base64url(digest)} for digest in digests]
        )
        return answers

    def made(self, options: dict[str, Any]) -> dict[str, Any]:
        """`navigator.credentials.create` with a gateway's options."""
        return dict(self._run(CREATE, options))

    def answered(self, options: dict[str, Any]) -> dict[str, Any]:
        """`navigator.credentials.get` with a gateway's options."""
        return dict(self._run(GET_ONE, options))

    def fetch(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """What the page gets from its own gateway: status and JSON."""
        status, answer = self.driver.execute_async_script(FETCH, method, path, body)
        return int(status), answer

    def _run(self, script: str, argument: object) -> Any:
        answer = self.driver.execute_async_script(script, argument)
        if isinstance(answer, str):
            raise Refusal(answer)
        return answer


@dataclass(frozen=True)
class Site:
    driver: Chrome
    port: int

    @classmethod
    @contextmanager
    def open(cls, profile: Path) -> Iterator[Site]:
        """A browser with an empty `profile`, and a server of one page. Raises `BrowserMissing` where there is none."""
        found = find()
        options = Options()
        options.binary_location = found.chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        driver = Chrome(options=options, service=Service(executable_path=found.driver))
        try:
            yield cls(driver, server.server_port)
        finally:
            driver.quit()
            server.shutdown()
            server.server_close()

    @property
    def browser(self) -> str:
        return f"{self.driver.capabilities['browserName']} {self.driver.capabilities['browserVersion']}"

    @contextmanager
    def device(self, host: str, *, page: str | None = None) -> Iterator[Authenticator]:
        """A new device that can verify its user, at the page of `host`, or at another `page`."""
        self.driver.get(page or f"http://{host}:{self.port}/")
        self.driver.add_virtual_authenticator(
            VirtualAuthenticatorOptions(
                protocol=Protocol.CTAP2,
                transport=Transport.INTERNAL,
                has_resident_key=True,
                has_user_verification=True,
                is_user_consenting=True,
                is_user_verified=True,
            )
        )
        yield Authenticator(self.driver)
        self.driver.remove_virtual_authenticator()
