// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Hostile} from "./Hostile.sol";

/// @title Everything that can happen, and what must hold after each of it
contract Life is Hostile {
    /// @dev What forge may call, by name: each takes one number, from which it draws all that it needs.
    function actions() public pure returns (string[] memory names) {
        names = new string[](38);
        uint256 next;
        names[next++] = "send";
        names[next++] = "redeem";
        names[next++] = "swap";
        names[next++] = "swapRound";
        names[next++] = "give";
        names[next++] = "transfer";
        names[next++] = "approve";
        names[next++] = "transferFrom";
        names[next++] = "cancel";
        names[next++] = "mint";
        names[next++] = "clawback";
        names[next++] = "setLimits";
        names[next++] = "extendLife";
        names[next++] = "recover";
        names[next++] = "finishRecovery";
        names[next++] = "sweep";
        names[next++] = "setQuote";
        names[next++] = "setPartner";
        names[next++] = "deposit";
        names[next++] = "announceWithdrawal";
        names[next++] = "completeWithdrawal";
        names[next++] = "openCampaign";
        names[next++] = "matchGifts";
        names[next++] = "withdraw";
        names[next++] = "setPayout";
        names[next++] = "setFee";
        names[next++] = "pause";
        names[next++] = "unpause";
        names[next++] = "passTime";
        names[next++] = "replay";
        names[next++] = "forgeSignature";
        names[next++] = "spendUnverified";
        names[next++] = "forgeTrade";
        names[next++] = "overspend";
        names[next++] = "overmint";
        names[next++] = "overclaw";
        names[next++] = "trespass";
        names[next++] = "bundleUp";
    }

    /* WHAT ALWAYS HOLDS */

    function check() external view {
        uint256 margins;
        for (uint256 place; place < PROGRAMMES; ++place) {
            _checkLedger(tokens[place]);
            _checkIssuance(tokens[place]);
            _checkTerms(tokens[place]);
            margins += _checkedMargin(tokens[place]);
        }
        for (uint256 place; place < CHARITIES; ++place) {
            address charity = _charities[place].account;
            margins += _checkedMargin(charity);
            assertEq(
                exchange.marginOf(charity) + _withdrawn[charity],
                _credited[charity] + _otherwise[charity],
                "a charity has what it was given"
            );
            assertEq(exchange.payoutOf(charity), _payoutOf(charity), "a charity is paid out where it said");
        }
        margins += _checkedMargin(_sponsor.account) + _checkedMargin(_network);
        assertEq(settlement.balanceOf(address(exchange)), margins, "margins are the settlement tokens held");
        uint256 open = _campaigns.length;
        if (open != 0) _checkCampaign(uint32(open));
        if (_grants.length != 0) _checkGrant(uint256(keccak256(abi.encode(_past.length, block.timestamp))));
    }

    /// @dev At the end of a run: every receipt and every campaign, too.
    function checkAll() external view {
        for (uint256 place; place < _grants.length; ++place) {
            _checkGrant(place);
        }
        for (uint256 place; place < _campaigns.length; ++place) {
            _checkCampaign(uint32(place + 1));
        }
    }

    function _checkLedger(address token) private view {
        uint256 sum;
        for (uint256 place; place < _everyone.length; ++place) {
            address holder = _everyone[place];
            uint256 word = IPoints(token).accountOf(holder);
            uint256 raw = uint96(word);
            sum += raw;
            assertEq(raw, _raw[token][holder], "a balance changes only by authority");
            assertEq(raw, _logged[token][holder], "every change of a balance is a Transfer");
            assertEq(uint16(word >> 96), _day[token][holder], "the day of the last activity");
            assertEq(uint40(word >> 120), _base[token][holder], "the oldest nonce that can be used");
            assertEq(word >> 112 & 0xff, _recovery[token][holder].active ? 1 : 0, "a recovery is under way");
        }
        for (uint256 place; place < HOLDERS; ++place) {
            address holder = _holders[place].account;
            assertEq(IERC20(token).balanceOf(holder), _alive(token, holder), "expired points are no balance");
        }
        assertEq(IERC20(token).totalSupply(), sum, "the supply is the sum of all balances");
        assertEq(_loggedSupply[token], sum, "the supply is what was minted and not burned");
    }

    function _checkIssuance(address token) private view {
        assertEq(IPoints(token).nextBatch(), _batch[token] + 1, "batches follow each other");
        assertEq(IPoints(token).bucketAvailable(), _level(token), "the bucket holds what it should");
        assertEq(
            keccak256(abi.encode(IPoints(token).limits())), keccak256(abi.encode(_limits(token))), "the limits in force"
        );
        assertEq(IPoints(token).life(), _life[token], "the life of points");
    }

    function _checkTerms(address token) private view {
        IExchange.Quote memory quote = exchange.quoteOf(token);
        assertEq(keccak256(abi.encode(quote)), keccak256(abi.encode(_quote(token))), "the quote in force");
        assertTrue(quote.bid <= quote.ask, "bid is at most ask");
        assertEq(exchange.capLeft(token), _capLeft(token), "what may still leave today");
    }

    function _checkedMargin(address account) private view returns (uint256 margin) {
        margin = exchange.marginOf(account);
        assertEq(margin, _margin[account], "a margin changes only by what was done");
        assertEq(exchange.nonceOf(account), _accountNonce[account], "an account's acts are counted");
    }

    function _checkCampaign(uint32 number) private view {
        (address charity,,, uint256 raised) = exchange.campaignOf(number);
        assertEq(charity, _campaigns[number - 1].charity, "a campaign's charity");
        assertEq(raised, _campaigns[number - 1].raised, "a campaign raised what was given to it");
        (,, uint96 pool,) = exchange.matchOf(number);
        assertEq(pool, _campaigns[number - 1].pool, "a match's pool pays for matches only");
    }

    function _checkGrant(uint256 place) private view {
        Grant memory grant = _grants[place % _grants.length];
        assertTrue(grant.burned <= grant.taken && grant.taken <= grant.amount, "no more is taken back than was granted");
        uint96 taken = IPoints(grant.token).refunded(grant.batch, grant.index);
        assertEq(taken, grant.taken, "what was taken back is known");
    }
}
