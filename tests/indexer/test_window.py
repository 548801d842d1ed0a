"""What a head means, where chains part, how much to ask for."""

from __future__ import annotations

import pytest

from indexer.blocks import Block
from indexer.window import ENOUGH_LOGS, MOST_BLOCKS, Head, final, fork, grown, meaning, shrunk
from tests.indexer.chain import digest


def block(number: int, salt: str = "") -> Block:
    return Block(number, digest(f"{salt}{number}"), digest(f"{salt}{number - 1}"), number)


@pytest.mark.parametrize(
    ("number", "held", "expected"),
    [
        (11, None, Head.AHEAD),
        (10, digest("10"), Head.SAME),
        (10, digest("other 10"), Head.PARTED),
        (7, digest("7"), Head.BEHIND),
        (7, digest("other 7"), Head.PARTED),
        (0, None, Head.BEHIND),  # a node that has not reached the contracts yet
    ],
)
def test_only_another_hash_at_a_height_that_we_hold_is_a_reorganisation(
    number: int, held: bytes | None, expected: Head
) -> None:
    assert meaning(block(number), tip=10, held=held) is expected


def test_the_fork_is_the_highest_block_that_both_have() -> None:
    ours = {n: digest(f"{n}") for n in range(5, 11)}
    assert fork(ours, ours) == 10
    assert fork(ours, {**ours, 9: b"x", 10: b"y"}) == 8
    assert fork(ours, {n: ours[n] for n in (5, 6)}) == 6
    assert fork(ours, dict.fromkeys(ours, b"x")) is None
    assert fork(ours, {}) is None


def test_requests_grow_while_they_bring_little_and_shrink_when_they_bring_too_much() -> None:
    assert grown(50, blocks=50, logs=0) == 100
    assert grown(MOST_BLOCKS, blocks=MOST_BLOCKS, logs=0) == MOST_BLOCKS
    assert grown(50, blocks=50, logs=ENOUGH_LOGS) == 50
    assert grown(50, blocks=50, logs=3 * ENOUGH_LOGS) == 25
    assert grown(1, blocks=1, logs=10**6) == 1


def test_an_answer_that_was_asked_for_long_ago_changes_only_what_it_knows_better() -> None:
    assert grown(50, blocks=100, logs=3 * ENOUGH_LOGS) == 50
    assert grown(50, blocks=20, logs=3 * ENOUGH_LOGS) == 10
    assert grown(50, blocks=20, logs=0) == 50
    assert shrunk(1) == 1


def test_no_block_above_our_own_is_final_to_us() -> None:
    blocks = [block(4), block(5)]
    assert final(blocks, None) is None
    assert final(blocks, block(3)) == block(3)
    assert final(blocks, block(5)) == block(5)
    assert final(blocks, block(9)) == block(5)
