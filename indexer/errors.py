"""Why the indexer stops, or starts a step again.

A `Halt` needs a person: going on would put something into the mirror that the chain did not say. Everything else heals
by trying again.
"""

from __future__ import annotations

from contracts.errors import ChainError


class Halt(Exception):
    """Stop and do not restart: the message says what contradicts what."""


class BelowFinality(Halt):
    """The chain has another block than ours at or below the height that was final."""


class Disagreement(Halt):
    """Two of our nodes call different blocks of one height final."""


class OtherDeployment(Halt):
    """The mirror, the deployment file and the node are not of one chain and one pair of contracts."""


class Unprojectable(Halt):
    """A log of our contracts is of no known shape, or contradicts the logs around it."""


class Inconsistent(ChainError):
    """The node's answers do not fit each other (it is mid-reorg, or several nodes answer as one): ask again."""


class Raced(Exception):
    """The stored tip is not the one that this writer saw: another writer was faster. Read it again."""
