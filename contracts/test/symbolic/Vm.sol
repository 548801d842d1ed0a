// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The cheat codes that proofs need, of those that halmos and forge have in common
interface Vm {
    /// @notice Looks no further at inputs for which `condition` does not hold.
    function assume(bool condition) external pure;
    function warp(uint256 timestamp) external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
