"""A process that has imported all of our programs and forks one whenever it is told to: 20 ms instead of two seconds.

What runs in the fork is `python -m MODULE`, a process of its own with its own environment and log, which can be killed
like any other; only reading and compiling the modules is spared. Nothing is called before the fork: no thread, no
random generator and no connection is shared.

Lines of JSON: in, `{"module", "arguments", "environment", "log"}`; out, `{"pid"}` for each of them in turn and
`{"ended", "code"}` whenever a child ended, the code negative for a signal. At the end of the input every child is
killed.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import select
import signal
import sys
from io import FileIO
from typing import Any, Final

PROGRAMS: Final = (
    "psycopg_pool", "uvicorn.lifespan.on", "uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl",
    "exchange.app", "exchange.logs", "exchange.relayer.run", "exchange.relayer.settings", "exchange.webhooks.deriving",
    "exchange.webhooks.destination", "exchange.webhooks.sending", "exchange.webhooks.warning", "indexer.follow",
    "indexer.settings",
)  # fmt: skip
"""What the programs import, so that the forks find it in memory."""


def main() -> None:
    for module in PROGRAMS:
        importlib.import_module(module)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    children: set[int] = set()
    commands = FileIO(0, closefd=False)  # without a buffer, which `select` does not see
    for line in iter(lambda: _next_line(commands, woken, children), b""):
        wish = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.close(woken)
            os.close(wake)
            _become(wish)
        children.add(pid)
        _say({"pid": pid})
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _next_line(commands: FileIO, woken: int, children: set[int]) -> bytes:
    """Tells of children that ended until there is a line."""
    while True:
        ready, _, _ = select.select([commands.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(children)
        if commands.fileno() in ready:
            return commands.readline()


def _reap(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _die_with_the_zygote() -> None:
    """Linux's own: whatever ends the tests, nothing of theirs is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _become(wish: dict[str, Any]) -> None:
    """Never returns."""
    code = 1
    try:
        _die_with_the_zygote()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        log = os.open(wish["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(wish["environment"])
        sys.argv = [wish["module"], *wish["arguments"]]
        runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
