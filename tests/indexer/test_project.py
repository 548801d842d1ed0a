"""What logs become: one entry per side of every change of a balance, with the kind that its transaction claims."""

from __future__ import annotations

import pytest

from contracts import bindings
from indexer.errors import Unprojectable
from indexer.project import Known, Row, Rows, project
from tests.indexer.chain import (
    BOTH,
    EXCHANGE,
    FACTORY,
    NOBODY,
    NOTHING_KNOWN,
    A,
    B,
    Chain,
    Emitted,
    address,
    clawed_back,
    created,
    deposited,
    digest,
    expired,
    fee_set,
    given,
    life_extended,
    matched,
    minted,
    opened,
    partnered,
    quoted,
    recovered,
    redeemed,
    registered,
    sent,
    swapped,
    transfer,
    withdrawn,
)

ANN, BOB, CHARITY, FEES = address("ann"), address("bob"), address("charity"), address("fees")


def rows_of(*transactions: list[Emitted], known: Known = BOTH) -> Rows:
    rows, _ = project(Chain().add(*transactions).logs, known)
    return rows


def entries(rows: Rows) -> list[Row]:
    """Without block and transaction: log, side, programme, holder, delta, kind, counterparty, intent."""
    return [(*row[1:3], *row[4:]) for row in rows.entry]


def movements(rows: Rows) -> list[Row]:
    return [row[2:] for row in rows.movement]


def test_a_minted_batch_is_earned_by_its_holders() -> None:
    rows = rows_of(minted(A, 1, [(ANN, 5), (BOB, 7), (ANN, 1)]))
    assert entries(rows) == [
        (0, 1, A, ANN, 5, "earned", None, None),
        (1, 1, A, BOB, 7, "earned", None, None),
        (2, 1, A, ANN, 1, "earned", None, None),
    ]
    assert rows.batch == [(A, 1, 1, 3, 0, digest("root"), digest("hash"), 13, 3)]
    assert [row[:2] for row in rows.transaction] == [(1, 0)]


def test_batches_of_several_programmes_in_one_transaction_are_kept_apart() -> None:
    rows = rows_of([*minted(A, 1, [(ANN, 5)]), *minted(B, 1, [(ANN, 6)]), *minted(A, 2, [(BOB, 7)])])
    assert [(row[4], row[5], row[6]) for row in rows.entry] == [(A, ANN, 5), (B, ANN, 6), (A, BOB, 7)]
    assert [row[:2] for row in rows.batch] == [(A, 1), (B, 1), (A, 2)]


def test_a_send_has_two_sides_and_its_intent() -> None:
    assert entries(rows_of(sent(A, ANN, BOB, 4))) == [
        (0, 0, A, ANN, -4, "sent", BOB, digest("send")),
        (0, 1, A, BOB, 4, "received", ANN, digest("send")),
    ]


def test_a_redemption_burns_and_keeps_the_order() -> None:
    rows = rows_of(redeemed(A, ANN, 4))
    assert entries(rows) == [(0, 0, A, ANN, -4, "redeemed", None, digest("redeem"))]
    assert rows.redemption == [(1, 1, digest("redeem"), A, ANN, digest("order"), 4)]


def test_a_swap_burns_mints_and_moves_margin_and_fee() -> None:
    rows = rows_of(swapped(A, B, ANN, amount=100, out=40, value=50, fee=2))
    assert entries(rows) == [
        (0, 0, A, ANN, -100, "swapped", B, digest("swap")),
        (1, 1, B, ANN, 40, "swapped", A, digest("swap")),
    ]
    assert movements(rows) == [(0, A, -50, "swap"), (1, B, 48, "swap"), (2, FEES, 2, "fee")]
    assert rows.swap == [(1, 2, digest("swap"), A, B, ANN, 100, 40, 50, 2)]


def test_the_fee_goes_to_the_account_that_stood_when_the_swap_was_made() -> None:
    other = address("other fees")
    rows, known = project(
        Chain()
        .add(
            swapped(A, B, ANN, amount=9, out=9, value=9, fee=1),
            [fee_set(10, other)],
            swapped(A, B, ANN, amount=9, out=9, value=9, fee=1),
        )
        .logs,
        BOTH,
    )
    assert [row[3] for row in rows.movement if row[5] == "fee"] == [FEES, other]
    assert known.fee_account == other
    assert [row[2:] for row in rows.fee] == [(10, other)]


