"""The supervisor's promises: what dies is started again, what is stopped stays stopped, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scripts.supervise import HALTED, Child, NotReady, end_leftover

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "time.sleep(600)",
]


def child(folder: Path, command: list[str]) -> Child:
    return Child(
        name="sleeper",
        command=lambda: command,
        environment=dict(os.environ),
        log=folder / "sleeper.log",
        pid_file=folder / "sleeper.pid",
    )


async def until(condition: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    sleeper = child(tmp_path, SLEEPER)
    await sleeper.start()
    assert sleeper.process is not None
    first = sleeper.process.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: sleeper.restarts == 1 and sleeper.process is not None and sleeper.process.pid != first)
    await sleeper.stop()


@pytest.mark.asyncio
async def test_the_children_of_a_killed_process_are_ended_before_it_starts_again(tmp_path: Path) -> None:
    parent = child(tmp_path, PARENT)
    await parent.start()
    assert parent.process is not None
    await until(lambda: bool(psutil.Process(parent.process.pid).children()))
    worker = psutil.Process(parent.process.pid).children()[0]
    os.kill(parent.process.pid, signal.SIGKILL)
    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    await parent.stop()


@pytest.mark.asyncio
async def test_a_stopped_process_stays_stopped(tmp_path: Path) -> None:
    sleeper = child(tmp_path, SLEEPER)
    await sleeper.start()
    await sleeper.stop()
    assert sleeper.process is not None
    assert sleeper.process.returncode == -signal.SIGTERM
    assert not (tmp_path / "sleeper.pid").exists()


def test_what_a_killed_supervisor_left_behind_is_ended(tmp_path: Path) -> None:
    left = subprocess.Popen(SLEEPER, start_new_session=True, stdout=subprocess.DEVNULL)
    pid_file = tmp_path / "sleeper.pid"
    pid_file.write_text(f"{left.pid} {time.time()}\n")
    end_leftover(pid_file)
    assert not psutil.pid_exists(left.pid)
    left.wait()


def test_a_pid_that_now_belongs_to_another_is_left_alone(tmp_path: Path) -> None:
    pid_file = tmp_path / "sleeper.pid"
    pid_file.write_text(f"{os.getpid()} {time.time() - 86_400 * 365}\n")
    end_leftover(pid_file)
    assert not pid_file.exists()


@pytest.mark.asyncio
async def test_a_process_that_keeps_dying_is_reported_with_its_last_words(tmp_path: Path) -> None:
    dying = child(tmp_path, [sys.executable, "-c", "print('no such table', flush=True); raise SystemExit(3)"])
    await dying.start()

    async def never() -> bool:
        return False

    with pytest.raises(NotReady, match="no such table"):
        await dying.ready(never, seconds=2)
    await dying.stop()


@pytest.mark.asyncio
async def test_a_process_that_halts_for_a_person_is_not_started_again(tmp_path: Path) -> None:
    halting = child(tmp_path, [sys.executable, "-c", f"raise SystemExit({HALTED})"])
    await halting.start()
    assert halting._keeper is not None
    await asyncio.wait_for(halting._keeper, 10)
    assert halting.restarts == 0
    await halting.stop()
