// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Reads a packed intent: fields that follow the selector one after the other, without padding
/// @notice The layouts are in `IPoints` and `IExchange`, the encoder is `contracts/packed.py`. Behind the end of
/// calldata all bytes are zero. Fields that are not there are therefore zero, which nobody signed; the slice of the
/// signature, which comes last, reverts.
library Packed {
    uint8 internal constant SEND = 0;
    uint8 internal constant REDEEM = 1;
    uint8 internal constant SWAP = 2;
    uint8 internal constant GIVE = 3;

    /// @return field the `size` bytes from `at`, as a number; `size` is 1 to 32
    function uintAt(uint256 at, uint256 size) internal pure returns (uint256 field) {
        assembly ("memory-safe") {
            field := shr(sub(256, shl(3, size)), calldataload(at))
        }
    }

    function addressAt(uint256 at) internal pure returns (address) {
        return address(uint160(uintAt(at, 20)));
    }
}
