// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Everything about one holder of one programme, in one storage word
///
///      255            160 159      120 119  112 111     96 95                0
///     +------------------+------------+--------+-----------+------------------+
///     | window, 96 bits  | base, u40  | flags  | day, u16  | balance, u96     |
///     +------------------+------------+--------+-----------+------------------+
///
/// `balance`  base units. Bounded by the total supply, which is below 2^96: adding to it cannot carry.
/// `day`      UTC day of the holder's last activity, which is earning or signing; receiving is not.
/// `flags`    bit 0: the programme's owner wants to move the points of this holder, who is said to be lost.
/// `base`, `window`  the anti-replay window of IPsec: bit i tells whether nonce `base + i` was used, everything below
///            `base` is void. A nonce above the window slides it, so none is ever stuck behind a lost one.
///
/// Once a nonce was used the window is never empty again, so neither is the word: replay protection cannot be lost by
/// spending everything.
type Account is uint256;

using AccountLibrary for Account global;

library AccountLibrary {
    uint256 internal constant BALANCE_MASK = type(uint96).max;
    uint256 private constant DAY_SHIFT = 96;
    uint256 private constant DAY_MASK = uint256(type(uint16).max) << DAY_SHIFT;
    uint256 private constant RECOVERING = 1 << 112;
    uint256 private constant BASE_SHIFT = 120;
    uint256 private constant WINDOW_SHIFT = 160;
    uint256 private constant LOW_MASK = (1 << BASE_SHIFT) - 1;

    /// How many nonces are open at a time.
    uint256 internal constant WINDOW = 96;
    /// The furthest that one nonce may slide the window.
    uint256 internal constant MAX_SLIDE = 65_536;
    /// The first nonce that is never accepted: below it, `base` cannot carry into the window.
    uint256 internal constant NONCE_END = (1 << 40) - 128;

    function balance(Account account) internal pure returns (uint256) {
        return Account.unwrap(account) & BALANCE_MASK;
    }

    function day(Account account) internal pure returns (uint256) {
        return uint16(Account.unwrap(account) >> DAY_SHIFT);
    }

    function isRecovering(Account account) internal pure returns (bool) {
        return Account.unwrap(account) & RECOVERING != 0;
    }

    function base(Account account) internal pure returns (uint256) {
        return uint40(Account.unwrap(account) >> BASE_SHIFT);
    }

    function window(Account account) internal pure returns (uint256) {
        return Account.unwrap(account) >> WINDOW_SHIFT;
    }

    /// @notice Adds `amount`. The caller keeps the total supply, hence every balance, below 2^96.
    function credited(Account account, uint256 amount) internal pure returns (Account) {
        unchecked {
            return Account.wrap(Account.unwrap(account) + amount);
        }
    }

    /// @notice Takes `amount`, which the caller found to be at most the balance.
    function debited(Account account, uint256 amount) internal pure returns (Account) {
        unchecked {
            return Account.wrap(Account.unwrap(account) - amount);
        }
    }

    function withRecovering(Account account, bool recovering) internal pure returns (Account) {
        uint256 others = Account.unwrap(account) & ~RECOVERING;
        return Account.wrap(recovering ? others | RECOVERING : others);
    }

    /// @notice The holder was active `today`, a UTC day number.
    function active(Account account, uint256 today) internal pure returns (Account) {
        return Account.wrap((Account.unwrap(account) & ~DAY_MASK) | (uint256(uint16(today)) << DAY_SHIFT));
    }

    /// @notice Uses up `nonce`; `fresh` is false, and the account unchanged, if it cannot be used (any more).
    function using_(Account account, uint256 nonce) internal pure returns (bool fresh, Account used) {
        unchecked {
            // A nonce below `base` wraps around, far above the window and what it may slide.
            uint256 place = nonce - base(account);
            if (place >= WINDOW) {
                (fresh, used) = _slid(account, nonce, place);
            } else {
                uint256 bit = 1 << (WINDOW_SHIFT + place);
                fresh = Account.unwrap(account) & bit == 0;
                used = Account.wrap(Account.unwrap(account) | bit);
            }
        }
    }

    /// @dev Slides the window so that `nonce`, `place` above its base, is its last and used.
    function _slid(Account account, uint256 nonce, uint256 place) private pure returns (bool, Account) {
        unchecked {
            uint256 slide = place - (WINDOW - 1); // place >= WINDOW
            if (slide > MAX_SLIDE || nonce >= NONCE_END) return (false, account);
            uint256 bits = (window(account) >> slide) | (1 << (WINDOW - 1));
            uint256 low = Account.unwrap(account) & LOW_MASK;
            return (true, Account.wrap((bits << WINDOW_SHIFT) | ((base(account) + slide) << BASE_SHIFT) | low));
        }
    }
}
