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
            bool success = _isContract(index, call.target)
                && _succeeds(index, call.target, call.gas, _neededFor(call.gas), call.data);
            if (!success) ++failures;
        }
    }

    /// @inheritdoc IBundle
    function executePacked(address[] calldata targets, bytes calldata calls) external returns (uint256 failures) {
        unchecked {
            // No overflow: `at` is never further behind the end of calldata than one call is long.
            uint256 at;
            uint256 end;
            assembly ("memory-safe") {
                at := calls.offset
                end := add(calls.offset, calls.length)
            }
            // Calls with the same target and gas often follow each other: what both mean is found out once.
            uint256 known = type(uint256).max;
            address target;
            uint256 limit;
            uint256 needed;
            for (uint256 index; at < end; ++index) {
                uint256 head;
                // The two halves of a slice are not one value written twice.
                // slither-disable-next-line write-after-write
                bytes calldata data;
                assembly ("memory-safe") {
                    head := shr(200, calldataload(at))
                    data.offset := add(at, HEAD)
                    data.length := and(head, 0xffffff)
                    at := add(data.offset, data.length)
                }
                if (at > end) revert MalformedCall(index);
                if (head >> 24 != known) {
                    address wanted = targets[head >> 48];
                    if (!_isContract(index, wanted)) {
                        ++failures;
                        continue;
                    }
                    (known, target, limit) = (head >> 24, wanted, uint24(head >> 24));
                    needed = _neededFor(limit);
                }
                if (!_succeeds(index, target, limit, needed, data)) ++failures;
            }
        }
    }

    function _isContract(uint256 index, address target) private returns (bool) {
        if (target.code.length != 0) return true;
        emit Failed(index, NotAContract.selector, bytes32(index), bytes32(uint256(uint160(target))));
        return false;
    }

    /// @dev The gas that must be left for a call to get `limit`: EIP-150 would silently hand over less when less than
    /// 64/63 of it is left, and a relayer could make a good call fail by sending too little.
    function _neededFor(uint256 limit) private pure returns (uint256) {
        unchecked {
            return limit * 64 / 63 + CALL_OVERHEAD; // no overflow: `limit` has at most 32 bits
        }
    }

    /// @dev Calls with exactly `limit` gas, or reverts if less than `needed` is left. Of what the call returns no more
    /// than a selector and two words is copied, and all calls use the same memory.
    function _succeeds(uint256 index, address target, uint256 limit, uint256 needed, bytes calldata data)
        private
        returns (bool success)
    {
        uint256 left;
        assembly ("memory-safe") {
            calldatacopy(mload(0x40), data.offset, data.length)
            left := gas()
        }
        if (left < needed) revert NotEnoughGas(index);
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
