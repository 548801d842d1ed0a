// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title The EIP-712 domain of a contract that checks signatures
/// @notice The separator is kept, and computed anew if the chain's number changed: no signature survives a fork.
abstract contract Domain is IERC5267 {
    string private constant NAME = "points-exchange";
    string private constant VERSION = "1";
    bytes32 private constant TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    uint256 private immutable _chainId;
    bytes32 private immutable _separator;

    constructor() {
        _chainId = block.chainid;
        _separator = _computeSeparator();
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        // 0x0f: name, version, chain and contract are the fields in use.
        return (hex"0f", NAME, VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    /// @dev What is signed for the act with struct hash `act`.
    function _digest(bytes32 act) internal view returns (bytes32) {
        bytes32 separator = block.chainid == _chainId ? _separator : _computeSeparator();
        return MessageHashUtils.toTypedDataHash(separator, act);
    }

    function _computeSeparator() private view returns (bytes32) {
        return
            keccak256(abi.encode(TYPE, keccak256(bytes(NAME)), keccak256(bytes(VERSION)), block.chainid, address(this)));
    }
}
