"""The process that packs: the same rows, the same refusals, and no orphan."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import psutil
import pytest

from indexer import pack, packer
from indexer.errors import Unprojectable
from indexer.packer import Packer
from tests.conftest import ROOT
from tests.indexer.chain import BOTH, A, Chain, address, minted, sent
from tests.indexer.test_pack import answer

pytestmark = pytest.mark.asyncio

ANN, BOB = address("ann"), address("bob")


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "LARGE", 0)


def chain() -> Chain:
    made = Chain()
    made.add(minted(A, 1, [(ANN, 5), (BOB, 7)]), sent(A, ANN, BOB, 1))
    return made


async def test_the_other_process_packs_the_same() -> None:
    working = Packer()
    try:
        asked = answer(chain(), BOTH)
        assert await working.pack(asked, BOTH) == pack.pack(asked, BOTH)
        assert len(psutil.Process().children()) >= 1
        broken = Chain()
        broken.add(sent(A, ANN, BOB, 1)[1:])
        with pytest.raises(Unprojectable, match="no send"):
            await working.pack(answer(broken, BOTH), BOTH)
        assert await working.pack(asked, BOTH) == pack.pack(asked, BOTH)
    finally:
        await working.close()


async def test_an_answer_that_nobody_waits_for_any_more_does_not_come_as_the_next_ones() -> None:
    working = Packer()
    try:
        asked = answer(chain(), BOTH)
        given_up = asyncio.create_task(working.pack(asked, BOTH))
        await asyncio.sleep(0.01)
        given_up.cancel()
        other = Chain()
        other.add(minted(A, 1, [(BOB, 9)]))
        assert (await working.pack(answer(other, BOTH), BOTH)).lines["entry"].count("\n") == 1
    finally:
        await working.close()


async def test_if_the_other_process_dies_the_work_is_done_here() -> None:
    working = Packer()
    try:
        asked = answer(chain(), BOTH)
        await working.pack(asked, BOTH)
        others = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
        assert others
        for child in others:
            child.kill()
            child.wait()
        assert await working.pack(asked, BOTH) == pack.pack(asked, BOTH)
    finally:
        await working.close()


PROGRAM = """
import asyncio, psutil
from indexer import packer
packer.LARGE = 0
from tests.indexer.chain import BOTH
from tests.indexer.test_pack import answer
from tests.indexer.test_packer import chain

async def main():
    await packer.Packer().pack(answer(chain(), BOTH), BOTH)
    print(*[child.pid for child in psutil.Process().children()], flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_it_ends_when_its_owner_is_killed() -> None:
    owner = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pids = [int(pid) for pid in (await asyncio.to_thread(owner.stdout.readline)).split()]
    assert pids
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline, "an orphan packs for nobody"
        await asyncio.sleep(0.1)
