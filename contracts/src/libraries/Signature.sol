// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Signatures: a scheme byte, then what that scheme wants
/// @notice The scheme is what the signature says, never inferred from the signer's code. A scheme is a branch here and
/// nothing anywhere else.
library Signature {
    /// secp256k1: the 64 bytes `r ‖ vs` of EIP-2098, `s` in the lower half of the order.
    uint8 internal constant ECDSA = 0;

    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    function isValid(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        if (signature.length == 0) return false;
        if (uint8(signature[0]) == ECDSA) return _isEcdsa(signer, digest, signature);
        return false;
    }

    function _isEcdsa(address signer, bytes32 digest, bytes calldata signature) private pure returns (bool) {
        if (signature.length != 65) return false;
        bytes32 r;
        uint256 vs;
        assembly ("memory-safe") {
            r := calldataload(add(signature.offset, 1))
            vs := calldataload(add(signature.offset, 33))
        }
        uint256 s = vs & uint256(type(int256).max);
        if (s > HALF_ORDER) return false;
        unchecked {
            address recovered = ecrecover(digest, uint8((vs >> 255) + 27), r, bytes32(s));
            return recovered == signer && recovered != address(0);
        }
    }
}
