"""An audit that goes on: whole at first, then the blocks that became final since, with the ledger kept in memory.

A contradiction is told once, however often it is met. Nodes that do not answer, or fall behind, are waited for. After
a contradiction in the history the ledger may be that of a false chain, so the audit begins anew. It does so from time
to time anyway: what SQL says of blocks that were judged may be changed later.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from contracts.errors import ChainError
from scripts.audit import chain, report
from scripts.audit.audit import Audit
from scripts.audit.chain import Anchor, NoAnchor
from scripts.audit.evidence import Node
from scripts.audit.options import Options, Progress, Step

Tell = Callable[[dict[str, Any]], None]

CONTRADICTION: Final = "contradiction"
DOUBT: Final = "doubt"


class Watch:
    """`told` are the ids of what was told, by kind. An audit is gone on with for `lasting` seconds."""

    def __init__(
        self, options: Options, nodes: Sequence[Node], progress: Progress, tell: Tell, *, lasting: float = math.inf
    ) -> None:
        self.options, self.nodes, self.progress, self.tell = options, nodes, progress, tell
        self.lasting = lasting
        self._begin_anew()
        self.told: dict[str, set[str]] = {CONTRADICTION: set(), DOUBT: set()}

    @property
    def alarmed(self) -> bool:
        return bool(self.told[CONTRADICTION])

    async def run(self, *, every: float, stopping: asyncio.Event, stop_if_found: bool) -> None:
        """Until `stopping`, or, with `stop_if_found`, the first contradiction. `every` is seconds."""
        while not stopping.is_set():
            await _unless(stopping, self.round())
            if self.alarmed and stop_if_found:
                return
            await _unless(stopping, asyncio.sleep(every))

    async def round(self) -> None:
        """Audits what is new, if anything is."""
        if time.monotonic() - self.begun > self.lasting:
            self._begin_anew()
        try:
            newest = await chain.anchor(self.nodes, None)
            if not self._is_new(newest):
                return
            anchor = await self.audit.advance()
        except (ChainError, NoAnchor) as error:
            self._say("unreachable", message=str(error))
            return
        self._report(anchor)
        self.audit.progress = _quietly  # of a whole audit it is told how far it is, of some blocks not
        if self.audit.tip != anchor.hash:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.audit, self.begun = Audit(self.options, self.nodes, self.progress), time.monotonic()

    def _is_new(self, newest: Anchor) -> bool:
        audit = self.audit
        if audit.tip is None or newest.number >= audit.next:
            return True
        if newest.number == audit.next - 1 and newest.hash != audit.tip:
            audit.record.found(
                "history",
                f"block {newest.number} was final as 0x{audit.tip.hex()}, and now is another one",
                block=newest.number,
            )
            return True
        return False

    def _report(self, anchor: Anchor) -> None:
        found = report.of(self.audit.record)
        for kind, those in ((CONTRADICTION, found.findings), (DOUBT, found.doubts)):
            for each in those:
                if each.id not in self.told[kind]:
                    self.told[kind].add(each.id)
                    self._say(kind, id=each.id, check=each.check, message=each.message, place=each.place)
        self._say(
            "audited",
            block=anchor.number,
            hash=f"0x{anchor.hash.hex()}",
            proved=sum(count.proved for count in found.checks.values()),
            contradictions=len(self.told[CONTRADICTION]),
            doubts=len(self.told[DOUBT]),
        )
        # What was told is told; the next round proves anew.
        record = self.audit.record
        record.findings.clear()
        record.doubts.clear()
        for tally in record.tallies.values():
            tally.proved = tally.skipped = 0

    def _say(self, kind: str, **what: Any) -> None:
        self.tell({"kind": kind, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **what})


def _quietly(_: Step) -> None:
    pass


async def _unless(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Until `work` is done or it is time to stop."""
    working, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
