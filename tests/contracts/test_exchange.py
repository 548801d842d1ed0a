"""Quotes, partners, margin and charities: who may do what, once, and what it costs whom."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode

from contracts import bindings, eip712
from contracts.bindings import CampaignOpened, CharityRegistered, Deposited, Given, PartnerSet, Quote, Quoted, Withdrawn
from tests.contracts.world import CHAIN_ID, FOREVER, Programme, Refused, World, make_world, person

ANNA = person("Anna")
NAME = b"Kids".ljust(32, b"\0")
PRICE = 10**9


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
        world.factory, bindings.factory_create(name=NAME, symbol=NAME, roles=roles, limits=limits, salt=salt)
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


def test_an_owner_withdraws_what_it_has_and_no_more(world: World, grocer: Programme) -> None:
    world.deposit(grocer.address, 500)
    call = world.withdraw_call(grocer.address, grocer.owner, ANNA.address, 200)
    assert world.chain.do(world.exchange, call, sender=4)[-1] == Withdrawn(grocer.address, ANNA.address, 200)
    with pytest.raises(Refused, match="InvalidNonce"):
        world.chain.do(world.exchange, call)
    assert (world.margin(grocer.address), world.held()) == (300, 300)
    for signer, to, amount, reason in [
        (grocer.owner, ANNA.address, 301, rf"MarginTooLow\(account=0x{grocer.address.hex()}, margin=300, wanted=301\)"),
        (grocer.owner, ANNA.address, 0, "ZeroAmount"),
        (grocer.owner, bytes(20), 1, "ZeroAddress"),
        (grocer.issuer, ANNA.address, 1, "InvalidSignature"),
    ]:
        with pytest.raises(Refused, match=reason):
            world.chain.do(world.exchange, world.withdraw_call(grocer.address, signer, to, amount))


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
    answer = world.chain.ask(world.exchange, bindings.exchange_campaign_of(campaign=2))
    assert bindings.exchange_campaign_of_result(answer) == (charity.address, 10_000, end, 0)
    for number in (0, 3):
        with pytest.raises(Refused, match=rf"UnknownCampaign\(campaign={number}\)"):
            world.chain.ask(world.exchange, bindings.exchange_campaign_of(campaign=number))
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
    assert events[-1] == Given(digest, grocer.address, charity.address, ANNA.address, 0, 40, 80)
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
    answer = world.chain.ask(world.exchange, bindings.exchange_campaign_of(campaign=1))
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
