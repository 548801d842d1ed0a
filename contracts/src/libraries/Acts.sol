// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EfficientHashLib} from "solady/src/utils/EfficientHashLib.sol";

/// @title EIP-712 struct hashes of every signed act
/// @notice The type strings are those in `IPoints` and `IExchange`; `contracts/eip712.py` computes the same hashes.
library Acts {
    bytes32 private constant MINT = keccak256("Mint(uint32 batch,bytes32 receiptsRoot,bytes32 entriesHash)");
    bytes32 private constant SEND =
        keccak256("Send(address holder,address to,uint96 amount,uint40 nonce,uint40 deadline)");
    bytes32 private constant REDEEM =
        keccak256("Redeem(address holder,uint96 amount,bytes32 order,uint40 nonce,uint40 deadline)");
    bytes32 private constant SWAP =
        keccak256("Swap(address holder,uint96 amount,address into,uint96 minimum,uint40 nonce,uint40 deadline)");
    bytes32 private constant GIVE =
        keccak256("Give(address holder,uint96 amount,address charity,uint32 campaign,uint40 nonce,uint40 deadline)");
    bytes32 private constant QUOTE =
        keccak256("Quote(address programme,uint64 bid,uint64 ask,uint40 until,uint88 cap,uint64 nonce)");
    bytes32 private constant PARTNER =
        keccak256("Partner(address programme,address partner,bool allowed,uint64 nonce)");
    bytes32 private constant WITHDRAW = keccak256("Withdraw(address account,address to,uint96 amount,uint64 nonce)");

    function mint(uint32 batch, bytes32 receiptsRoot, bytes32 entriesHash) internal pure returns (bytes32) {
        return EfficientHashLib.hash(MINT, bytes32(uint256(batch)), receiptsRoot, entriesHash);
    }

    function send(address holder, address to, uint96 amount, uint40 nonce, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return EfficientHashLib.hash(uint256(SEND), uint160(holder), uint160(to), amount, nonce, deadline);
    }

    function redeem(address holder, uint96 amount, bytes32 order, uint40 nonce, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return EfficientHashLib.hash(uint256(REDEEM), uint160(holder), amount, uint256(order), nonce, deadline);
    }

    function swap(address holder, uint96 amount, address into, uint96 minimum, uint40 nonce, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return EfficientHashLib.hash(uint256(SWAP), uint160(holder), amount, uint160(into), minimum, nonce, deadline);
    }

    function give(address holder, uint96 amount, address charity, uint32 campaign, uint40 nonce, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return
            EfficientHashLib.hash(uint256(GIVE), uint160(holder), amount, uint160(charity), campaign, nonce, deadline);
    }

    function quote(address programme, uint64 bid, uint64 ask, uint40 until, uint88 cap, uint64 nonce)
        internal
        pure
        returns (bytes32)
    {
        return EfficientHashLib.hash(uint256(QUOTE), uint160(programme), bid, ask, until, cap, nonce);
    }

    function partner(address programme, address partner_, bool allowed, uint64 nonce) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(PARTNER), uint160(programme), uint160(partner_), allowed ? 1 : 0, nonce);
    }

    function withdraw(address account, address to, uint96 amount, uint64 nonce) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(WITHDRAW), uint160(account), uint160(to), amount, nonce);
    }
}
