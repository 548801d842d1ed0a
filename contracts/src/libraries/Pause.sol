// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title How long something may be paused: at most 72 hours, and then not for another 72
/// @notice Everything follows from one number, the Unix second until which a pause lasts or lasted.
library Pause {
    uint256 private constant MOST = 72 hours;
    uint256 private constant REST = 72 hours;

    /// @notice There can be no pause before this Unix second.
    error PausedTooRecently(uint256 until);

    /// @notice The end of a pause that begins now, after one that ended at `last`.
    function begun(uint40 last) internal view returns (uint40) {
        if (last != 0 && block.timestamp < last + REST) revert PausedTooRecently(last + REST);
        return uint40(block.timestamp + MOST);
    }

    /// @notice The end of a pause that was to last until `until`, and ends now if it has not ended before.
    function ended(uint40 until) internal view returns (uint40) {
        return block.timestamp < until ? uint40(block.timestamp) : until;
    }
}
