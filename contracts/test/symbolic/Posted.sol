// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Posted, PostedLibrary} from "../../src/types/Posted.sol";
import {vm} from "./Vm.sol";

/// @title A programme's quote, for all quotes and amounts: what is paid, what it buys, and that no round trip gains
/// @notice The solver reads these as statements about integers: products and quotients of 160 bits are out of reach of
/// those that work bit by bit.
/// @custom:halmos --solver cvc5-int
contract PostedProof {
    uint256 private constant SCALE = 1e9;

    function testAQuoteIsReadAsItWasPosted(uint64 bid, uint64 ask, uint40 until, uint88 cap) external pure {
        Posted posted = PostedLibrary.pack(bid, ask, until, cap);
        assert(posted.bid() == bid && posted.ask() == ask && posted.until() == until && posted.cap() == cap);
    }

    function testAQuoteIsWorseIfAnyOfItsTermsIs(uint256 word, uint256 standing) external pure {
        (Posted posted, Posted old) = (Posted.wrap(word), Posted.wrap(standing));
        bool paysLess = posted.bid() < old.bid();
        bool chargesMore = posted.ask() > old.ask();
        bool endsSooner = posted.until() < old.until();
        bool allowsLess = posted.cap() < old.cap();
        assert(posted.isWorseThan(old) == (paysLess || chargesMore || endsSooner || allowsLess));
    }

    function testNoQuoteIsWorseThanItself(uint256 word) external pure {
        assert(!Posted.wrap(word).isWorseThan(Posted.wrap(word)));
    }

    /* ROUNDING */

    // Both quotients are rounded down and nothing overflows, which is all that the theorem needs:
    //
    //     value * 1e9 <= amount * bid      (1)
    //     points * ask <= value * 1e9      (2)

    function testTheValueIsThePriceRoundedDown(uint96 amount, uint64 bid) external pure {
        uint256 value = PostedLibrary.pack(bid, 0, 0, 0).valueDown(amount);
        unchecked {
            uint256 exact = uint256(amount) * bid; // 96 + 64 bits
            assert(value * SCALE <= exact && exact < (value + 1) * SCALE);
        }
    }

    function testTheValueIsOneThatPointsCanBeBoughtWith(uint96 amount, uint64 bid) external pure {
        assert(PostedLibrary.pack(bid, 0, 0, 0).valueDown(amount) <= type(uint160).max);
    }

    function testThePointsAreTheValueAtTheAskRoundedDown(uint160 value, uint64 ask) external pure {
        vm.assume(ask != 0);
        uint256 points = PostedLibrary.pack(0, ask, 0, 0).pointsDown(value);
        unchecked {
            uint256 exact = uint256(value) * SCALE; // 160 + 30 bits
            assert(points * ask <= exact && exact - points * ask < ask);
        }
    }

    /* THE THEOREM */

    // A swap out of a programme with `bid` and `ask` and, by whatever way, back into it: `amount` of its points are
    // worth v at the bid, so v * 1e9 <= amount * bid by (1). A way through another programme is worth no more at its
    // end than at its beginning: o points bought with v have o * ask' <= v * 1e9 by (2), are worth
    // v' * 1e9 <= o * bid' by (1), and bid' <= ask', so v' <= v. With what is left, v' <= v, points * ask <= v' * 1e9
    // <= amount * bid <= amount * ask: points <= amount. By induction this holds for any number of programmes.

    function testBuyingBackGivesNoMoreThanWasSold(uint96 amount, uint64 bid, uint64 ask) external pure {
        Posted posted = _posted(bid, ask);
        assert(posted.pointsDown(posted.valueDown(amount)) <= amount);
    }

    function testAWayThroughAnotherProgrammeAddsNoValue(uint160 value, uint64 bid, uint64 ask) external pure {
        Posted posted = _posted(bid, ask);
        uint256 points = posted.pointsDown(value);
        vm.assume(points <= type(uint96).max); // the exchange refuses more
        assert(posted.valueDown(points) <= value);
    }

    function testLessValueBuysNoMorePoints(uint160 value, uint160 less, uint64 ask) external pure {
        vm.assume(less <= value && ask != 0);
        Posted posted = PostedLibrary.pack(0, ask, 0, 0);
        assert(posted.pointsDown(less) <= posted.pointsDown(value));
    }

    function testFewerPointsAreWorthNoMore(uint96 amount, uint96 fewer, uint64 bid) external pure {
        vm.assume(fewer <= amount);
        Posted posted = PostedLibrary.pack(bid, 0, 0, 0);
        assert(posted.valueDown(fewer) <= posted.valueDown(amount));
    }

    function testARoundTripGainsNothing(uint96 amount, uint64 bidA, uint64 askA, uint64 bidB, uint64 askB)
        external
        pure
    {
        (Posted a, Posted b) = (_posted(bidA, askA), _posted(bidB, askB));
        uint256 out = b.pointsDown(a.valueDown(amount));
        vm.assume(out <= type(uint96).max); // the exchange refuses more
        assert(a.pointsDown(b.valueDown(out)) <= amount);
    }

    /// @dev As `setQuote` accepts it.
    function _posted(uint64 bid, uint64 ask) private pure returns (Posted) {
        vm.assume(0 < bid && bid <= ask);
        return PostedLibrary.pack(bid, ask, 0, 0);
    }
}