def test_a_gift_burns_and_credits_the_charity() -> None:
    rows = rows_of(given(A, CHARITY, ANN, amount=10, value=6, campaign=3))
    assert entries(rows) == [(0, 0, A, ANN, -10, "gave", CHARITY, digest("give"))]
    assert movements(rows) == [(0, A, -6, "gift"), (1, CHARITY, 6, "gift")]
    assert rows.gift == [(1, 1, digest("give"), A, CHARITY, ANN, 3, 10, 6)]


def test_a_match_moves_its_sponsors_margin_beside_the_gift() -> None:
    sponsor = address("sponsor")
    rows = rows_of([*given(A, CHARITY, ANN, amount=10, value=6), matched(sponsor, CHARITY, value=3)])
    assert movements(rows)[2:] == [(0, sponsor, -3, "match"), (1, CHARITY, 3, "match")]
    assert rows.matching == [(1, 2, digest("give"), 1, sponsor, CHARITY, 3)]


def test_points_expire_in_the_midst_of_what_touches_their_account() -> None:
    mint = minted(A, 1, [(ANN, 5), (BOB, 7)])
    rows = rows_of([mint[0], *expired(A, BOB, 90), *mint[1:]])
    assert [(row[1], row[5], row[6], row[7]) for row in rows.entry] == [
        (1, BOB, -90, "expired"),
        (0, ANN, 5, "earned"),
        (3, BOB, 7, "earned"),
    ]
    swap = swapped(A, B, ANN, amount=100, out=40, value=50)
    rows = rows_of([swap[0], *expired(B, ANN, 9), *swap[1:]])
    assert [(row[4], row[6], row[7]) for row in rows.entry] == [
        (B, -9, "expired"),
        (A, -100, "swapped"),
        (B, 40, "swapped"),
    ]


def test_a_clawback_burns_what_was_left_and_tells_the_shortfall() -> None:
    rows = rows_of([*clawed_back(A, ANN, burned=4, shortfall=3), *clawed_back(A, BOB, burned=0, shortfall=2)])
    assert entries(rows) == [(0, 0, A, ANN, -4, "clawed_back", None, None)]
    assert rows.clawback == [
        (1, 1, A, 4, 9, ANN, digest("purchase"), 4, 3),
        (1, 2, A, 4, 9, BOB, digest("purchase"), 0, 2),
    ]


def test_a_recovery_has_two_sides() -> None:
    assert entries(rows_of(recovered(A, ANN, BOB, 8))) == [
        (0, 0, A, ANN, -8, "recovered", BOB, None),
        (0, 1, A, BOB, 8, "recovered", ANN, None),
    ]
    assert rows_of(recovered(A, ANN, BOB, 0)).entry == []


def test_a_programmes_life_is_that_of_its_creation_until_it_grows() -> None:
    rows = rows_of([created(A), life_extended(A, 900)], known=NOTHING_KNOWN)
    assert [row[2:] for row in rows.life] == [(A, 730), (A, 900)]


def test_deposits_and_withdrawals_move_margin() -> None:
    assert movements(rows_of([deposited(A, 9), withdrawn(A, 4)])) == [(1, A, 9, "deposit"), (0, A, -4, "withdrawal")]


def test_a_transfer_that_nothing_claims_was_made_by_its_holder() -> None:
    rows = rows_of([transfer(A, ANN, BOB, 3), *sent(A, ANN, BOB, 3), transfer(A, ANN, BOB, 0)])
    assert entries(rows) == [
        (1, 0, A, ANN, -3, "sent", BOB, digest("send")),
        (1, 1, A, BOB, 3, "received", ANN, digest("send")),
        (0, 0, A, ANN, -3, "transferred", BOB, None),
        (0, 1, A, BOB, 3, "transferred", ANN, None),
    ]


def test_a_transaction_does_not_claim_what_another_one_moved() -> None:
    rows = rows_of([transfer(A, ANN, BOB, 3)], sent(A, ANN, BOB, 3))
    assert [row[7] for row in rows.entry] == ["transferred", "transferred", "sent", "received"]


