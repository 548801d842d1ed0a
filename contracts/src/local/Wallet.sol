// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title A contract that signs: for tests of ERC-1271, never for the network
/// @notice Approves exactly one signature over any digest; with `trick` it misbehaves instead.
contract Wallet is IERC1271 {
    bytes32 private immutable _approved;
    uint256 private immutable _trick;

    /// @param trick 0 none, 1 burns all gas, 2 returns a bomb, 3 reverts, 4 returns too little, 5 answers `true`
    constructor(bytes32 approved, uint256 trick) {
        _approved = approved;
        _trick = trick;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32, bytes memory signature) external view returns (bytes4) {
        uint256 trick = _trick;
        assembly ("memory-safe") {
            if eq(trick, 1) { for {} 1 {} {} }
            if eq(trick, 2) { return(0, 30000) }
            if eq(trick, 3) { revert(0, 30000) }
            if eq(trick, 4) { return(0, 4) }
            if eq(trick, 5) {
                mstore(0, 1)
                return(0, 32)
            }
        }
        return keccak256(signature) == _approved ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
