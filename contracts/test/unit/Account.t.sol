// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Account, AccountLibrary} from "../../src/types/Account.sol";
import {Test} from "../Forge.sol";

/// @title The account's word: each field changes alone, and the nonce window is a set with a sliding floor
contract AccountTest is Test {
    uint256 private constant NONCE_END = 2 ** 40 - 128;

    struct Fields {
        uint96 balance;
        uint16 day;
        uint8 flags;
        uint40 base;
        uint96 window;
    }

    function test_fieldsAreWhereTheyAreDrawn() external pure {
        Account account = _packed(Fields({balance: 1, day: 2, flags: 1, base: 3, window: 4}));
        assertEq(account.balance(), 1, "balance");
        assertEq(account.day(), 2, "day");
        assertTrue(account.isRecovering(), "flag");
        assertEq(account.base(), 3, "base");
        assertEq(account.window(), 4, "window");
    }

    function testFuzz_fieldsAreWhereTheyAreDrawn(Fields memory fields) external pure {
        Account account = _packed(fields);
        assertEq(account.balance(), fields.balance, "balance");
        assertEq(account.day(), fields.day, "day");
        assertEq(account.isRecovering(), fields.flags & 1 == 1, "flag");
        assertEq(account.base(), fields.base, "base");
        assertEq(account.window(), fields.window, "window");
    }

    function testFuzz_creditsAndDebitsTouchTheBalanceAlone(Fields memory fields, uint96 amount) external pure {
        Account account = _packed(fields);
        amount = uint96(within(amount, 0, type(uint96).max - fields.balance));
        Fields memory more = abi.decode(abi.encode(fields), (Fields));
        more.balance += amount;
        assertEq(_word(account.credited(amount)), _word(_packed(more)), "credited");
        assertEq(_word(_packed(more).debited(amount)), _word(account), "debited");
    }

    function testFuzz_activityTouchesTheDayAlone(Fields memory fields, uint256 today) external pure {
        Account account = _packed(fields);
        fields.day = uint16(today);
        assertEq(_word(account.active(today)), _word(_packed(fields)), "active");
    }

    function testFuzz_aRecoveryTouchesItsFlagAlone(Fields memory fields, bool recovering) external pure {
        Account account = _packed(fields);
        fields.flags = recovering ? fields.flags | 1 : fields.flags & 0xfe;
        assertEq(_word(account.withRecovering(recovering)), _word(_packed(fields)), "recovering");
    }

    /// @dev Beside a plain window: an array of booleans that is moved place by place.
    function testFuzz_theWindowEqualsItsTwin(Fields memory fields, uint256 seed, uint40 any) external pure {
        fields.base = uint40(within(fields.base, 0, NONCE_END));
        uint256 nonce = any;
        // Around the edges mostly: they are where windows go wrong.
        if (seed % 8 == 0) nonce = uint256(fields.base) + seed % 96;
        if (seed % 8 == 1) nonce = uint256(fields.base) + 94 + seed % 4;
        if (seed % 8 == 2) nonce = uint256(fields.base) + 96 + seed % 70_000;
        if (seed % 8 == 3) nonce = uint256(fields.base) + 65_536 + 93 + seed % 5;
        if (seed % 8 == 4) nonce = uint256(fields.base) - (fields.base == 0 ? 0 : 1);
        if (seed % 8 == 5) nonce = NONCE_END - 2 + seed % 4;
        Account account = _packed(fields);
        (bool fresh, Account used) = account.using_(nonce);
        (bool expected, Fields memory twin) = _twin(fields, nonce);
        assertEq(fresh, expected, "fresh");
        assertEq(_word(used), _word(_packed(twin)), "the account afterwards");
        if (!fresh) return;
        (bool again, Account unchanged) = used.using_(nonce);
        assertTrue(!again, "a nonce is used once");
        assertEq(_word(unchanged), _word(used), "a refused nonce changes nothing");
    }

    function test_theLastNonceIsUsedOnceAndNothingComesAfter() external pure {
        Account account = _packed(Fields({balance: 5, day: 6, flags: 0, base: uint40(NONCE_END - 96), window: 1}));
        (bool fresh, Account used) = account.using_(NONCE_END - 1);
        assertTrue(fresh, "the last nonce");
        (fresh,) = used.using_(NONCE_END - 1);
        assertTrue(!fresh, "once");
        (fresh,) = used.using_(NONCE_END);
        assertTrue(!fresh, "nothing comes after it");
    }

    function _twin(Fields memory fields, uint256 nonce) private pure returns (bool fresh, Fields memory twin) {
        twin = abi.decode(abi.encode(fields), (Fields));
        uint256 base = fields.base;
        if (nonce < base || nonce > base + 95 + 65_536) return (false, twin);
        if (nonce > base + 95 && nonce >= NONCE_END) return (false, twin);
        bool[96] memory used;
        for (uint256 place; place < 96; ++place) {
            used[place] = fields.window >> place & 1 == 1;
        }
        if (nonce <= base + 95) {
            if (used[nonce - base]) return (false, twin);
            used[nonce - base] = true;
        } else {
            uint256 slide = nonce - 95 - base;
            for (uint256 place; place < 96; ++place) {
                used[place] = place + slide < 96 && used[place + slide];
            }
            used[95] = true;
            twin.base = uint40(nonce - 95);
        }
        twin.window = 0;
        for (uint256 place; place < 96; ++place) {
            if (used[place]) twin.window |= uint96(1 << place);
        }
        return (true, twin);
    }

    function _packed(Fields memory fields) private pure returns (Account) {
        bytes memory word = abi.encodePacked(fields.window, fields.base, fields.flags, fields.day, fields.balance);
        return Account.wrap(uint256(bytes32(word)));
    }

    function _word(Account account) private pure returns (uint256) {
        return Account.unwrap(account);
    }
}
