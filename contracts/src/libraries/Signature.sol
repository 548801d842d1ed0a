// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "solady/src/utils/ECDSA.sol";

/// @title Signatures by keys of secp256k1 and by contracts
library Signature {
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    /// Enough for a nested multisignature wallet with passkeys.
    uint256 private constant CONTRACT_GAS = 250_000;

    /// @param signature the scheme's byte, then `r ‖ vs` of EIP-2098, `s` in the lower half of the order
    function isEcdsa(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool valid) {
        bytes32 r;
        bytes32 vs;
        assembly ("memory-safe") {
            r := calldataload(add(signature.offset, 1))
            vs := calldataload(add(signature.offset, 33))
        }
        address recovered = ECDSA.tryRecover(digest, r, vs);
        // Four conditions without a branch: every intent comes by here.
        assembly ("memory-safe") {
            let isWhole := eq(signature.length, 65)
            let isLow := iszero(gt(shr(1, shl(1, vs)), HALF_ORDER))
            valid := and(and(isWhole, isLow), and(eq(recovered, signer), iszero(iszero(recovered))))
        }
    }

    /// @notice Asks the signer's contract (ERC-1271). Hostile ones are harmless: they get no more gas than they may
    /// use, cannot change anything, and no more than one word of their answer is copied. One that is called with too
    /// little gas by whoever relays only makes the intent fail, which changes nothing.
    function isContracts(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 answer;
        assembly ("memory-safe") {
            let success := staticcall(CONTRACT_GAS, signer, add(question, 0x20), mload(question), 0, 0x20)
            if and(success, gt(returndatasize(), 0x1f)) { answer := mload(0) }
        }
        return answer == bytes32(IERC1271.isValidSignature.selector);
    }
}