def test_everything_shown_has_its_row() -> None:
    rows, known = project(
        Chain()
        .add(
            [created(A)],
            [quoted(A, bid=5, ask=6), partnered(A, B, True)],
            [registered(CHARITY, b"Food Bank"), opened(1, CHARITY)],
        )
        .logs,
        NOTHING_KNOWN,
    )
    assert [row[2:] for row in rows.programme] == [(A, address("owner"), address("issuer"), "Grocery", "GRO")]
    assert [row[2:] for row in rows.quote] == [(A, 5, 6, 2_000_000_000, 10**9, 1_700_000_000)]
    assert [row[2:] for row in rows.partner] == [(A, B, True)]
    assert [row[2:] for row in rows.charity] == [(CHARITY, "Food Bank")]
    assert [row[2:] for row in rows.campaign] == [(1, CHARITY, 10**6, 2_000_000_000)]
    assert known.programmes == {A}


def test_a_programme_may_be_used_in_the_transaction_that_created_it() -> None:
    rows, _ = project(Chain().add([created(A), *minted(A, 1, [(ANN, 1)])]).logs, NOTHING_KNOWN)
    assert len(rows.entry) == 1


def test_a_hostile_name_is_text_that_the_database_can_hold() -> None:
    rows = rows_of([created(A, name=b"\xff\x00x")], known=NOTHING_KNOWN)
    assert rows.programme[0][5] == "\ufffd\ufffdx"


@pytest.mark.parametrize(
    ("emitted", "reason"),
    [
        ([transfer(A, NOBODY, ANN, 5)], "appear or vanish"),
        ([transfer(A, ANN, NOBODY, 5)], "appear or vanish"),
        (sent(A, ANN, BOB, 4)[1:], "no send"),
        ([transfer(A, ANN, NOBODY, 5), *sent(A, ANN, BOB, 4)[1:]], "no send"),
        ([transfer(B, ANN, BOB, 4), *sent(A, ANN, BOB, 4)[1:]], "no send"),
        (minted(A, 1, [(ANN, 5), (BOB, 7)])[1:], "says 2 entries of 12"),
        ([transfer(A, NOBODY, ANN, 5), transfer(A, NOBODY, BOB, 6), minted(A, 1, [(ANN, 5), (BOB, 7)])[-1]], "of 11"),
        ([transfer(A, ANN, BOB, 5), minted(A, 1, [(BOB, 5)])[-1]], "says 1 entries"),
        (swapped(A, B, ANN, amount=1, out=1, value=1)[1:], "no burn"),
        (swapped(A, B, ANN, amount=1, out=1, value=1)[::2], "no mint"),
        (
            [swapped(A, B, ANN, amount=1, out=1, value=1)[0], *swapped(A, B, BOB, amount=1, out=1, value=1)[1:]],
            "got the points",
        ),
        (given(A, CHARITY, ANN, amount=1, value=1)[1:], "no burn"),
        (expired(A, ANN, 5)[1:], "no transfer of 5"),
        ([transfer(A, ANN, NOBODY, 4), expired(A, ANN, 5)[1]], "no transfer of 5"),
        (clawed_back(A, ANN, burned=5, shortfall=0)[1:], "no transfer of 5"),
        (recovered(A, ANN, BOB, 5)[1:], "no transfer of 5"),
        ([(A, [bindings.TRANSFER_TOPIC, ANN.rjust(32)], b"")], "undecodable Transfer"),
        ([(A, [], b"")], "unknown event"),
        ([(A, [digest("Vanished()")], b"")], "unknown event"),
        ([(EXCHANGE, transfer(A, ANN, BOB, 5)[1], transfer(A, ANN, BOB, 5)[2])], "the exchange emitted an unknown"),
        ([(FACTORY, deposited(A, 5)[1], deposited(A, 5)[2])], "the factory emitted an unknown"),
        ([transfer(address("stranger"), ANN, BOB, 5)], "none of our contracts"),
    ],
)
def test_what_cannot_be_is_refused(emitted: list[Emitted], reason: str) -> None:
    with pytest.raises(Unprojectable, match=reason):
        rows_of(emitted)


def test_a_fee_without_an_account_is_refused() -> None:
    known = Known(FACTORY, EXCHANGE, frozenset({A, B}), None)
    with pytest.raises(Unprojectable, match="no account"):
        rows_of(swapped(A, B, ANN, amount=9, out=9, value=9, fee=1), known=known)
