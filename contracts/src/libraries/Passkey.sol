// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EfficientHashLib} from "solady/src/utils/EfficientHashLib.sol";

import {Base64Url} from "./Base64Url.sol";

/// @title WebAuthn assertions by P-256 keys
/// @notice A passkey's holder is an address that commits to the key: no deployment, no registry, no storage.
///
/// Checked: the holder is the key's, the challenge is the digest, the type is `webauthn.get`, the relying party is
/// ours, somebody was present, and, where asked for, was verified (PIN, finger, face).
/// Not checked: the origin, which browsers let only the relying party's own pages have; the signature counter, for
/// replay is the nonce's business; whether `s` is low, for the same reason, and because half of all passkeys make high
/// ones.
///
/// Of the client data only the start that the standard prescribes is rebuilt. What follows is carried along, because
/// browsers vary it on purpose; it cannot hold another challenge, for the start is fixed and is signed.
library Passkey {
    bytes32 private constant TAG = keccak256("points-exchange P-256 holder");
    uint8 private constant PRESENT = 0x01;
    uint8 private constant VERIFIED = 0x04;
    /// Bytes of an assertion before the client data.
    uint256 private constant HEAD = 133;

    /// @param assertion r, 32 bytes | s, 32 | x, 32 | y, 32 | flags, 1 | counter, 4 | the client data behind the
    /// challenge's closing quotation mark
    /// @param verified whether presence is not enough
    function isValid(address signer, bytes32 digest, bytes calldata assertion, bytes32 rpIdHash, bool verified)
        internal
        view
        returns (bool)
    {
        if (assertion.length < HEAD || _holder(assertion) != signer) return false;
        uint8 flags = uint8(assertion[128]);
        if (flags & PRESENT == 0 || (verified && flags & VERIFIED == 0)) return false;
        return _isSignature(_message(rpIdHash, assertion, _clientDataHash(digest, assertion)), assertion);
    }

    /// @notice Whether this chain has the precompile of EIP-7951 (and RIP-7212): it answers nothing both to a wrong
    /// signature and where it is missing, so it is asked about a right one (of the Wycheproof project).
    function isSupported() internal view returns (bool) {
        bytes memory question = abi.encode(
            0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023,
            uint256(5),
            uint256(1),
            0xa71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957,
            0x5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b
        );
        (bool success, bytes memory answer) = address(0x100).staticcall(question);
        return success && answer.length == 32 && uint256(bytes32(answer)) == 1;
    }

    /// @dev The address that commits to the assertion's key; the tag keeps it apart from every other derivation.
    function _holder(bytes calldata assertion) private pure returns (address) {
        bytes32 x;
        bytes32 y;
        assembly ("memory-safe") {
            x := calldataload(add(assertion.offset, 64))
            y := calldataload(add(assertion.offset, 96))
        }
        return address(uint160(uint256(EfficientHashLib.hash(TAG, x, y))));
    }

    /// @dev SHA-256 of `{"type":"webauthn.get","challenge":"` ‖ the digest in base64url, 43 characters ‖ `"` ‖ the
    /// rest.
    function _clientDataHash(bytes32 digest, bytes calldata assertion) private view returns (bytes32 hash) {
        (bytes32 head, bytes32 tail) = Base64Url.encode(digest);
        assembly ("memory-safe") {
            let data := mload(0x40)
            let rest := sub(assertion.length, HEAD)
            mstore(data, '{"type":"webauthn.get","challeng')
            mstore(add(data, 32), 'e":"')
            mstore(add(data, 36), head)
            mstore(add(data, 68), tail)
            mstore8(add(data, 79), 0x22)
            calldatacopy(add(data, 80), add(assertion.offset, HEAD), rest)
            // It fails only for want of gas, and the caller then has none left either.
            pop(staticcall(gas(), 2, data, add(80, rest), 0, 32))
            hash := mload(0)
        }
    }

    /// @dev What an authenticator signs: SHA-256 of its data, which are relying party ‖ flags ‖ counter, ‖ the client
    /// data's.
    function _message(bytes32 rpIdHash, bytes calldata assertion, bytes32 clientDataHash)
        private
        view
        returns (bytes32 message)
    {
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, rpIdHash)
            calldatacopy(add(data, 32), add(assertion.offset, 128), 5)
            mstore(add(data, 37), clientDataHash)
            pop(staticcall(gas(), 2, data, 69, 0, 32))
            message := mload(0)
        }
    }

    /// @dev The precompile wants message ‖ r ‖ s ‖ x ‖ y, and the assertion begins with these four.
    function _isSignature(bytes32 message, bytes calldata assertion) private view returns (bool valid) {
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, message)
            calldatacopy(add(data, 32), assertion.offset, 128)
            mstore(0, 0) // it answers nothing to a wrong signature
            pop(staticcall(gas(), 0x100, data, 160, 0, 32))
            valid := eq(mload(0), 1)
        }
    }
}
