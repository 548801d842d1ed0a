// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What a programme has issued and may issue, in one storage word
///
///      255       224 223      192 191               96 95                0
///     +-------------+------------+--------------------+------------------+
///     | next, u32   | at, u32    | level, u96         | supply, u96      |
///     +-------------+------------+--------------------+------------------+
///
/// `supply`  base units in existence.
/// `level`   base units that the bucket held at Unix second `at`; it refills by the second, up to its size.
/// `next`    the only batch number that will be accepted.
type Issuance is uint256;

using IssuanceLibrary for Issuance global;

library IssuanceLibrary {
    uint256 private constant LEVEL_SHIFT = 96;
    uint256 private constant AT_SHIFT = 192;
    uint256 private constant NEXT_SHIFT = 224;

    function pack(uint256 supply_, uint256 level_, uint256 at_, uint256 next_) internal pure returns (Issuance) {
        return
            Issuance.wrap(
                (next_ << NEXT_SHIFT) | (uint256(uint32(at_)) << AT_SHIFT) | (level_ << LEVEL_SHIFT) | supply_
            );
    }

    function supply(Issuance issuance) internal pure returns (uint256) {
        return uint96(Issuance.unwrap(issuance));
    }

    function next(Issuance issuance) internal pure returns (uint256) {
        return Issuance.unwrap(issuance) >> NEXT_SHIFT;
    }

    /// @notice What a bucket of size `bucket`, refilled at `refill` a second, holds at Unix second `time`.
    function available(Issuance issuance, uint256 bucket, uint256 refill, uint256 time)
        internal
        pure
        returns (uint256)
    {
        uint256 level = uint96(Issuance.unwrap(issuance) >> LEVEL_SHIFT);
        uint256 at = uint32(Issuance.unwrap(issuance) >> AT_SHIFT);
        unchecked {
            // No overflow: 96 bits + 96 bits * 32 bits. `at` is in the past, modulo 2^32 (the year 2106).
            uint256 filled = level + refill * uint32(time - at);
            return filled < bucket ? filled : bucket;
        }
    }

    /// @notice Adds `amount` to the supply; the caller keeps it below 2^96.
    function credited(Issuance issuance, uint256 amount) internal pure returns (Issuance) {
        unchecked {
            return Issuance.wrap(Issuance.unwrap(issuance) + amount);
        }
    }

    /// @notice Takes `amount` out of the supply; it was somebody's balance, hence at most the supply.
    function debited(Issuance issuance, uint256 amount) internal pure returns (Issuance) {
        unchecked {
            return Issuance.wrap(Issuance.unwrap(issuance) - amount);
        }
    }
}
