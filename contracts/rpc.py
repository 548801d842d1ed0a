"""A JSON-RPC client for one node: a call, or a batch of calls in one HTTP request, over one kept-alive session.

It never retries: whether a lost answer may be asked for again is only known to the caller (a read may, a transaction
is *perhaps sent*). Whatever keeps a usable answer from arriving is `Unavailable`; a JSON-RPC error is a `NodeError`,
raised by `call` and returned in its place by `batch`, where one failing entry harms no other. Answers of a batch are
matched by id, in whatever order they come, and each id must come exactly once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from contracts.errors import Malformed, NodeError, Throttled, Unavailable, classify

T = TypeVar("T")

Call = tuple[str, Sequence[object]]
"""A method and its JSON-able parameters; bytes and integers go through `to_hex` and `to_quantity` first."""


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: object = None


class _Answer(msgspec.Struct):
    # Raw results, so that each caller decodes its own into the type it wants, without passing through dicts.
    id: int | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_ANSWERS: msgspec.json.Decoder[list[_Answer]] = msgspec.json.Decoder(list[_Answer])


class Rpc:
    """One node at `url`. Use as an async context manager; `timeout` is seconds for one HTTP request, whole."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self.url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=16, keepalive_timeout=60),
            headers={"content-type": "application/json"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, *params: object) -> Any:
        """The result of one call. Raises `NodeError` or `Unavailable`."""
        body = await self._post(msgspec.json.encode(_request(1, method, params)))
        answer = _decode(_ANSWER, body)
        if answer.id != 1 and answer.error is None:
            raise Unavailable(f"{method}: answer to another request")
        result = _outcome(answer, method)
        if isinstance(result, NodeError):
            raise result
        return msgspec.json.decode(result)

    async def batch(self, calls: Sequence[Call]) -> list[Any | NodeError]:
        """The outcomes of `calls`, in their order, from one HTTP request.

        Raises `Unavailable`, and `NodeError` only when the node refused the batch as a whole.
        """
        return [raw if isinstance(raw, NodeError) else msgspec.json.decode(raw) for raw in await self.batch_raw(calls)]

    async def batch_raw(self, calls: Sequence[Call]) -> list[msgspec.Raw | NodeError]:
        """As `batch`, with the JSON of each result undecoded, for callers that decode into types of their own."""
        if not calls:
            return []
        body = await self._post(
            msgspec.json.encode([_request(i, method, params) for i, (method, params) in enumerate(calls)])
        )
        if body.lstrip()[:1] == b"{":  # the batch as a whole was refused
            refused = _decode(_ANSWER, body)
            if refused.error is None:
                raise Unavailable("one answer to a batch of calls")
            raise classify(refused.error.code, refused.error.message, refused.error.data)
        unordered = _decode(_ANSWERS, body)
        answers = sorted(unordered, key=lambda answer: -1 if answer.id is None else answer.id)
        if [answer.id for answer in answers] != list(range(len(calls))):
            raise Unavailable(f"{len(calls)} calls in a batch, {len(answers)} answers that do not match them")
        return [_outcome(answer, method) for answer, (method, _) in zip(answers, calls, strict=True)]

    async def _post(self, payload: bytes) -> bytes:
        if self._session is None:
            raise RuntimeError("Rpc is used outside its context")
        try:
            async with self._session.post(self.url, data=payload) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        after = response.headers.get("Retry-After")
        if response.status in (429, 503) and (after is not None or b'"error"' not in body):
            raise Throttled(f"HTTP {response.status}: {body[:200].decode(errors='replace')}", _seconds(after))
        # Some nodes put a JSON-RPC error into an HTTP 4xx; only a body that is none makes the status the error.
        if response.status >= 500 or (response.status >= 400 and b'"error"' not in body):
            raise Unavailable(f"HTTP {response.status}: {body[:200].decode(errors='replace')}")
        _require_text(body)
        return body


def to_quantity(number: int) -> str:
    """An integer as JSON-RPC writes it."""
    return hex(number)


def from_quantity(text: str) -> int:
    """Raises `Malformed`, whatever the node sent in the number's place."""
    try:
        return int(text, 16)
    except (TypeError, ValueError):
        raise Malformed(f"not a quantity: {str(text)[:40]!r}") from None


def to_hex(data: bytes) -> str:
    """Bytes (data, addresses, hashes) as JSON-RPC writes them."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """Raises `Malformed`, whatever the node sent in the data's place."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise Malformed(f"hex data must start with 0x: {str(text)[:20]!r}")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise Malformed(f"not hex data: {text[:20]!r}") from None


def _seconds(retry_after: str | None) -> float | None:
    """From now on; the header is a number of seconds or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _request(number: int, method: str, params: Sequence[object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _require_text(body: bytes) -> None:
    """JSON is UTF-8; results are decoded late and by many, and none of them should have to ask."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Unavailable(f"not UTF-8: {error.reason} at byte {error.start}") from error


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Unavailable(f"not JSON-RPC: {body[:200].decode(errors='replace')!r}") from error


def _outcome(answer: _Answer, method: str) -> msgspec.Raw | NodeError:
    if answer.error is not None:
        return classify(answer.error.code, answer.error.message, answer.error.data)
    if isinstance(answer.result, msgspec.UnsetType):
        raise Unavailable(f"{method}: an answer with neither result nor error")
    return answer.result
