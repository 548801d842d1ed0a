"""What a command cannot do for its user, said in one sentence with what to do, instead of a traceback."""

from __future__ import annotations


class CommandFailed(RuntimeError):
    """When a command of `points` has to give up for a reason that its user can see and mend."""
