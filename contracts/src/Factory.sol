// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {LibString} from "solady/src/utils/LibString.sol";

import {Points} from "./Points.sol";
import {IFactory} from "./interfaces/IFactory.sol";
import {IPoints} from "./interfaces/IPoints.sol";

/// @title The factory, as `IFactory` describes it
contract Factory is IFactory {
    address public immutable exchange;

    mapping(address account => bool) public isProgramme;

    /// @param exchange_ which every programme made here will trust with swaps and gifts
    constructor(address exchange_) {
        // Its maker is the exchange, which gives its own address.
        // slither-disable-next-line missing-zero-check
        exchange = exchange_;
    }

    /// @inheritdoc IFactory
    function create(
        bytes32 name,
        bytes32 symbol,
        IPoints.Roles calldata roles,
        IPoints.Limits calldata limits,
        IPoints.Terms calldata terms,
        bytes32 salt
    ) external returns (address programme) {
        if (!_isName(name) || !_isName(symbol)) revert InvalidName();
        bytes memory code = _initCode(name, symbol, roles, limits, terms);
        programme = Create2.computeAddress(salt, keccak256(code));
        if (isProgramme[programme]) revert AlreadyCreated(programme);
        isProgramme[programme] = true;
        // It is deployed at the address computed above, or reverts.
        // slither-disable-next-line unused-return
        Create2.deploy(0, salt, code);
        emit ProgrammeCreated(programme, roles.owner, roles.issuer, name, symbol, terms.life, terms.verifiedAbove);
    }

    /// @inheritdoc IFactory
    function addressOf(
        bytes32 name,
        bytes32 symbol,
        IPoints.Roles calldata roles,
        IPoints.Limits calldata limits,
        IPoints.Terms calldata terms,
        bytes32 salt
    ) external view returns (address programme) {
        return Create2.computeAddress(salt, keccak256(_initCode(name, symbol, roles, limits, terms)));
    }

    /// @dev The address commits to every parameter because the parameters are part of the code that it is hashed from.
    function _initCode(
        bytes32 name,
        bytes32 symbol,
        IPoints.Roles calldata roles,
        IPoints.Limits calldata limits,
        IPoints.Terms calldata terms
    ) private view returns (bytes memory) {
        return abi.encodePacked(type(Points).creationCode, abi.encode(name, symbol, roles, limits, terms, exchange));
    }

    /// @dev Not empty, nothing after the first zero byte, and a zero byte at the end: so at most 31 bytes.
    function _isName(bytes32 name) private pure returns (bool) {
        return name != 0 && uint8(uint256(name)) == 0 && LibString.normalizeSmallString(name) == name;
    }
}
