"""A connection of the indexer's own to PostgreSQL.

Its statements name the mirror's tables without their schema: it writes `mirror`, or `mirror_next` while that is built
(`schema.use`). Commits are not waited for to reach the disk. A power cut can lose the last of them, cursor and rows
together, and the chain still has them; whatever another table commits durably afterwards flushes them first.
"""

from __future__ import annotations

from psycopg import AsyncConnection

Connection = AsyncConnection[tuple[object, ...]]

# Every statement of ours touches the newest few rows of large tables by their keys. In a backfill the statistics are
# older than the rows, and the planner would read whole tables: 250 ms for a block of 200 entries instead of 10.
_OPTIONS = (
    "-c synchronous_commit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off "
    "-c search_path=mirror"
)


async def connect(url: str) -> Connection:
    """Transactions are explicit."""
    return await AsyncConnection.connect(url, autocommit=True, options=_OPTIONS)
