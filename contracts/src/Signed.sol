// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Domain} from "./Domain.sol";
import {ISigned} from "./interfaces/ISigned.sol";
import {Passkey} from "./libraries/Passkey.sol";
import {Signature} from "./libraries/Signature.sol";

/// @title Signatures over acts, as `ISigned` describes them
/// @notice A scheme is a branch here and nothing anywhere else.
abstract contract Signed is Domain, ISigned {
    uint8 private constant ECDSA = 0;
    uint8 private constant PASSKEY = 1;
    uint8 private constant CONTRACT = 2;

    bytes32 public immutable rpIdHash;
    bool public immutable hasPasskeys;

    constructor(bytes32 rpIdHash_) {
        rpIdHash = rpIdHash_;
        hasPasskeys = Passkey.isSupported();
    }

    /// @dev Whether `signer` signed what `_digest` gave.
    /// @param verified whether a passkey must have verified who is present
    function _isSigned(address signer, bytes32 digest, bytes calldata signature, bool verified)
        internal
        view
        returns (bool signed)
    {
        uint256 scheme;
        assembly ("memory-safe") {
            scheme := byte(0, calldataload(signature.offset))
        }
        if (scheme == ECDSA) {
            signed = Signature.isEcdsa(signer, digest, signature);
        } else if (signature.length != 0) {
            // The byte was the signature's.
            if (scheme == PASSKEY) {
                signed = hasPasskeys && Passkey.isValid(signer, digest, signature[1:], rpIdHash, verified);
            } else if (scheme == CONTRACT) {
                signed = Signature.isContracts(signer, digest, signature[1:]);
            }
        }
    }
}
