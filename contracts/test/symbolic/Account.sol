// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Account, AccountLibrary} from "../../src/types/Account.sol";
import {vm} from "./Vm.sol";

/// @title The account word, for every word: what an operation says it changes, it changes, and nothing else
contract AccountProof {
    function testTheFieldsAreTheWholeWordAndDoNotOverlap(uint256 word) external pure {
        Account account = Account.wrap(word);
        uint256 flags = uint8(word >> 112);
        assert(account.isRecovering() == (flags & 1 == 1));
        uint256 rebuilt = account.balance() | (account.day() << 96) | (flags << 112) | (account.base() << 120)
            | (account.window() << 160);
        assert(rebuilt == word);
    }

    function testAFieldIsReadAsItWasWritten(uint96 balance, uint16 day, uint8 flags, uint40 base, uint96 window)
        external
        pure
    {
        Account account = Account.wrap(
            uint256(balance) | (uint256(day) << 96) | (uint256(flags) << 112) | (uint256(base) << 120)
                | (uint256(window) << 160)
        );
        assert(account.balance() == balance && account.day() == day && account.isRecovering() == (flags & 1 == 1));
        assert(account.base() == base && account.window() == window);
    }

    function testACreditChangesTheBalanceAlone(uint256 word, uint96 amount) external pure {
        Account account = Account.wrap(word);
        vm.assume(account.balance() + amount <= type(uint96).max); // as the supply is
        Account credited = account.credited(amount);
        assert(credited.balance() == account.balance() + amount);
        assert(_butBalance(credited) == _butBalance(account));
    }

    function testADebitChangesTheBalanceAlone(uint256 word, uint96 amount) external pure {
        Account account = Account.wrap(word);
        vm.assume(amount <= account.balance());
        Account debited = account.debited(amount);
        assert(debited.balance() == account.balance() - amount);
        assert(_butBalance(debited) == _butBalance(account));
    }

    function testActivityChangesTheDayAlone(uint256 word, uint256 today) external pure {
        Account account = Account.wrap(word);
        Account active = account.active(today);
        assert(active.day() == uint16(today));
        assert(Account.unwrap(active) & ~DAY == word & ~DAY);
    }

    function testARecoveryChangesItsFlagAlone(uint256 word, bool recovering) external pure {
        Account account = Account.wrap(word).withRecovering(recovering);
        assert(account.isRecovering() == recovering);
        assert(Account.unwrap(account) & ~RECOVERING == word & ~RECOVERING);
    }

    function testUsingANonceChangesTheWindowAndItsBaseAlone(uint256 word, uint256 nonce) external pure {
        (, Account used) = Account.wrap(word).using_(nonce);
        assert(uint120(Account.unwrap(used)) == uint120(word));
    }

    uint256 private constant DAY = uint256(type(uint16).max) << 96;
    uint256 private constant RECOVERING = 1 << 112;

    function _butBalance(Account account) private pure returns (uint256) {
        return Account.unwrap(account) >> 96;
    }
}
