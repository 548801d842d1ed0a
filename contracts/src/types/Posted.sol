// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title A programme's posted quote, in one storage word
///
///      255             168 167     128 127        64 63          0
///     +-------------------+-----------+-------------+-------------+
///     | cap, u88          | until,u40 | ask, u64    | bid, u64    |
///     +-------------------+-----------+-------------+-------------+
///
/// Prices are settlement base units per points base unit, times 1e9. A word of 0 was never posted.
/// Values are rounded down, so that whatever is lost in rounding is lost by who swaps: never a gain, in any cycle.
type Posted is uint256;

using PostedLibrary for Posted global;

library PostedLibrary {
    uint256 private constant SCALE = 1e9;
    uint256 private constant ASK_SHIFT = 64;
    uint256 private constant UNTIL_SHIFT = 128;
    uint256 private constant CAP_SHIFT = 168;

    function pack(uint64 bid_, uint64 ask_, uint40 until_, uint88 cap_) internal pure returns (Posted) {
        return Posted.wrap(
            (uint256(cap_) << CAP_SHIFT) | (uint256(until_) << UNTIL_SHIFT) | (uint256(ask_) << ASK_SHIFT) | bid_
        );
    }

    function bid(Posted posted) internal pure returns (uint64) {
        return uint64(Posted.unwrap(posted));
    }

    function ask(Posted posted) internal pure returns (uint64) {
        return uint64(Posted.unwrap(posted) >> ASK_SHIFT);
    }

    function until(Posted posted) internal pure returns (uint40) {
        return uint40(Posted.unwrap(posted) >> UNTIL_SHIFT);
    }

    function cap(Posted posted) internal pure returns (uint88) {
        return uint88(Posted.unwrap(posted) >> CAP_SHIFT);
    }

    /// @notice Whether holders could lose anything by `posted` taking the place of `standing`.
    function isWorseThan(Posted posted, Posted standing) internal pure returns (bool) {
        return bid(posted) < bid(standing) || ask(posted) > ask(standing) || until(posted) < until(standing)
            || cap(posted) < cap(standing);
    }

    /// @notice What the programme pays for `amount` (at most 96 bits) of its points.
    function valueDown(Posted posted, uint256 amount) internal pure returns (uint256) {
        unchecked {
            return amount * bid(posted) / SCALE; // 96 + 64 bits
        }
    }

    /// @notice What `value` (at most 160 bits, as `valueDown` gives) buys of the programme's points.
    function pointsDown(Posted posted, uint256 value) internal pure returns (uint256) {
        unchecked {
            return value * SCALE / ask(posted); // 160 + 30 bits; a posted ask is at least 1
        }
    }
}
