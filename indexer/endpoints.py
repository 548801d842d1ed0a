"""Several nodes of one chain: reading goes on with another when one fails, lags or asks for patience.

One node is asked at a time, so that what belongs together comes from one state. Every few seconds all are asked for
their head and their finality. Who lags behind the others, or failed, is left for the one that is furthest. A block is
final when a majority of all nodes answers and every one that answers has it: two nodes that call different blocks of
one height final are a halt (`Disagreement`), for one of them is on another chain and nothing here can say which. Nodes
are shown by host and port: what else is in their URL may be a secret.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from contracts.errors import ChainError, NodeError, RateLimited, Throttled, Unavailable
from contracts.rpc import Call, Rpc, from_quantity
from indexer import source
from indexer.blocks import Block
from indexer.errors import Disagreement, OtherDeployment
from indexer.metrics import Metrics

T = TypeVar("T")

SURVEY_SECONDS: Final = 5.0
"""Between two looks at all nodes."""

SURVEY_PATIENCE: Final = 3.0
"""Seconds that a node has for its answer to such a look."""

LAG: Final = 2
"""Blocks that the node in use may be behind the others."""

FIRST_REST: Final = 0.5
LONGEST_REST: Final = 60.0
"""Seconds that a node is left alone after it failed: doubled each time, unless it said for how long."""

_log = structlog.get_logger("indexer")


@dataclass(slots=True)
class _Endpoint:
    rpc: Rpc
    name: str
    rests_until: float = 0.0
    failures: int = 0


class Endpoints:
    """Asks as one `Rpc` does. `clock` is monotonic, in seconds."""

    def __init__(self, rpcs: Sequence[Rpc], metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._all = [_Endpoint(rpc, shown(rpc.url)) for rpc in rpcs]
        self._metrics, self._clock = metrics, clock
        self._surveyed: float | None = None
        self._agreed: Block | None = None
        self._use(self._all[0])

    async def call(self, method: str, *params: object) -> Any:
        """As `Rpc.call`."""
        return await self._ask(lambda rpc: rpc.call(method, *params))

    async def batch_raw(self, calls: Sequence[Call]) -> list[msgspec.Raw | NodeError]:
        """As `Rpc.batch_raw`, but that a node which asks for patience in one of its answers has given none."""

        async def ask(rpc: Rpc) -> list[msgspec.Raw | NodeError]:
            answers = await rpc.batch_raw(calls)
            for answer in answers:
                if isinstance(answer, RateLimited):
                    raise answer
            return answers

        return await self._ask(ask)

    async def require_chain(self, chain_id: int) -> None:
        """Raises `OtherDeployment` if a node that answers is of another chain, `Unavailable` if none answers."""
        found = await asyncio.gather(
            *(endpoint.rpc.call("eth_chainId") for endpoint in self._all), return_exceptions=True
        )
        answers = [(e, from_quantity(a)) for e, a in zip(self._all, found, strict=True) if isinstance(a, str)]
        for endpoint, theirs in answers:
            if theirs != chain_id:
                raise OtherDeployment(
                    f"the node {endpoint.name} is of chain {theirs}, the deployment of chain {chain_id}"
                )
        if not answers:
            raise next(error for error in found if isinstance(error, BaseException))

    async def heads(self) -> tuple[Block, Block | None]:
        """The newest block of the node in use, and the newest that is final to all. Raises `Disagreement`."""
        if len(self._all) == 1:
            return await source.heads(self)
        if self._surveyed is None or self._clock() - self._surveyed >= SURVEY_SECONDS:
            return await self._survey()
        head, _ = await source.heads(self)
        return head, self._agreed

    def look_around(self) -> None:
        """The node in use seems to be behind: ask all at the next look."""
        self._surveyed = None

    def doubt(self) -> None:
        """What the node in use said does not fit itself: try another one, if there is one."""
        if len(self._all) > 1:
            self._failed(self._used, None)

    async def _ask(self, ask: Callable[[Rpc], Awaitable[T]]) -> T:
        """Of the node in use, or of the next ones while they fail; as many times as there are nodes."""
        for left in range(len(self._all) - 1, -1, -1):
            endpoint = self._used
            if (wait := endpoint.rests_until - self._clock()) > 0:
                await asyncio.sleep(wait)
            try:
                answer = await ask(endpoint.rpc)
            except (Unavailable, RateLimited) as error:
                self._failed(endpoint, error)
                if not left:
                    raise
            else:
                endpoint.failures = 0
                return answer
        raise AssertionError("there is a node")

    def _failed(self, endpoint: _Endpoint, error: ChainError | None) -> None:
        """Leaves a node alone for a while. One that is alone and merely away is asked again as its asker likes."""
        if error is not None:
            self._metrics.node_failures.labels(endpoint.name, type(error).__name__).inc()
        if (len(self._all) > 1 or isinstance(error, RateLimited | Throttled)) and self._clock() >= endpoint.rests_until:
            told = error.seconds if isinstance(error, Throttled) else None
            rest = min(FIRST_REST * 2**endpoint.failures, LONGEST_REST) if told is None else min(told, LONGEST_REST)
            endpoint.rests_until, endpoint.failures = self._clock() + rest, min(endpoint.failures + 1, 10)
        if endpoint is self._used:
            at = self._all.index(endpoint)
            others = [*self._all[at + 1 :], *self._all[:at], endpoint]
            self._use(min(others, key=lambda other: max(other.rests_until, self._clock())))

    def _use(self, endpoint: _Endpoint) -> None:
        self._used = endpoint
        for each in self._all:
            self._metrics.node_in_use.labels(each.name).set(each is endpoint)

    async def _survey(self) -> tuple[Block, Block | None]:
        """Asks all nodes how far they are, and takes the furthest if the one in use is behind it."""
        found = await self._each(self._all, source.heads)
        self._surveyed = self._clock()
        seen = [(endpoint, *heads) for endpoint, heads in found]
        if not seen:
            raise Unavailable("none of the nodes answers")
        furthest, top, _ = max(seen, key=lambda each: each[1].number)
        heads = {endpoint.name: head for endpoint, head, _ in seen}
        mine = heads.get(self._used.name)
        if mine is None or mine.number < top.number - LAG:
            _log.warning(
                "left a node", node=self._used.name, for_=furthest.name, behind=mine and top.number - mine.number
            )
            self._use(furthest)
            mine = top
        agreed = await self._agree([(endpoint, final) for endpoint, _, final in seen if final is not None])
        if agreed is not None and (self._agreed is None or agreed.number > self._agreed.number):
            self._agreed = agreed
        return mine, self._agreed

    async def _agree(self, finals: Sequence[tuple[_Endpoint, Block]]) -> Block | None:
        """The lowest of the final blocks, if a majority of all nodes has it. Raises `Disagreement`."""
        if 2 * len(finals) <= len(self._all):
            return None
        whose, lowest = min(finals, key=lambda each: each[1].number)

        async def at_that_height(rpc: Rpc) -> Block | None:
            return (await source.headers(rpc, [lowest.number])).get(lowest.number)

        agreeing = 0
        for endpoint, block in await self._each([endpoint for endpoint, _ in finals], at_that_height):
            if block is not None and block.hash != lowest.hash:
                raise Disagreement(
                    f"block {lowest.number} is final as 0x{lowest.hash.hex()} at {whose.name} and as "
                    f"0x{block.hash.hex()} at {endpoint.name}. Nothing was written. Find out which node is of another "
                    "chain, and take it out of POINTS_RPC_URLS."
                )
            agreeing += block is not None
        return lowest if 2 * agreeing > len(self._all) else None

    async def _each(
        self, endpoints: Sequence[_Endpoint], ask: Callable[[Rpc], Awaitable[T]]
    ) -> list[tuple[_Endpoint, T]]:
        """What those say that answer in time."""

        async def one(endpoint: _Endpoint) -> T | None:
            try:
                async with asyncio.timeout(SURVEY_PATIENCE):
                    return await ask(endpoint.rpc)
            except (ChainError, TimeoutError) as error:
                self._metrics.node_failures.labels(endpoint.name, type(error).__name__).inc()
                return None

        found = await asyncio.gather(*map(one, endpoints))
        return [(endpoint, each) for endpoint, each in zip(endpoints, found, strict=True) if each is not None]


def shown(url: str) -> str:
    """Host and port of a node's URL."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]
