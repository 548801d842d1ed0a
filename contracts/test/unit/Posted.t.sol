// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Posted, PostedLibrary} from "../../src/types/Posted.sol";
import {Test} from "../Forge.sol";

/// @title The quote's word, and prices that are rounded against who swaps
contract PostedTest is Test {
    uint256 private constant SCALE = 1e9;

    function testFuzz_fieldsAreWhereTheyAreDrawn(uint64 bid, uint64 ask, uint40 until, uint88 cap) external pure {
        Posted posted = PostedLibrary.pack(bid, ask, until, cap);
        assertEq(bytes32(Posted.unwrap(posted)), bytes32(abi.encodePacked(cap, until, ask, bid)), "word");
        assertEq(posted.bid(), bid, "bid");
        assertEq(posted.ask(), ask, "ask");
        assertEq(posted.until(), until, "until");
        assertEq(posted.cap(), cap, "cap");
    }

    function test_anyLossMakesAQuoteWorse() external pure {
        Posted standing = PostedLibrary.pack(10, 20, 30, 40);
        assertTrue(!PostedLibrary.pack(10, 20, 30, 40).isWorseThan(standing), "the same");
        assertTrue(!PostedLibrary.pack(11, 19, 31, 41).isWorseThan(standing), "better in everything");
        assertTrue(PostedLibrary.pack(9, 19, 31, 41).isWorseThan(standing), "a lower bid");
        assertTrue(PostedLibrary.pack(11, 21, 31, 41).isWorseThan(standing), "a higher ask");
        assertTrue(PostedLibrary.pack(11, 19, 29, 41).isWorseThan(standing), "an earlier end");
        assertTrue(PostedLibrary.pack(11, 19, 31, 39).isWorseThan(standing), "a lower cap");
    }

    function testFuzz_neitherOfTwoQuotesIsWorseOnlyIfTheyAreTheSame(uint256 one, uint256 other) external pure {
        bool neither =
            !Posted.wrap(one).isWorseThan(Posted.wrap(other)) && !Posted.wrap(other).isWorseThan(Posted.wrap(one));
        assertEq(neither, one == other, "worse is total");
    }

    function testFuzz_aValueIsRoundedDown(uint96 amount, uint64 bid) external pure {
        uint256 value = PostedLibrary.pack(bid, 0, 0, 0).valueDown(amount);
        uint256 exact = uint256(amount) * bid; // 160 bits
        assertTrue(value * SCALE <= exact && exact < (value + 1) * SCALE, "down, by less than one");
    }

    function testFuzz_pointsAreRoundedDown(uint160 value, uint64 ask) external pure {
        ask = uint64(within(ask, 1, type(uint64).max));
        uint256 points = PostedLibrary.pack(0, ask, 0, 0).pointsDown(value);
        uint256 exact = uint256(value) * SCALE;
        assertTrue(points * ask <= exact && exact - points * ask < ask, "down, by less than one");
    }

    /// @dev Whatever both post, with bids at most asks: what comes back is no more.
    function testFuzz_thereAndBackGainsNothing(uint96 amount, uint64[4] memory prices) external pure {
        Posted one = _quote(prices[0], prices[1]);
        Posted other = _quote(prices[2], prices[3]);
        uint256 there = other.pointsDown(one.valueDown(amount));
        if (there > type(uint96).max) return; // refused by the exchange
        assertTrue(one.pointsDown(other.valueDown(there)) <= amount, "there and back");
    }

    function _quote(uint64 a, uint64 b) private pure returns (Posted) {
        (uint64 bid, uint64 ask) = a < b ? (a, b) : (b, a);
        if (bid == 0) bid = 1;
        return PostedLibrary.pack(bid, ask < bid ? bid : ask, 0, 0);
    }
}
