// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IPoints} from "./IPoints.sol";

/// @title Deploys programmes
/// @notice Full code by CREATE2, no clones and no delegatecall. Anyone may create a programme: its address commits to
/// every one of its parameters, so whoever relays the creation can change nothing.
interface IFactory {
    event ProgrammeCreated(
        address indexed programme,
        address indexed owner,
        address indexed issuer,
        bytes32 name,
        bytes32 symbol,
        uint256 life,
        uint256 verifiedAbove
    );

    /// @notice This very programme exists already, at `programme`.
    error AlreadyCreated(address programme);
    /// @notice A name or symbol is empty or not a left-aligned string of at most 31 bytes.
    error InvalidName();

    /// @param name at most 31 bytes of UTF-8, left-aligned; @param symbol likewise
    function create(
        bytes32 name,
        bytes32 symbol,
        IPoints.Roles calldata roles,
        IPoints.Limits calldata limits,
        IPoints.Terms calldata terms,
        bytes32 salt
    ) external returns (address programme);

    /// @notice Where `create` with these parameters deploys.
    function addressOf(
        bytes32 name,
        bytes32 symbol,
        IPoints.Roles calldata roles,
        IPoints.Limits calldata limits,
        IPoints.Terms calldata terms,
        bytes32 salt
    ) external view returns (address programme);

    function isProgramme(address account) external view returns (bool);
    function exchange() external view returns (address);
}
