// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

/// @title A contract that checks signatures
/// @notice A signature begins with a scheme byte, which is never inferred from the signer's code:
///
///     0x00  ECDSA over secp256k1: `r ‖ vs` of EIP-2098, 64 bytes, low `s` only
///     0x01  WebAuthn by a P-256 key: r, 32 bytes | s, 32 | x, 32 | y, 32 | flags, 1 | counter, 4 | what follows the
///           challenge's closing quotation mark in the client data. The signer is the address made of the last 20 bytes of
///           keccak256(keccak256("points-exchange P-256 holder") ‖ x ‖ y). Either `s` is accepted.
///     0x02  ERC-1271: what the signer's contract is asked about; it gets 250,000 gas at most
///
/// Every scheme signs the same EIP-712 digest, which is the challenge of WebAuthn, in the domain
/// `{name: "points-exchange", version: "1", chainId, verifyingContract: the contract}`.
interface ISigned is IERC5267 {
    /// @notice SHA-256 of the domain whose passkeys are accepted (WebAuthn's relying party), the same for all our contracts.
    function rpIdHash() external view returns (bytes32);

    /// @notice Whether this chain could check passkeys when the contract was made; if not, none is ever accepted.
    function hasPasskeys() external view returns (bool);
}
