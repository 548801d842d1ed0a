// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title An account of the exchange, in one storage word
///
///      255    248 247      200 199     184 183               96 95                0
///     +----------+------------+-----------+--------------------+------------------+
///     | flags,u8 | nonce, u48 | day, u16  | spent, u88         | margin, u96      |
///     +----------+------------+-----------+--------------------+------------------+
///
/// `margin`  settlement base units that the exchange holds for the account.
/// `spent`   what left the margin by swaps and gifts on UTC day `day`.
/// `nonce`   the next sequential nonce of the account's owner.
/// `flags`   bit 0: a registered charity; bit 1: a quote has been announced.
type Position is uint256;

using PositionLibrary for Position global;

library PositionLibrary {
    uint256 private constant SPENT_SHIFT = 96;
    uint256 private constant DAY_SHIFT = 184;
    uint256 private constant NONCE_SHIFT = 200;
    uint256 private constant CHARITY = 1 << 248;
    uint256 private constant ANNOUNCED = 1 << 249;
    uint256 private constant DAILY_MASK = ((1 << (NONCE_SHIFT - SPENT_SHIFT)) - 1) << SPENT_SHIFT;

    /// @notice The account would hold more settlement tokens than its word can count.
    error MarginOverflow(uint256 margin, uint256 value);

    function margin(Position position) internal pure returns (uint256) {
        return uint96(Position.unwrap(position));
    }

    function nonce(Position position) internal pure returns (uint64) {
        return uint48(Position.unwrap(position) >> NONCE_SHIFT);
    }

    function isCharity(Position position) internal pure returns (bool) {
        return Position.unwrap(position) & CHARITY != 0;
    }

    /// @notice What left the margin so far on UTC day `today`.
    function spent(Position position, uint256 today) internal pure returns (uint256) {
        uint256 day = uint16(Position.unwrap(position) >> DAY_SHIFT);
        return day == uint16(today) ? uint88(Position.unwrap(position) >> SPENT_SHIFT) : 0;
    }

    function asCharity(Position position) internal pure returns (Position) {
        return Position.wrap(Position.unwrap(position) | CHARITY);
    }

    function hasAnnounced(Position position) internal pure returns (bool) {
        return Position.unwrap(position) & ANNOUNCED != 0;
    }

    function withAnnounced(Position position, bool announced) internal pure returns (Position) {
        uint256 others = Position.unwrap(position) & ~ANNOUNCED;
        return Position.wrap(announced ? others | ANNOUNCED : others);
    }

    function nextNonce(Position position) internal pure returns (Position) {
        unchecked {
            return Position.wrap(Position.unwrap(position) + (1 << NONCE_SHIFT)); // 2^48 transactions away from a carry
        }
    }

    /// @notice Adds `value`, which has at most 160 bits, as a quote's value of points has.
    function credited(Position position, uint256 value) internal pure returns (Position) {
        unchecked {
            uint256 held = margin(position);
            if (held + value > type(uint96).max) revert MarginOverflow(held, value);
            return Position.wrap(Position.unwrap(position) + value);
        }
    }

    /// @notice Takes `value`, which the caller found to be at most the margin.
    function debited(Position position, uint256 value) internal pure returns (Position) {
        unchecked {
            return Position.wrap(Position.unwrap(position) - value);
        }
    }

    /// @notice Sets what left the margin on `today`; the caller keeps it within a quote's cap, hence 88 bits.
    function withSpent(Position position, uint256 spent_, uint256 today) internal pure returns (Position) {
        uint256 daily = (uint256(uint16(today)) << DAY_SHIFT) | (spent_ << SPENT_SHIFT);
        return Position.wrap((Position.unwrap(position) & ~DAILY_MASK) | daily);
    }
}
