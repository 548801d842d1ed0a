// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Base64} from "solady/src/utils/Base64.sol";

/// @title WebAuthn assertions by P-256 keys
/// @notice A passkey's holder is an address that commits to the key: no deployment, no registry, no storage.
///
/// Checked: the holder is the key's, the challenge is the digest, the type is `webauthn.get`, the relying party is ours,
/// somebody was present, and, where asked for, was verified (PIN, finger, face).
/// Not checked: the origin, which browsers let only the relying party's own pages have; the signature counter, for
/// replay is the nonce's business; whether `s` is low, for the same reason, and because half of all passkeys make high ones.
///
/// Of the client data only the start that the standard prescribes is rebuilt. What follows is carried along, because
/// browsers vary it on purpose; it cannot hold another challenge, for the start is fixed and is signed.
library Passkey {
    bytes32 private constant TAG = keccak256("points-exchange P-256 holder");
    string private constant CLIENT_DATA = '{"type":"webauthn.get","challenge":"';
    uint256 private constant PRECOMPILE = 0x100;
    uint8 private constant PRESENT = 0x01;
    uint8 private constant VERIFIED = 0x04;

    /// @notice The address of the holder with this public key. The tag keeps it apart from every other derivation.
    function holderOf(bytes32 x, bytes32 y) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(TAG, x, y)))));
    }

    /// @param assertion r, 32 bytes | s, 32 | x, 32 | y, 32 | flags, 1 | counter, 4 | the client data behind the challenge's
    /// closing quotation mark
    /// @param verified whether presence is not enough
    function isValid(address signer, bytes32 digest, bytes calldata assertion, bytes32 rpIdHash, bool verified)
        internal
        view
        returns (bool)
    {
        if (assertion.length < 133) return false;
        bytes32 x = bytes32(assertion[64:96]);
        bytes32 y = bytes32(assertion[96:128]);
        uint8 flags = uint8(assertion[128]);
        if (holderOf(x, y) != signer || flags & PRESENT == 0) return false;
        if (verified && flags & VERIFIED == 0) return false;
        string memory challenge = Base64.encode(abi.encodePacked(digest), true, true);
        bytes32 clientDataHash = sha256(abi.encodePacked(CLIENT_DATA, challenge, '"', assertion[133:]));
        bytes32 message = sha256(abi.encodePacked(rpIdHash, assertion[128:133], clientDataHash));
        return _isSignature(message, bytes32(assertion[:32]), bytes32(assertion[32:64]), x, y);
    }

    /// @notice Whether this chain has the precompile of EIP-7951 (and RIP-7212): it answers nothing both to a wrong
    /// signature and where it is missing, so it is asked about a right one (of the Wycheproof project).
    function isSupported() internal view returns (bool) {
        return _isSignature(
            0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023,
            bytes32(uint256(5)),
            bytes32(uint256(1)),
            0xa71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957,
            0x5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b
        );
    }

    function _isSignature(bytes32 message, bytes32 r, bytes32 s, bytes32 x, bytes32 y) private view returns (bool) {
        (bool success, bytes memory answer) = address(uint160(PRECOMPILE)).staticcall(abi.encode(message, r, s, x, y));
        return success && answer.length == 32 && uint256(bytes32(answer)) == 1;
    }
}
