// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Position, PositionLibrary} from "../../src/types/Position.sol";
import {vm} from "./Vm.sol";

/// @title The exchange's account word, for every word: what an operation says it changes, and nothing else
contract PositionProof {
    uint256 private constant CHARITY = 1 << 248;
    uint256 private constant ANNOUNCED = 1 << 249;
    uint256 private constant DAILY = uint256(type(uint104).max) << 96;

    function testTheFieldsAreWhereTheyAreDrawn(uint256 word) external pure {
        Position position = Position.wrap(word);
        assert(position.margin() == uint96(word));
        assert(position.spent(uint16(word >> 184)) == uint88(word >> 96));
        assert(position.nonce() == uint48(word >> 200));
        assert(position.isCharity() == ((word >> 248) & 1 == 1));
        assert(position.hasAnnounced() == ((word >> 249) & 1 == 1));
    }

    function testACreditChangesTheMarginAlone(uint256 word, uint96 value) external pure {
        Position position = Position.wrap(word);
        vm.assume(position.margin() + value <= type(uint96).max);
        Position credited = position.credited(value);
        assert(credited.margin() == position.margin() + value);
        assert(_butMargin(credited) == _butMargin(position));
    }

    function testACreditThatWouldCarryIsRefused(uint256 word, uint160 value) external view {
        Position position = Position.wrap(word);
        uint256 room = type(uint96).max - position.margin();
        try this.credit(word, value) {
            assert(value <= room);
        } catch (bytes memory reason) {
            assert(value > room);
            bytes memory said =
                abi.encodeWithSelector(PositionLibrary.MarginOverflow.selector, uint256(uint96(word)), uint256(value));
            assert(keccak256(reason) == keccak256(said));
        }
    }

    function testADebitChangesTheMarginAlone(uint256 word, uint96 value) external pure {
        Position position = Position.wrap(word);
        vm.assume(value <= position.margin());
        Position debited = position.debited(value);
        assert(debited.margin() == position.margin() - value);
        assert(_butMargin(debited) == _butMargin(position));
    }

    function testWhatIsSpentIsOfThatDayAndOfNoOther(uint256 word, uint88 spent, uint16 today, uint16 other)
        external
        pure
    {
        Position position = Position.wrap(word).withSpent(spent, today);
        assert(position.spent(today) == spent);
        if (other != today) assert(position.spent(other) == 0);
        assert(Position.unwrap(position) & ~DAILY == word & ~DAILY);
    }

    function testTheNonceCountsUpAndChangesNothingElse(uint256 word) external pure {
        Position position = Position.wrap(word);
        vm.assume(position.nonce() < type(uint48).max);
        Position next = position.nextNonce();
        assert(next.nonce() == position.nonce() + 1);
        uint256 others = ~(uint256(type(uint48).max) << 200);
        assert(Position.unwrap(next) & others == word & others);
    }

    function testACharityIsOneForEver(uint256 word) external pure {
        assert(Position.unwrap(Position.wrap(word).asCharity()) == word | CHARITY);
    }

    function testAnAnnouncementChangesItsFlagAlone(uint256 word, bool announced) external pure {
        Position position = Position.wrap(word).withAnnounced(announced);
        assert(position.hasAnnounced() == announced);
        assert(Position.unwrap(position) & ~ANNOUNCED == word & ~ANNOUNCED);
    }

    function credit(uint256 word, uint160 value) external pure returns (Position) {
        return Position.wrap(word).credited(value);
    }

    function _butMargin(Position position) private pure returns (uint256) {
        return Position.unwrap(position) >> 96;
    }
}
