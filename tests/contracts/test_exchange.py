"""Quotes, partners, margin and charities: who may do what, once, and what it costs whom."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode

from contracts import bindings, eip712
from contracts.bindings import (
    CampaignOpened,
    CharityRegistered,
    Deposited,
    Given,
    GuardianSet,
    Matched,
    MatchSet,
    PartnerSet,
    PauseSet,
    PayoutSet,
    Quote,
    Quoted,
    SponsorNamed,
    WithdrawalAnnounced,
    Withdrawn,
)
from tests.contracts.world import CHAIN_ID, FOREVER, LASTING, Person, Programme, Refused, World, make_world, person

ANNA = person("Anna")
NAME = b"Kids".ljust(32, b"\0")
PRICE = 10**9
DAY = 86_400


@pytest.fixture
def grocer(world: World) -> Programme:
    return world.programme("Grocer")


def test_an_owner_posts_a_quote_by_signature(world: World, grocer: Programme) -> None:
    (posted,) = world.quote(grocer, bid=9, ask=10, until=FOREVER, cap=77)
    assert posted == Quoted(grocer.address, 9, 10, FOREVER, 77, world.chain.now - 1)
    answer = world.chain.ask(world.exchange, bindings.exchange_quote_of(programme=grocer.address))
    assert bindings.exchange_quote_of_result(answer) == Quote(9, 10, FOREVER, 77)
    assert world.nonce(grocer.address) == 1


def test_an_owner_acts_by_its_own_transaction_with_an_empty_signature(world: World) -> None:
    chain = world.chain
    salt, limits = bytes(32), bindings.Limits(1, 1, 1, 1)
    roles = bindings.Roles(chain.account(2), chain.account(3))
    (created,) = chain.do(
        world.factory,
        bindings.factory_create(name=NAME, symbol=NAME, roles=roles, limits=limits, terms=LASTING, salt=salt),
    )
    assert isinstance(created, bindings.ProgrammeCreated)
    call = bindings.exchange_set_quote(
        programme=created.programme, quote=Quote(1, 2, FOREVER, 3), nonce=0, signature=b""
    )
    with pytest.raises(Refused, match=rf"InvalidSignature\(signer=0x{chain.account(2).hex()}\)"):
        chain.do(world.exchange, call, sender=3)
    chain.do(world.exchange, call, sender=2)
    with pytest.raises(Refused, match="InvalidNonce"):
        chain.do(world.exchange, call, sender=2)


def test_a_quote_needs_a_bid_not_above_its_ask_and_a_future(world: World, grocer: Programme) -> None:
    past = world.chain.now
    for bid, ask, until in [(0, 1, FOREVER), (0, 0, FOREVER), (11, 10, FOREVER), (9, 10, past), (9, 10, 0)]:
        with pytest.raises(Refused, match="InvalidQuote"):
            world.quote(grocer, bid=bid, ask=ask, until=until)


def test_the_domain_can_be_read(world: World, grocer: Programme) -> None:
    types = ["bytes1", "string", "string", "uint256", "address", "bytes32", "uint256[]"]
    for contract, call in [
        (world.exchange, bindings.exchange_eip712_domain()),
        (grocer.address, bindings.points_eip712_domain()),
    ]:
        fields, name, version, chain_id, verifying, salt, extensions = decode(types, world.chain.ask(contract, call))
        assert (fields, salt, extensions) == (b"\x0f", bytes(32), ())
        assert (name, version, chain_id) == (eip712.NAME, eip712.VERSION, CHAIN_ID)
        assert verifying == f"0x{contract.hex()}"


def test_only_programmes_have_quotes_and_partners(world: World, grocer: Programme) -> None:
    stranger = Programme(world.chain, ANNA.address, ANNA, ANNA, b"")
    with pytest.raises(Refused, match=rf"UnknownProgramme\(programme=0x{ANNA.address.hex()}\)"):
        world.quote(stranger, bid=1, ask=1)
    with pytest.raises(Refused, match="UnknownProgramme"):
        world.consent(stranger, grocer.address)
    with pytest.raises(Refused, match="UnknownProgramme"):
        world.consent(grocer, ANNA.address)


def test_an_older_quote_never_overrides_a_newer_one(world: World, grocer: Programme) -> None:
    older, newer = world.quote_call(grocer, bid=1, ask=1), world.quote_call(grocer, bid=2, ask=2)
    world.chain.do(world.exchange, newer)
    with pytest.raises(Refused, match=rf"InvalidNonce\(account=0x{grocer.address.hex()}, nonce=0\)"):
        world.chain.do(world.exchange, older)


def test_nobody_else_signs_for_a_programme(world: World, grocer: Programme) -> None:
    for other in (grocer.issuer, ANNA):
        with pytest.raises(Refused, match=rf"InvalidSignature\(signer=0x{grocer.owner.address.hex()}\)"):
            world.chain.do(world.exchange, world.quote_call(grocer, bid=1, ask=1, by=other))


def test_a_pair_trades_when_both_have_opened_it_and_until_one_closes_it(world: World, grocer: Programme) -> None:
    florist = world.programme("Florist")

    def trading() -> bool:
        both = [(grocer.address, florist.address), (florist.address, grocer.address)]
        calls = [bindings.exchange_partners(from_=one, into=other) for one, other in both]
        answers = {bindings.exchange_partners_result(world.chain.ask(world.exchange, call)) for call in calls}
        assert len(answers) == 1
        return answers.pop()

    assert not trading()
    assert world.consent(grocer, florist.address) == [PartnerSet(grocer.address, florist.address, True)]
    world.consent(grocer, florist.address)
    assert not trading()
    world.consent(florist, grocer.address)
    assert trading()
    world.consent(grocer, florist.address, False)
    assert not trading()
    world.consent(grocer, florist.address)
    assert trading()
    with pytest.raises(Refused, match="NotPartners"):
        world.consent(grocer, grocer.address)


def test_anybody_deposits_for_anybody(world: World, grocer: Programme) -> None:
    events = world.deposit(grocer.address, 500)
    assert events[-1] == Deposited(grocer.address, world.chain.account(0), 500)
    world.deposit(ANNA.address, 20)
    assert (world.margin(grocer.address), world.margin(ANNA.address), world.held()) == (500, 20, 520)


def test_a_deposit_is_what_really_arrived(world: World, grocer: Programme) -> None:
    with pytest.raises(Refused, match="ZeroAmount"):
        world.deposit(grocer.address, 0)
    with pytest.raises(Refused, match="ZeroAddress"):
        world.deposit(bytes(20), 5)
    with pytest.raises(Refused, match="ERC20InsufficientAllowance"):
        world.chain.do(world.exchange, bindings.exchange_deposit(account=grocer.address, amount=5), sender=1)
    world.deposit(grocer.address, 2**96 - 1)
    with pytest.raises(Refused, match="MarginOverflow"):
        world.deposit(grocer.address, 1)


def test_a_programme_withdraws_seven_days_after_it_said_so(world: World, grocer: Programme) -> None:
    world.deposit(grocer.address, 500)
    call = world.withdraw_call(grocer.address, grocer.owner, ANNA.address, 200)
    due = world.chain.now + 7 * DAY
    assert world.chain.do(world.exchange, call, sender=4) == [
        WithdrawalAnnounced(grocer.address, ANNA.address, 200, due)
    ]
    with pytest.raises(Refused, match="InvalidNonce"):
        world.chain.do(world.exchange, call)
    complete = bindings.exchange_complete_withdrawal(programme=grocer.address)
    with pytest.raises(Refused, match=rf"NoticeNotOver\(programme=0x{grocer.address.hex()}, due={due}\)"):
        world.chain.do(world.exchange, complete)
    asked = world.chain.ask(world.exchange, bindings.exchange_announced_withdrawal(programme=grocer.address))
    assert bindings.exchange_announced_withdrawal_result(asked) == (ANNA.address, 200, due)
    world.chain.travel(7 * DAY)
    assert world.chain.do(world.exchange, complete, sender=4)[-1] == Withdrawn(grocer.address, ANNA.address, 200)
    assert (world.margin(grocer.address), world.held()) == (300, 300)
    with pytest.raises(Refused, match="NothingAnnounced"):
        world.chain.do(world.exchange, complete)


def test_a_programme_is_paid_no_more_than_what_is_left(world: World, grocer: Programme) -> None:
    world.deposit(grocer.address, 500)
    world.chain.do(world.exchange, world.withdraw_call(grocer.address, grocer.owner, ANNA.address, 100))
    world.chain.do(world.exchange, world.withdraw_call(grocer.address, grocer.owner, ANNA.address, 900))
    world.chain.travel(7 * DAY)
    complete = bindings.exchange_complete_withdrawal(programme=grocer.address)
    assert world.chain.do(world.exchange, complete)[-1] == Withdrawn(grocer.address, ANNA.address, 500)
    for signer, to, amount, reason in [
        (grocer.owner, ANNA.address, 0, "ZeroAmount"),
        (grocer.owner, bytes(20), 1, "ZeroAddress"),
        (grocer.issuer, ANNA.address, 1, "InvalidSignature"),
    ]:
        with pytest.raises(Refused, match=reason):
            world.chain.do(world.exchange, world.withdraw_call(grocer.address, signer, to, amount))
    world.chain.do(world.exchange, world.withdraw_call(grocer.address, grocer.owner, ANNA.address, 1))
    world.chain.travel(7 * DAY)
    with pytest.raises(Refused, match="ZeroAmount"):
        world.chain.do(world.exchange, complete)


def test_a_withdrawal_of_too_much_is_refused(world: World) -> None:
    world.deposit(ANNA.address, 50)
    with pytest.raises(Refused, match=rf"MarginTooLow\(account=0x{ANNA.address.hex()}, margin=50, wanted=51\)"):
        world.chain.do(world.exchange, world.withdraw_call(ANNA.address, ANNA, ANNA.address, 51))


def test_a_charity_is_paid_out_at_one_address_that_changes_in_fourteen_days(world: World) -> None:
    charity, vault = world.charity("Kids"), person("vault").address
    world.deposit(charity.address, 50)

    def pay(to: bytes) -> str | None:
        return world.chain.refusal(world.exchange, world.withdraw_call(charity.address, charity, to, 10))

    assert pay(vault) == f"NotPayout(charity=0x{charity.address.hex()}, to=0x{vault.hex()})"
    assert pay(charity.address) is None
    call = world.payout_call(charity, vault)
    assert world.chain.do(world.exchange, call) == [PayoutSet(charity.address, vault, world.chain.now - 1 + 14 * DAY)]
    with pytest.raises(Refused, match="InvalidNonce"):
        world.chain.do(world.exchange, call)
    assert pay(charity.address) is None
    world.chain.travel(14 * DAY)
    assert pay(charity.address) is not None
    assert pay(vault) is None
    # A change that has come stays in force while the next one waits, and may be called off by another.
    world.chain.do(world.exchange, world.payout_call(charity, ANNA.address))
    assert pay(vault) is None
    world.chain.do(world.exchange, world.payout_call(charity, vault))
    world.chain.travel(14 * DAY)
    assert pay(vault) is None


def test_only_a_charity_has_a_payout_address(world: World) -> None:
    with pytest.raises(Refused, match="UnknownCharity"):
        world.chain.do(world.exchange, world.payout_call(ANNA, ANNA.address))
    charity = world.charity("Kids")
    with pytest.raises(Refused, match="ZeroAddress"):
        world.chain.do(world.exchange, world.payout_call(charity, bytes(20)))
    with pytest.raises(Refused, match="InvalidSignature"):
        world.chain.do(world.exchange, world.payout_call(charity, ANNA.address, by=ANNA))


def test_an_ordinary_account_withdraws_by_its_own_key(world: World) -> None:
    world.deposit(ANNA.address, 50)
    with pytest.raises(Refused, match="InvalidSignature"):
        world.chain.do(world.exchange, world.withdraw_call(ANNA.address, person("Bert"), ANNA.address, 50))
    world.chain.do(world.exchange, world.withdraw_call(ANNA.address, ANNA, ANNA.address, 50))
    assert world.held() == 0


def test_what_is_the_owners_is_refused_to_others(world: World) -> None:
    calls = [
        bindings.exchange_register_charity(charity=ANNA.address, name=NAME),
        bindings.exchange_open_campaign(charity=ANNA.address, goal=1, end=FOREVER),
        bindings.exchange_set_fee(fee_bps=1, account=ANNA.address),
        bindings.exchange_transfer_ownership(to=ANNA.address),
    ]
    for call in calls:
        with pytest.raises(Refused, match=rf"OnlyOwner\(caller=0x{world.chain.account(1).hex()}\)"):
            world.chain.do(world.exchange, call, sender=1)


def test_ownership_passes_on(world: World) -> None:
    chain = world.chain
    with pytest.raises(Refused, match="ZeroAddress"):
        chain.do(world.exchange, bindings.exchange_transfer_ownership(to=bytes(20)))
    moved = bindings.OwnershipTransferred(chain.account(0), chain.account(1))
    assert chain.do(world.exchange, bindings.exchange_transfer_ownership(to=chain.account(1))) == [moved]
    with pytest.raises(Refused, match="OnlyOwner"):
        chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=0, account=bytes(20)))
    chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=0, account=bytes(20)), sender=1)


def test_the_fee_has_a_bound_that_nobody_can_move() -> None:
    world = make_world(max_fee_bps=50)
    with pytest.raises(Refused, match=r"FeeTooHigh\(feeBps=51, most=50\)"):
        world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=51, account=ANNA.address))
    with pytest.raises(Refused, match="ZeroAddress"):
        world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=50, account=bytes(20)))
    (fee,) = world.chain.do(world.exchange, bindings.exchange_set_fee(fee_bps=50, account=ANNA.address))
    assert fee == bindings.FeeSet(50, ANNA.address)
    answer = world.chain.ask(world.exchange, bindings.exchange_max_fee_bps())
    assert bindings.exchange_max_fee_bps_result(answer) == 50


def test_charities_are_registered_once(world: World) -> None:
    call = bindings.exchange_register_charity(charity=ANNA.address, name=NAME)
    assert world.chain.do(world.exchange, call) == [CharityRegistered(ANNA.address, NAME)]
    with pytest.raises(Refused, match="AlreadyRegistered"):
        world.chain.do(world.exchange, call)
    answer = world.chain.ask(world.exchange, bindings.exchange_is_charity(account=ANNA.address))
    assert bindings.exchange_is_charity_result(answer)


def test_campaigns_are_numbered_from_one(world: World) -> None:
    charity, end = world.charity("Kids"), world.chain.now + 1_000
    call = bindings.exchange_open_campaign(charity=charity.address, goal=10_000, end=end)
    for number in (1, 2):
        assert world.chain.do(world.exchange, call) == [CampaignOpened(number, charity.address, 10_000, end)]
    answer = world.chain.ask(world.exchange, bindings.exchange_campaign_of(number=2))
    assert bindings.exchange_campaign_of_result(answer) == (charity.address, 10_000, end, 0)
    for number in (0, 3):
        with pytest.raises(Refused, match=rf"UnknownCampaign\(campaign={number}\)"):
            world.chain.ask(world.exchange, bindings.exchange_campaign_of(number=number))
    with pytest.raises(Refused, match="UnknownCharity"):
        world.chain.do(world.exchange, bindings.exchange_open_campaign(charity=ANNA.address, goal=1, end=end))
    with pytest.raises(Refused, match="CampaignEnded"):
        world.chain.do(world.exchange, bindings.exchange_open_campaign(charity=charity.address, goal=1, end=1))


def test_a_gift_pays_the_charity_at_the_bid(world: World) -> None:
    grocer, charity = world.trading("Grocer", bid=2 * PRICE, ask=3 * PRICE, margin=1_000), world.charity("Kids")
    grocer.mint((ANNA, 100))
    events = world.chain.do(world.exchange, world.give_call(grocer, ANNA, 40, charity.address))
    act = {"holder": ANNA.address, "amount": 40, "charity": charity.address, "campaign": 0}
    digest = eip712.give_digest(grocer.separator, **act, nonce=0, deadline=FOREVER)  # type: ignore[arg-type]
    assert events[-1] == Given(digest, grocer.address, charity.address, 0, 80)
    assert (grocer.balance(ANNA), grocer.supply()) == (60, 60)
    assert (world.margin(grocer.address), world.margin(charity.address), world.held()) == (920, 80, 1_000)
    world.chain.do(world.exchange, world.withdraw_call(charity.address, charity, charity.address, 80))
    assert world.held() == 920


def test_a_campaign_counts_what_it_was_given_until_it_ends(world: World) -> None:
    grocer, charity = world.trading("Grocer", bid=2 * PRICE, ask=2 * PRICE, margin=1_000), world.charity("Kids")
    other = world.charity("Cats")
    grocer.mint((ANNA, 100))
    end = world.chain.now + 1_000
    world.chain.do(world.exchange, bindings.exchange_open_campaign(charity=charity.address, goal=50, end=end))
    world.chain.do(world.exchange, world.give_call(grocer, ANNA, 40, charity.address, campaign=1))
    answer = world.chain.ask(world.exchange, bindings.exchange_campaign_of(number=1))
    assert bindings.exchange_campaign_of_result(answer)[3] == 80
    for to, campaign in [(other, 1), (charity, 2)]:
        with pytest.raises(Refused, match=rf"UnknownCampaign\(campaign={campaign}\)"):
            world.chain.do(world.exchange, world.give_call(grocer, ANNA, 1, to.address, campaign=campaign, nonce=1))
    world.chain.travel(1_001)
    with pytest.raises(Refused, match=rf"CampaignEnded\(campaign=1, end={end}\)"):
        world.chain.do(world.exchange, world.give_call(grocer, ANNA, 1, charity.address, campaign=1, nonce=1))
    world.chain.do(world.exchange, world.give_call(grocer, ANNA, 1, charity.address, nonce=1))


def test_a_gift_that_cannot_be_paid_burns_nothing(world: World) -> None:
    charity = world.charity("Kids")
    grocer = world.trading("Grocer", bid=PRICE // 10, ask=PRICE, margin=5, cap=8)
    grocer.mint((ANNA, 1_000))
    for amount, to, reason in [
        (9, charity.address, "WorthNothing"),
        (0, charity.address, "WorthNothing"),
        (10, ANNA.address, "UnknownCharity"),
        (60, charity.address, r"MarginTooLow\(account=0x\w+, margin=5, wanted=6\)"),
        (90, charity.address, r"DailyCapExceeded\(account=0x\w+, left=8, wanted=9\)"),
    ]:
        with pytest.raises(Refused, match=reason):
            world.chain.do(world.exchange, world.give_call(grocer, ANNA, amount, to))
    assert (grocer.balance(ANNA), world.margin(grocer.address)) == (1_000, 5)
    with pytest.raises(Refused, match="ERC20InsufficientBalance"):
        world.chain.do(world.exchange, world.give_call(grocer, person("Bert"), 10, charity.address))
    assert world.margin(charity.address) == 0


def test_a_better_quote_is_in_force_at_once_and_a_worse_one_in_a_day(world: World, grocer: Programme) -> None:
    chain = world.chain

    def in_force() -> Quote:
        answer = chain.ask(world.exchange, bindings.exchange_quote_of(programme=grocer.address))
        return bindings.exchange_quote_of_result(answer)

    def announced() -> tuple[int, ...]:
        answer = chain.ask(world.exchange, bindings.exchange_announced_quote(programme=grocer.address))
        return bindings.exchange_announced_quote_result(answer)

    until = chain.now + 90 * DAY
    first = Quote(50, 60, until, 70)
    (posted,) = chain.do(world.exchange, world.quote_call(grocer, **first._asdict()))
    assert (posted, in_force(), announced()) == (Quoted(grocer.address, *first, chain.now - 1), first, (0,) * 5)
    better = Quote(51, 59, until + 1, 71)
    chain.do(world.exchange, world.quote_call(grocer, **better._asdict()))
    assert (in_force(), announced()) == (better, (0,) * 5)
    for worse in (
        better._replace(bid=50),
        better._replace(ask=60),
        better._replace(until=until),
        better._replace(cap=70),
        Quote(99, 100, until + 9, 70),  # better in all but one
    ):
        (posted,) = chain.do(world.exchange, world.quote_call(grocer, **worse._asdict()))
        assert posted == Quoted(grocer.address, *worse, chain.now - 1 + DAY)
        assert (in_force(), announced()) == (better, (*worse, chain.now - 1 + DAY))
    chain.travel(DAY)
    assert (in_force(), announced()) == (worse, (0,) * 5)
    # The one that came into force is what the next is compared with; a better one calls off what was announced.
    chain.do(world.exchange, world.quote_call(grocer, **worse._replace(bid=98)._asdict()))
    assert in_force() == worse
    chain.do(world.exchange, world.quote_call(grocer, **worse._replace(cap=71)._asdict()))
    chain.travel(2 * DAY)
    assert (in_force(), announced()) == (worse._replace(cap=71), (0,) * 5)


def test_after_a_quote_has_ended_any_other_is_in_force_at_once(world: World, grocer: Programme) -> None:
    world.quote(grocer, bid=50, ask=60, until=world.chain.now + 100)
    world.chain.travel(101)
    (posted,) = world.chain.do(world.exchange, world.quote_call(grocer, bid=1, ask=99))
    assert isinstance(posted, Quoted)
    assert posted.effective < world.chain.now


def test_a_swap_uses_the_quote_that_was_announced_once_its_time_has_come(world: World) -> None:
    one, other = world.trading("One", bid=PRICE, ask=PRICE, margin=100), world.trading("Two", bid=PRICE, ask=PRICE)
    world.partners(one, other)
    one.mint((ANNA, 100))
    world.chain.do(world.exchange, world.quote_call(other, bid=PRICE, ask=2 * PRICE))
    world.chain.do(world.exchange, world.swap_call(one, other, ANNA, 10))
    assert other.balance(ANNA) == 10
    world.chain.travel(DAY)
    world.chain.do(world.exchange, world.swap_call(one, other, ANNA, 10, nonce=1))
    assert other.balance(ANNA) == 15


def test_the_guardian_pauses_swaps_for_three_days_and_not_again_for_three(world: World) -> None:
    chain = world.chain
    one, other = world.trading("One", bid=PRICE, ask=PRICE, margin=100), world.trading("Two", bid=PRICE, ask=PRICE)
    world.partners(one, other)
    charity = world.charity("Kids")
    one.mint((ANNA, 100))
    guardian, pause = chain.account(3), bindings.exchange_pause()
    assert chain.do(world.exchange, bindings.exchange_set_guardian(account=guardian)) == [GuardianSet(guardian)]
    with pytest.raises(Refused, match="OnlyGuardian"):
        chain.do(world.exchange, pause)
    until = chain.now + 3 * DAY
    assert chain.do(world.exchange, pause, sender=3) == [PauseSet(until)]
    with pytest.raises(Refused, match=rf"Paused\(until={until}\)"):
        chain.do(world.exchange, world.swap_call(one, other, ANNA, 10))
    preview = bindings.exchange_preview_swap(from_=one.address, into=other.address, amount=10)
    with pytest.raises(Refused, match="Paused"):
        chain.ask(world.exchange, preview)
    # Everything that lets somebody out goes on, and so does what only touches the programme.
    chain.do(world.exchange, world.give_call(one, ANNA, 10, charity.address))
    chain.do(world.exchange, world.withdraw_call(charity.address, charity, charity.address, 10))
    chain.do(one.address, one.send_call(ANNA, charity.address, 1, nonce=1))
    chain.do(one.address, one.redeem_call(ANNA, 1, nonce=2))
    one.mint((ANNA, 1))
    chain.travel(3 * DAY)
    chain.do(world.exchange, world.swap_call(one, other, ANNA, 10, nonce=3))
    with pytest.raises(Refused, match=rf"PausedTooRecently\(until={until + 3 * DAY}\)"):
        chain.do(world.exchange, pause, sender=3)
    chain.travel(3 * DAY)
    chain.do(world.exchange, pause, sender=3)


def test_a_pause_may_end_early(world: World) -> None:
    chain = world.chain
    chain.do(world.exchange, bindings.exchange_set_guardian(account=chain.account(3)))
    chain.do(world.exchange, bindings.exchange_pause(), sender=3)
    with pytest.raises(Refused, match="OnlyGuardian"):
        chain.do(world.exchange, bindings.exchange_unpause(), sender=4)
    assert chain.do(world.exchange, bindings.exchange_unpause()) == [PauseSet(chain.now - 1)]
    with pytest.raises(Refused, match="PausedTooRecently"):
        chain.do(world.exchange, bindings.exchange_pause(), sender=3)
    chain.travel(3 * DAY)
    chain.do(world.exchange, bindings.exchange_pause(), sender=3)


def test_the_guardian_pauses_the_minting_of_one_programme(world: World, grocer: Programme) -> None:
    chain, florist = world.chain, world.programme("Florist")
    chain.do(world.exchange, bindings.exchange_set_guardian(account=chain.account(3)))
    grocer.mint((ANNA, 100))
    with pytest.raises(Refused, match="OnlyGuardian"):
        chain.do(grocer.address, bindings.points_pause())
    until = chain.now + 3 * DAY
    assert chain.do(grocer.address, bindings.points_pause(), sender=3) == [PauseSet(until)]
    batch = grocer.mint_call(ANNA.address + (5).to_bytes(12), batch=2)
    with pytest.raises(Refused, match=rf"Paused\(until={until}\)"):
        chain.do(grocer.address, batch)
    chain.do(grocer.address, grocer.redeem_call(ANNA, 1))
    florist.mint((ANNA, 1))
    with pytest.raises(Refused, match="OnlyGuardian"):
        chain.do(grocer.address, bindings.points_unpause(), sender=4)
    assert chain.do(grocer.address, bindings.points_unpause()) == [PauseSet(chain.now - 1)]
    chain.do(grocer.address, batch)


def match_call(
    world: World, sponsor: bytes, signer: Person, *, ratio: int, pool: int, until: int = FOREVER, campaign: int = 1
) -> bytes:
    terms = {"campaign": campaign, "ratio": ratio, "pool": pool, "until": until, "nonce": world.nonce(sponsor)}
    signature = signer.sign(eip712.match_digest(world.separator, sponsor=sponsor, **terms))
    terms["number"] = terms.pop("campaign")
    return bindings.exchange_set_match(**terms, signature=signature)


def test_a_sponsor_matches_gifts_as_far_as_its_pool_and_margin_go(world: World) -> None:
    chain, charity, bank = world.chain, world.charity("Kids"), person("bank")
    grocer = world.trading("Grocer", bid=2 * PRICE, ask=2 * PRICE, margin=10_000)
    grocer.mint((ANNA, 1_000))
    end = chain.now + 50 * DAY
    chain.do(world.exchange, bindings.exchange_open_campaign(charity=charity.address, goal=50, end=end))
    named = bindings.exchange_name_sponsor(number=1, sponsor=bank.address)
    assert chain.do(world.exchange, named) == [SponsorNamed(1, bank.address)]
    world.deposit(bank.address, 100)
    until = chain.now + 10 * DAY
    call = match_call(world, bank.address, bank, ratio=5_000, pool=110, until=until)
    assert chain.do(world.exchange, call) == [MatchSet(1, bank.address, 5_000, 110, until)]

    def give(amount: int, nonce: int) -> int:
        """What the sponsor added."""
        gift = world.give_call(grocer, ANNA, amount, charity.address, campaign=1, nonce=nonce)
        *_, last = chain.do(world.exchange, gift)
        assert isinstance(last, Given | Matched)
        return last.value if isinstance(last, Matched) else 0

    assert give(41, 0) == 41  # half of 82
    assert (world.margin(bank.address), world.margin(charity.address)) == (59, 123)
    assert give(60, 1) == 59  # no more than the margin
    world.deposit(bank.address, 100)
    assert give(60, 2) == 10  # no more than the pool
    assert give(60, 3) == 0
    answer = chain.ask(world.exchange, bindings.exchange_campaign_of(number=1))
    assert bindings.exchange_campaign_of_result(answer)[3] == world.margin(charity.address) == 442 + 110
    chain.do(world.exchange, match_call(world, bank.address, bank, ratio=100_000, pool=2**96 - 1, until=until))
    assert give(1, 4) == 20
    chain.travel(10 * DAY)
    assert give(1, 5) == 0
    assert world.held() == sum(world.margin(each) for each in (grocer.address, bank.address, charity.address))


def test_a_match_is_its_sponsors_and_the_network_names_who_that_is(world: World, grocer: Programme) -> None:
    chain, charity = world.chain, world.charity("Kids")
    chain.do(world.exchange, bindings.exchange_open_campaign(charity=charity.address, goal=50, end=FOREVER))
    with pytest.raises(Refused, match="InvalidMatch"):
        chain.do(world.exchange, match_call(world, ANNA.address, ANNA, ratio=1, pool=1))
    with pytest.raises(Refused, match="InvalidMatch"):
        chain.do(world.exchange, bindings.exchange_name_sponsor(number=1, sponsor=charity.address))
    with pytest.raises(Refused, match="UnknownCampaign"):
        chain.do(world.exchange, bindings.exchange_name_sponsor(number=2, sponsor=ANNA.address))
    with pytest.raises(Refused, match="OnlyOwner"):
        chain.do(world.exchange, bindings.exchange_name_sponsor(number=1, sponsor=ANNA.address), sender=1)
    chain.do(world.exchange, bindings.exchange_name_sponsor(number=1, sponsor=grocer.address))
    with pytest.raises(Refused, match="InvalidSignature"):
        chain.do(world.exchange, match_call(world, grocer.address, ANNA, ratio=1, pool=1))
    chain.do(world.exchange, match_call(world, grocer.address, grocer.owner, ratio=1, pool=7))

    def terms() -> tuple[object, ...]:
        answer = chain.ask(world.exchange, bindings.exchange_match_of(number=1))
        return bindings.exchange_match_of_result(answer)

    assert terms() == (grocer.address, 1, 7, FOREVER)
    chain.do(world.exchange, bindings.exchange_name_sponsor(number=1, sponsor=bytes(20)))
    assert terms() == (bytes(20), 0, 0, 0)


def test_a_programme_that_is_its_own_charity_gains_nothing(world: World) -> None:
    grocer = world.trading("Grocer", bid=PRICE, ask=PRICE, margin=1_000)
    call = bindings.exchange_register_charity(charity=grocer.address, name=NAME)
    world.chain.do(world.exchange, call)
    grocer.mint((ANNA, 100))
    world.chain.do(world.exchange, world.give_call(grocer, ANNA, 40, grocer.address))
    assert world.margin(grocer.address) == world.held() == 1_000
