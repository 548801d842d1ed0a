// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Token, vm} from "./Token.sol";

/// @title Runs one property of those that slither-prop generated: for each of its three callers, after any moves
/// @notice As echidna reads them, a property holds if it answers `true`; one that is named `crytic_revert_...` holds if
/// it reverts or answers `false`.
contract Suite {
    address[3] private _callers = [
        0x627306090abaB3A6e1400e9345bC60c78a8BEf57,
        0xf17f52151EbEF6C7334FAD080c5704D77216b732,
        0xC5fdf4076b8F3A5357c5E395ab970B5B54098Fef
    ];
    Token private _token;

    error Broken(string property, address caller);

    function setUp() public {
        _token = Token(vm.deployCode(vm.envString("SUITE")));
    }

    struct Move {
        uint8 kind;
        uint8 caller;
        uint8 from;
        uint8 to;
        uint16 value;
    }

    /// @param moves transfers, approvals and transfers by allowance among the three; the token may refuse any
    function testTheProperty(Move[12] calldata moves) external {
        for (uint256 index; index < moves.length; ++index) {
            _make(moves[index]);
        }
        string memory property = vm.envString("PROPERTY");
        bool mustFail = _startsWith(property, "crytic_revert_");
        for (uint256 index; index < _callers.length; ++index) {
            uint256 snapshot = vm.snapshotState();
            vm.prank(_callers[index]);
            (bool returned, bytes memory answer) = address(_token).call(abi.encodeWithSignature(property));
            bool holds = returned && abi.decode(answer, (bool));
            if (holds == mustFail) revert Broken(property, _callers[index]);
            vm.revertToState(snapshot);
        }
    }

    function _make(Move calldata move) private {
        address from = _callers[move.from % 3];
        address to = _callers[move.to % 3];
        vm.prank(_callers[move.caller % 3]);
        if (move.kind % 3 == 0) {
            try _token.transfer(to, move.value) {} catch {}
        } else if (move.kind % 3 == 1) {
            try _token.approve(to, move.value) {} catch {}
        } else {
            try _token.transferFrom(from, to, move.value) {} catch {}
        }
    }

    function _startsWith(string memory text, bytes memory start) private pure returns (bool) {
        bytes memory data = bytes(text);
        if (data.length < start.length) return false;
        for (uint256 index; index < start.length; ++index) {
            if (data[index] != start[index]) return false;
        }
        return true;
    }
}
