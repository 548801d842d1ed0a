// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Account, AccountLibrary} from "../../src/types/Account.sol";
import {vm} from "./Vm.sol";

/// @title The nonce window, for every window, base and nonce
/// @notice An account's base begins at 0 and moves by `using_` alone, so `_isReachable`, which holds at 0 and which
/// `using_` keeps (proved here), holds always: the proofs may assume it.
contract NoncesProof {
    uint256 private constant WINDOW = AccountLibrary.WINDOW;
    uint256 private constant MAX_SLIDE = AccountLibrary.MAX_SLIDE;
    uint256 private constant NONCE_END = AccountLibrary.NONCE_END;

    function testAnAcceptedNonceIsRefusedAfterwards(uint256 word, uint256 nonce) external pure {
        Account account = _reachable(word);
        (bool fresh, Account used) = account.using_(nonce);
        vm.assume(fresh);
        (bool again, Account same) = used.using_(nonce);
        assert(!again);
        assert(Account.unwrap(same) == Account.unwrap(used));
    }

    function testANonceIsAcceptedIfUnspentWithinReachAndBeforeTheEnd(uint256 word, uint256 nonce) external pure {
        Account account = _reachable(word);
        (bool fresh,) = account.using_(nonce);
        bool inReach = nonce <= account.base() + (WINDOW - 1) + MAX_SLIDE;
        assert(fresh == (!_isSpent(account, nonce) && inReach && nonce < NONCE_END));
    }

    function testARefusedNonceChangesNothing(uint256 word, uint256 nonce) external pure {
        (bool fresh, Account used) = Account.wrap(word).using_(nonce);
        if (!fresh) assert(Account.unwrap(used) == word);
    }

    function testUsingANonceSpendsItAndWhatItSlidesPastAndNothingElse(uint256 word, uint256 nonce, uint256 other)
        external
        pure
    {
        Account account = _reachable(word);
        (bool fresh, Account used) = account.using_(nonce);
        vm.assume(fresh);
        bool spends = other == nonce || other < used.base();
        assert(_isSpent(used, other) == (_isSpent(account, other) || spends));
    }

    function testTheBaseNeverFallsAndNeverCarries(uint256 word, uint256 nonce) external pure {
        Account account = _reachable(word);
        (, Account used) = account.using_(nonce);
        assert(used.base() >= account.base());
        assert(_isReachable(used));
        assert(used.base() < 1 << 40);
    }

    function testTheWindowSlidesNoFurtherThanItMust(uint256 word, uint256 nonce) external pure {
        Account account = _reachable(word);
        (bool fresh, Account used) = account.using_(nonce);
        vm.assume(fresh);
        bool within = nonce < account.base() + WINDOW;
        assert(used.base() == (within ? account.base() : nonce - (WINDOW - 1)));
    }

    function testAWordWithAUsedNonceIsNeverZeroAgain(uint256 word, uint256 nonce) external pure {
        Account account = _reachable(word);
        (bool fresh, Account used) = account.using_(nonce);
        vm.assume(fresh || account.window() != 0);
        assert(used.window() != 0);
    }

    /// @dev Said slowly: below the base, or its bit is set.
    function _isSpent(Account account, uint256 nonce) private pure returns (bool) {
        uint256 base = account.base();
        if (nonce < base) return true;
        return nonce < base + WINDOW && account.window() & (1 << (nonce - base)) != 0;
    }

    function _isReachable(Account account) private pure returns (bool) {
        return account.base() + WINDOW <= NONCE_END;
    }

    function _reachable(uint256 word) private pure returns (Account account) {
        account = Account.wrap(word);
        vm.assume(_isReachable(account));
    }
}
