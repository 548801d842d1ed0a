// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Carrier} from "./Carrier.sol";
import {MATCH, PAYOUT, Person, WITHDRAW} from "./Keys.sol";

/// @title What charities, sponsors, the operator, the guardian and time do
abstract contract Network is Carrier {
    uint256 private constant MOST_CAMPAIGNS = 12;

    function openCampaign(uint256 seed) external action {
        seed = _draw(seed);
        uint256 open = _campaigns.length;
        // The newest campaign is the one that is given to: a new one only now and then.
        if (open != 0 && block.timestamp <= _campaigns[open - 1].end && seed % 4 != 0) return;
        address charity = _charities[seed % CHARITIES].account;
        uint40 end = uint40(block.timestamp + 1 + (seed >> 8) % 90 days);
        vm.prank(_operator);
        uint32 number = exchange.openCampaign(charity, uint96(seed >> 64), end);
        assertEq(number, open + 1, "campaigns are numbered");
        _campaigns.push(Campaign(charity, end, 0, address(0), 0, 0, 0));
        _took();
    }

    /// @dev The operator names a sponsor, who says how much it matches. A programme's margin can be one.
    function matchGifts(uint256 seed) external action {
        seed = _draw(seed);
        if (_campaigns.length == 0) return;
        Campaign storage campaign = _campaigns[_campaigns.length - 1];
        if (campaign.sponsor == address(0) || seed % 4 == 0) {
            campaign.sponsor = seed % 3 == 0 ? tokens[(seed >> 8) % PROGRAMMES] : _sponsor.account;
            bytes memory data = abi.encodeCall(IExchange.nameSponsor, (uint32(_campaigns.length), campaign.sponsor));
            _doAs("name a sponsor", _operator, address(exchange), data);
        }
        campaign.ratio = uint32((seed >> 16) % 30_000);
        campaign.pool = uint96((seed >> 32) % 1e10);
        campaign.matchUntil = uint40(block.timestamp + (seed >> 128) % 60 days);
        _setMatch(campaign, seed);
        _took();
    }

    function _setMatch(Campaign memory campaign, uint256 seed) private {
        address sponsor = campaign.sponsor;
        Person memory signer = sponsor == _sponsor.account ? _sponsor : _owners[_place[sponsor]];
        (uint32 number, uint64 nonce) = (uint32(_campaigns.length), _accountNonce[sponsor]++);
        (uint32 ratio, uint96 pool, uint40 until) =
            (uint32(campaign.ratio), uint96(campaign.pool), uint40(campaign.matchUntil));
        bytes memory signature;
        if (seed % 2 == 0) {
            bytes memory words = abi.encode(sponsor, number, ratio, pool, until, nonce);
            signature = _sign(signer, _digest(address(exchange), MATCH, words), VERIFIED);
        }
        bytes memory data = abi.encodeCall(IExchange.setMatch, (number, ratio, pool, until, nonce, signature));
        if (seed % 2 == 1) return _doAs("match", signer.account, address(exchange), data);
        Act memory act = Act(address(exchange), data, data);
        _do("match", act, seed >> 128);
        _rememberNumbered(act, "", type(uint40).max);
    }

    function withdraw(uint256 seed) external action {
        seed = _draw(seed);
        Person[4] memory accounts = [_charities[0], _charities[1], _sponsor, _sponsor];
        Person memory account = accounts[seed % 4];
        uint256 held = _margin[account.account];
        if (held == 0) return;
        bool isCharity = seed % 4 < 2;
        address to = isCharity ? _payoutOf(account.account) : address(0xcafe);
        uint96 amount = uint96(1 + (seed >> 16) % held);
        if (amount > 1e9 && !isCharity) amount = 1e9; // or there would never be anything to match with
        _withdraw(account, to, amount, seed >> 128);
        if (isCharity) _withdrawn[account.account] += amount;
        _margin[account.account] -= amount;
        _tookExit(tokens[0]);
    }

    function _withdraw(Person memory account, address to, uint96 amount, uint256 seed) private {
        uint256 before = settlement.balanceOf(to);
        uint64 nonce = _accountNonce[account.account]++;
        bytes32 digest = _digest(address(exchange), WITHDRAW, abi.encode(account.account, to, amount, nonce));
        bytes memory signature = seed % 2 == 0 ? _sign(account, digest, VERIFIED) : bytes("");
        bytes memory data = abi.encodeCall(IExchange.withdraw, (account.account, to, amount, nonce, signature));
        if (seed % 2 == 0) {
            Act memory act = Act(address(exchange), data, data);
            _do("withdraw", act, seed);
            bytes memory refusal =
                abi.encodeWithSelector(IExchange.InvalidNonce.selector, account.account, uint256(nonce));
            _rememberNumbered(act, refusal, type(uint40).max);
        } else {
            _doAs("withdraw", account.account, address(exchange), data);
        }
        assertEq(settlement.balanceOf(to) - before, amount, "a withdrawal arrives");
    }

    function setPayout(uint256 seed) external action {
        seed = _draw(seed);
        Person memory charity = _charities[seed % CHARITIES];
        address payout = address(uint160(0xd0e + (seed >> 8) % 4));
        uint64 nonce = _accountNonce[charity.account]++;
        bytes32 digest = _digest(address(exchange), PAYOUT, abi.encode(charity.account, payout, nonce));
        bytes memory data =
            abi.encodeCall(IExchange.setPayout, (charity.account, payout, nonce, _sign(charity, digest, VERIFIED)));
        Act memory act = Act(address(exchange), data, data);
        _do("setPayout", act, seed >> 128);
        bytes memory refusal = abi.encodeWithSelector(IExchange.InvalidNonce.selector, charity.account, uint256(nonce));
        _rememberNumbered(act, refusal, type(uint40).max);
        _payout[charity.account] = Payout(_payoutOf(charity.account), payout, block.timestamp + 14 days);
        _took();
    }

    function setFee(uint256 seed) external action {
        seed = _draw(seed);
        uint16 feeBps = uint16((seed >> 8) % (MAX_FEE_BPS + 1));
        // The fee's account may be one of those that trade.
        address account = seed % 5 == 0 ? tokens[(seed >> 32) % PROGRAMMES] : _network;
        _doAs("setFee", _operator, address(exchange), abi.encodeCall(IExchange.setFee, (feeBps, account)));
        (_feeBps, _feeAccount) = (feeBps, account);
        _took();
    }

    /// @dev Of swaps or of one programme's minting; where it is too early for another, it is refused.
    function pause(uint256 seed) external action {
        seed = _draw(seed);
        uint256 place = seed % (PROGRAMMES + 1);
        address target = place == PROGRAMMES ? address(exchange) : tokens[place];
        uint256 last = place == PROGRAMMES ? _swapsPausedUntil : _mintingPausedUntil[target];
        bytes memory data = abi.encodeCall(IPoints.pause, ());
        if (last != 0 && block.timestamp < last + 72 hours) {
            bytes memory early = abi.encodeWithSignature("PausedTooRecently(uint256)", last + 72 hours);
            return _refusedAs("a pause too soon", _guardian, target, data, early);
        }
        _doAs("pause", _guardian, target, data);
        if (place == PROGRAMMES) _swapsPausedUntil = block.timestamp + 72 hours;
        else _mintingPausedUntil[target] = block.timestamp + 72 hours;
        _took();
    }

    function unpause(uint256 seed) external action {
        seed = _draw(seed);
        uint256 place = seed % (PROGRAMMES + 1);
        address target = place == PROGRAMMES ? address(exchange) : tokens[place];
        uint256 until = place == PROGRAMMES ? _swapsPausedUntil : _mintingPausedUntil[target];
        _doAs("unpause", seed >> 8 & 1 == 0 ? _guardian : _operator, target, abi.encodeCall(IPoints.unpause, ()));
        if (block.timestamp >= until) return;
        if (place == PROGRAMMES) _swapsPausedUntil = block.timestamp;
        else _mintingPausedUntil[target] = block.timestamp;
        _took();
    }

    /// @dev Mostly seconds to hours, at times days, seldom as long as points live; or to where something changes.
    function passTime(uint256 seed) external action {
        seed = _draw(seed);
        uint256 kind = seed % 32;
        uint256 time = block.timestamp;
        if (kind < 16) time += (seed >> 8) % 2 hours;
        else if (kind < 26) time += (seed >> 8) % 2 days;
        else if (kind < 29) time += 5 days + (seed >> 8) % 10 days;
        else if (kind < 30) time += 20 days + (seed >> 8) % 60 days;
        else if (kind < 31) time = _nextRecovery(seed >> 8);
        else time = _nextExpiry(seed >> 8);
        _took();
        assertTrue(time >= block.timestamp, "time goes on");
        vm.warp(time); // last: nothing after it may have read the time before
    }

    /// @dev The second in which somebody's recovery is due, or the one before.
    function _nextRecovery(uint256 seed) private view returns (uint256 time) {
        time = block.timestamp;
        for (uint256 step; step < PROGRAMMES * HOLDERS; ++step) {
            uint256 place = (seed + step) % (PROGRAMMES * HOLDERS);
            Recovery memory recovery = _recovery[tokens[place % PROGRAMMES]][_holders[place / PROGRAMMES].account];
            if (recovery.active && recovery.due > time) return recovery.due - seed % 2; // never back
        }
    }

    /// @dev The last day of somebody's points, or the first without them.
    function _nextExpiry(uint256 seed) private view returns (uint256 time) {
        address token = tokens[seed % PROGRAMMES];
        address holder = _holders[(seed >> 8) % HOLDERS].account;
        time = (_day[token][holder] + _life[token] + (seed >> 16) % 2) * 1 days;
        if (time < block.timestamp) time = block.timestamp;
    }
}
