// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBundle} from "./interfaces/IBundle.sol";

/// @title The bundle, as `IBundle` describes it
contract Bundle is IBundle {
    /// What is spent between measuring the gas that is left and handing it to the call, and on reporting its failure.
    uint256 private constant CALL_OVERHEAD = 5_000;

    /// @inheritdoc IBundle
    function execute(Call[] calldata calls) external returns (uint256 failures) {
        for (uint256 index; index < calls.length; ++index) {
            Call calldata call = calls[index];
            if (call.target.code.length == 0) {
                bytes32 target = bytes32(uint256(uint160(call.target)));
                emit Failed(index, NotAContract.selector, bytes32(index), target);
                ++failures;
                continue;
            }
            (bool success, bytes4 error, bytes32 first, bytes32 second) = _call(index, call.target, call.gas, call.data);
            if (!success) {
                emit Failed(index, error, first, second);
                ++failures;
            }
        }
    }

    /// @dev Calls with exactly `limit` gas: EIP-150 would silently hand over less when less than 64/63 of it is left, and a
    /// relayer could make a good call fail by sending too little. Of what the call returns no more than a selector and
    /// two words is copied, and all calls use the same memory.
    function _call(uint256 index, address target, uint256 limit, bytes calldata data)
        private
        returns (bool success, bytes4 error, bytes32 first, bytes32 second)
    {
        uint256 left;
        assembly ("memory-safe") {
            let memoryStart := mload(0x40)
            calldatacopy(memoryStart, data.offset, data.length)
            left := gas()
        }
        if (left < limit * 64 / 63 + CALL_OVERHEAD) revert NotEnoughGas(index);
        assembly ("memory-safe") {
            let memoryStart := mload(0x40)
            success := call(limit, target, 0, memoryStart, data.length, 0, 0)
            if iszero(success) {
                let size := returndatasize()
                if gt(size, 0x44) { size := 0x44 }
                calldatacopy(memoryStart, calldatasize(), 0x44) // zeros
                returndatacopy(memoryStart, 0, size)
                error := and(mload(memoryStart), shl(224, 0xffffffff))
                first := mload(add(memoryStart, 0x04))
                second := mload(add(memoryStart, 0x24))
            }
        }
    }
}
