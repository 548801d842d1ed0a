// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBundle} from "./interfaces/IBundle.sol";

/// @title The bundle, as `IBundle` describes it
contract Bundle is IBundle {
    /// What is spent between measuring the gas that is left and handing it to the call, and on reporting its failure.
    uint256 private constant CALL_OVERHEAD = 5_000;
    /// Bytes of a packed call before its data.
    uint256 private constant HEAD = 7;

    /// @inheritdoc IBundle
    function execute(Call[] calldata calls) external returns (uint256 failures) {
        for (uint256 index; index < calls.length; ++index) {
            Call calldata call = calls[index];
            bool success = _isContract(index, call.target) && _succeeds(index, call.target, call.gas, call.data);
            if (!success) ++failures;
        }
    }

    /// @inheritdoc IBundle
    function executePacked(address[] calldata targets, bytes calldata calls) external returns (uint256 failures) {
        unchecked {
            // No overflow: `at` is never further behind the end of calldata than one call is long.
            uint256 at;
            address known; // the last target that has code: calls of one target often follow each other
            for (uint256 index; at < calls.length; ++index) {
                uint256 head;
                bytes calldata data;
                assembly ("memory-safe") {
                    head := shr(200, calldataload(add(calls.offset, at)))
                    data.offset := add(calls.offset, add(at, HEAD))
                    data.length := and(head, 0xffffff)
                }
                at += HEAD + data.length;
                if (at > calls.length) revert MalformedCall(index);
                address target = targets[head >> 48];
                if (target != known) {
                    if (!_isContract(index, target)) {
                        ++failures;
                        continue;
                    }
                    known = target;
                }
                if (!_succeeds(index, target, uint24(head >> 24), data)) ++failures;
            }
        }
    }

    function _isContract(uint256 index, address target) private returns (bool) {
        if (target.code.length != 0) return true;
        emit Failed(index, NotAContract.selector, bytes32(index), bytes32(uint256(uint160(target))));
        return false;
    }

    /// @dev Calls with exactly `limit` gas: EIP-150 would silently hand over less when less than 64/63 of it is left, and a
    /// relayer could make a good call fail by sending too little. Of what the call returns no more than a selector and
    /// two words is copied, and all calls use the same memory.
    function _succeeds(uint256 index, address target, uint256 limit, bytes calldata data)
        private
        returns (bool success)
    {
        uint256 left;
        assembly ("memory-safe") {
            calldatacopy(mload(0x40), data.offset, data.length)
            left := gas()
        }
        unchecked {
            // No overflow: `limit` has at most 32 bits.
            if (left < limit * 64 / 63 + CALL_OVERHEAD) revert NotEnoughGas(index);
        }
        assembly ("memory-safe") {
            success := call(limit, target, 0, mload(0x40), data.length, 0, 0)
        }
        if (!success) _report(index);
    }

    function _report(uint256 index) private {
        bytes4 error;
        bytes32 first;
        bytes32 second;
        assembly ("memory-safe") {
            let memoryStart := mload(0x40)
            let size := returndatasize()
            if gt(size, 0x44) { size := 0x44 }
            calldatacopy(memoryStart, calldatasize(), 0x44) // zeros
            returndatacopy(memoryStart, 0, size)
            error := and(mload(memoryStart), shl(224, 0xffffffff))
            first := mload(add(memoryStart, 0x04))
            second := mload(add(memoryStart, 0x24))
        }
        emit Failed(index, error, first, second);
    }
}
