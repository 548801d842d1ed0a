// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Position, PositionLibrary} from "../../src/types/Position.sol";
import {Test} from "../Forge.sol";

/// @title The position's word: each field changes alone
contract PositionTest is Test {
    struct Fields {
        uint96 margin;
        uint88 spent;
        uint16 day;
        uint48 nonce;
        uint8 flags;
    }

    function credit(Position position, uint256 value) external pure returns (Position) {
        return position.credited(value);
    }

    function testFuzz_fieldsAreWhereTheyAreDrawn(Fields memory fields) external pure {
        Position position = _packed(fields);
        assertEq(position.margin(), fields.margin, "margin");
        assertEq(position.nonce(), fields.nonce, "nonce");
        assertEq(position.spent(fields.day), fields.spent, "spent today");
        assertEq(position.isCharity(), fields.flags & 1 == 1, "charity");
        assertEq(position.hasAnnounced(), fields.flags & 2 == 2, "announced");
    }

    function testFuzz_whatWasSpentIsForgottenTheNextDay(Fields memory fields, uint16 today) external pure {
        uint256 expected = today == fields.day ? fields.spent : 0;
        assertEq(_packed(fields).spent(today), expected, "spent");
    }

    function testFuzz_spendingTouchesTheDayAndItsSumAlone(Fields memory fields, uint88 spent, uint16 today)
        external
        pure
    {
        Position position = _packed(fields).withSpent(spent, today);
        (fields.spent, fields.day) = (spent, today);
        assertEq(_word(position), _word(_packed(fields)), "word");
    }

    function testFuzz_flagsChangeAlone(Fields memory fields, bool announced) external pure {
        Position position = _packed(fields);
        uint8 flags = fields.flags;
        fields.flags = flags | 1;
        assertEq(_word(position.asCharity()), _word(_packed(fields)), "charity");
        fields.flags = announced ? flags | 2 : flags & 0xfd;
        assertEq(_word(position.withAnnounced(announced)), _word(_packed(fields)), "announced");
    }

    function testFuzz_theNonceCountsAlone(Fields memory fields) external pure {
        fields.nonce = uint48(within(fields.nonce, 0, type(uint48).max - 1));
        Position next = _packed(fields).nextNonce();
        ++fields.nonce;
        assertEq(_word(next), _word(_packed(fields)), "word");
    }

    function testFuzz_creditsAndDebitsTouchTheMarginAlone(Fields memory fields, uint96 value) external pure {
        value = uint96(within(value, 0, type(uint96).max - fields.margin));
        Position before = _packed(fields);
        fields.margin += value;
        assertEq(_word(before.credited(value)), _word(_packed(fields)), "credited");
        assertEq(_word(_packed(fields).debited(value)), _word(before), "debited");
    }

    function test_aMarginNeverOverflows() external {
        _refuses(type(uint96).max, 1);
    }

    /// @dev By no value that there can be: a quote's value of points has 160 bits.
    function testFuzz_aMarginNeverOverflows(uint96 margin, uint160 value) external {
        _refuses(margin, within(value, uint256(type(uint96).max) - margin + 1, type(uint160).max));
    }

    function _refuses(uint96 margin, uint256 value) private {
        vm.expectRevert(abi.encodeWithSelector(PositionLibrary.MarginOverflow.selector, uint256(margin), value));
        this.credit(Position.wrap(margin), value);
    }

    function _packed(Fields memory fields) private pure returns (Position) {
        bytes memory word = abi.encodePacked(fields.flags, fields.nonce, fields.day, fields.spent, fields.margin);
        return Position.wrap(uint256(bytes32(word)));
    }

    function _word(Position position) private pure returns (uint256) {
        return Position.unwrap(position);
    }
}
