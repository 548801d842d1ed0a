// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Carrier} from "./Carrier.sol";

/// @title What holders do
abstract contract Holders is Carrier {
    struct Trade {
        address from;
        address into;
        uint256 holder;
        uint96 amount;
        Price price;
    }

    /// @dev The account's balances at bid, expired points included: those that a swap touches are lost by it.
    function _worth(address holder) internal view returns (uint256 worth) {
        for (uint256 place; place < PROGRAMMES; ++place) {
            address token = tokens[place];
            worth += IERC20(token).balanceOf(holder) * _quote(token).bid;
        }
    }

    /* CHOICES */

    /// @dev A holder who has points that are alive, if there is one; the search begins anywhere.
    function _findHolder(address token, uint256 seed) internal view returns (bool found, uint256 holder) {
        for (uint256 step; step < HOLDERS; ++step) {
            holder = (seed + step) % HOLDERS;
            if (_alive(token, _holders[holder].account) != 0) return (true, holder);
        }
    }

    function _findRich(uint256 seed) internal view returns (bool found, address token, uint256 holder) {
        for (uint256 step; step < PROGRAMMES && !found; ++step) {
            token = tokens[(seed + step) % PROGRAMMES];
            (found, holder) = _findHolder(token, seed >> 8);
        }
    }

    function _intent(address token, uint256 holder, uint256 amount, uint256 seed)
        internal
        view
        returns (Intent memory)
    {
        uint40 nonce = _freshNonce(token, _holders[holder].account, seed >> 16);
        uint256 deadline = seed % 3 == 0 ? type(uint40).max : block.timestamp + seed % 5 days;
        return Intent(token, uint96(amount), uint8(holder), nonce, uint40(deadline));
    }

    /// @dev Some of the holder's points: all, one, or anything between.
    function _someOf(address token, uint256 holder, uint256 seed) internal view returns (uint256) {
        uint256 held = _alive(token, _holders[holder].account);
        if (seed % 8 == 0) return held;
        if (seed % 8 == 1) return 1;
        return 1 + (seed >> 8) % (seed % 8 < 5 ? (held / 10 + 1) : held);
    }

    /// @dev Brings an amount down to what `token` pays for today.
    function _affordable(address token, uint256 amount) internal view returns (uint256) {
        uint256 most = _capLeft(token) < _margin[token] ? _capLeft(token) : _margin[token];
        uint256 bid = _quote(token).bid;
        if (bid == 0 || amount * bid / SCALE <= most) return amount;
        return most * SCALE / bid;
    }

    /// @dev A swap that must succeed: a pair that trades, a holder, an amount.
    function _findTrade(uint256 seed) internal view returns (bool found, Trade memory trade) {
        for (uint256 step; step < 6; ++step) {
            uint256 pair = (seed + step) % 6;
            trade.from = tokens[pair / 2];
            trade.into = tokens[(pair / 2 + 1 + pair % 2) % PROGRAMMES];
            (found, trade.holder) = _findHolder(trade.from, seed >> 8);
            if (!found) continue;
            uint256 amount = _affordable(trade.from, _someOf(trade.from, trade.holder, seed >> 16));
            trade.amount = uint96(amount);
            trade.price = _price(trade.from, trade.into, amount);
            if (amount != 0 && trade.price.trades) return (true, trade);
        }
        return (false, trade);
    }

    /* ACTIONS */

    function send(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, address token, uint256 holder) = _findRich(seed);
        if (!found) return;
        address to = _holders[(seed >> 32) % HOLDERS].account; // to oneself, at times
        Intent memory intent = _intent(token, holder, _someOf(token, holder, seed >> 40), seed >> 64);
        _do("send", _send(intent, to), seed >> 128);
        _modelSend(intent, to);
        _remember(Spend.Send, intent, to, 0);
        _tookExit(token);
    }

    function _modelSend(Intent memory intent, address to) internal {
        _spent(intent.token, _holders[intent.holder].account, intent.amount, true);
        _received(intent.token, to, intent.amount);
    }

    function redeem(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, address token, uint256 holder) = _findRich(seed);
        if (!found) return;
        Intent memory intent = _intent(token, holder, _someOf(token, holder, seed >> 40), seed >> 64);
        _do("redeem", _redeem(intent, bytes32(seed)), seed >> 128);
        _spent(token, _holders[holder].account, intent.amount, true);
        _burned(token, intent.amount);
        _remember(Spend.Redeem, intent, address(0), seed);
        _tookExit(token);
    }

    function swap(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, Trade memory trade) = _findTrade(seed);
        if (!found) return;
        _trade(trade, seed);
        _took();
    }

    /// @dev Swaps round all three programmes and back, each time all that the last swap gave.
    function swapRound(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, Trade memory trade) = _findTrade(seed);
        if (!found) return;
        uint256 worth = _worth(_holders[trade.holder].account);
        (address first, uint256 spent) = (trade.from, trade.amount);
        for (uint256 leg; leg < 4; ++leg) {
            _trade(trade, _draw(seed));
            if (trade.into == first) {
                assertTrue(trade.price.out <= spent, "a round of swaps gains no points");
                _took();
                break;
            }
            address next = leg == 0 && seed % 2 == 0 ? _third(trade.from, trade.into) : first;
            (trade.from, trade.into, trade.amount) = (trade.into, next, uint96(trade.price.out));
            trade.price = _price(trade.from, trade.into, trade.amount);
            if (!trade.price.trades) break;
        }
        assertTrue(_worth(_holders[trade.holder].account) <= worth, "no sequence of swaps gains at bid");
    }

    function _third(address one, address other) private view returns (address) {
        return tokens[PROGRAMMES - _place[one] - _place[other]];
    }

    function _trade(Trade memory trade, uint256 seed) internal {
        address holder = _holders[trade.holder].account;
        uint256 worth = _worth(holder);
        uint96 minimum = seed % 2 == 0 ? uint96(trade.price.out) : uint96(seed % (trade.price.out + 1));
        Intent memory intent = _intent(trade.from, trade.holder, trade.amount, seed >> 64);
        _do("swap", _swap(intent, trade.into, minimum, _holders[trade.holder]), seed >> 128);
        _modelSwap(intent, trade);
        _remember(Spend.Swap, intent, trade.into, minimum);
        assertTrue(_worth(holder) <= worth, "a swap gains nothing at bid");
    }

    function _modelSwap(Intent memory intent, Trade memory trade) private {
        address holder = _holders[trade.holder].account;
        _spent(trade.from, holder, intent.amount, true);
        _burned(trade.from, intent.amount);
        _earned(trade.into, holder, trade.price.out);
        _swapped(trade.from, trade.into, trade.price);
    }

    function give(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, address token, uint256 holder) = _findRich(seed);
        if (!found) return;
        uint256 amount = _affordable(token, _someOf(token, holder, seed >> 40));
        (bool pays, uint256 value) = _bought(token, amount);
        if (!pays || value == 0) return;
        (address charity, uint32 number) = _findCause(seed >> 48);
        Intent memory intent = _intent(token, holder, amount, seed >> 64);
        _do("give", _give(intent, charity, number, _holders[holder]), seed >> 128);
        _spent(token, _holders[holder].account, amount, true);
        _burned(token, amount);
        _given(token, charity, number, value);
        _remember(Spend.Give, intent, charity, number);
        _tookExit(token);
    }

    /// @dev A charity, and mostly one of its campaigns that has not ended.
    function _findCause(uint256 seed) private view returns (address charity, uint32 number) {
        charity = _charities[seed % CHARITIES].account;
        if (seed % 5 == 0) return (charity, 0);
        for (uint256 place = _campaigns.length; place > 0; --place) {
            Campaign storage campaign = _campaigns[place - 1];
            if (campaign.end >= block.timestamp) return (campaign.charity, uint32(place));
        }
    }

    /// @dev By the holder's own transaction.
    function transfer(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, address token, uint256 holder) = _findRich(seed);
        if (!found) return;
        address to = _holders[(seed >> 32) % HOLDERS].account;
        address sender = _holders[holder].account;
        uint256 amount = seed % 9 == 0 ? 0 : _someOf(token, holder, seed >> 40);
        _doAs("transfer", sender, token, abi.encodeCall(IERC20.transfer, (to, amount)));
        _spent(token, sender, amount, true);
        _received(token, to, amount);
        _tookExit(token);
    }

    function approve(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        address holder = _holders[(seed >> 8) % HOLDERS].account;
        address spender = _holders[(seed >> 16) % HOLDERS].account;
        uint256 amount = seed % 5 == 0 ? type(uint256).max : (seed >> 32) % 1_000_000;
        _doAs("approve", holder, token, abi.encodeCall(IERC20.approve, (spender, amount)));
        _acted(token, holder);
        _allowed[token][holder][spender] = amount;
        _took();
    }

    function transferFrom(uint256 seed) external action {
        seed = _draw(seed);
        for (uint256 step; step < PROGRAMMES * HOLDERS * HOLDERS; ++step) {
            uint256 place = (seed + step) % (PROGRAMMES * HOLDERS * HOLDERS);
            address token = tokens[place % PROGRAMMES];
            uint256 holder = place / PROGRAMMES % HOLDERS;
            address from = _holders[holder].account;
            address spender = _holders[place / PROGRAMMES / HOLDERS].account;
            uint256 allowed = _allowed[token][from][spender];
            if (allowed == 0 || _alive(token, from) == 0) continue;
            uint256 amount = _someOf(token, holder, seed >> 40);
            if (amount > allowed) amount = allowed;
            address to = _holders[(seed >> 32) % HOLDERS].account;
            _doAs("transferFrom", spender, token, abi.encodeCall(IERC20.transferFrom, (from, to, amount)));
            if (allowed != type(uint256).max) _allowed[token][from][spender] = allowed - amount;
            _spent(token, from, amount, false);
            _received(token, to, amount);
            uint256 left = IERC20(token).allowance(from, spender);
            assertEq(left, _allowed[token][from][spender], "an allowance is used up");
            return _took();
        }
    }

    /// @dev Gives a nonce up, by signature or transaction.
    function cancel(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        uint256 place = (seed >> 8) % HOLDERS;
        address holder = _holders[place].account;
        Intent memory intent = _intent(token, place, 0, seed >> 16);
        if (seed % 2 == 0) {
            _do("cancel", _cancel(intent), seed >> 128);
            _remember(Spend.Cancel, intent, address(0), 0);
        } else {
            _doAs("cancelNonce", holder, token, abi.encodeCall(IPoints.cancelNonce, (intent.nonce)));
            _use(token, holder, intent.nonce);
        }
        _acted(token, holder);
        _took();
    }
}
