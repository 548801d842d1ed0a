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
    bytes32 private constant CANCEL = keccak256("Cancel(address holder,uint40 nonce,uint40 deadline)");
    bytes32 private constant CLAWBACK =
        keccak256("Clawback(uint32 batch,uint32 index,bytes32 purchase,uint96 taken)");
    bytes32 private constant LIMITS =
        keccak256("Limits(uint96 supplyCap,uint96 entryCap,uint96 bucket,uint96 refill,uint40 nonce,uint40 deadline)");
    bytes32 private constant LIFE = keccak256("Life(uint16 life,uint40 nonce,uint40 deadline)");
    bytes32 private constant RECOVER =
        keccak256("Recover(address holder,address to,uint40 nonce,uint40 deadline)");
    bytes32 private constant QUOTE =
        keccak256("Quote(address programme,uint64 bid,uint64 ask,uint40 until,uint88 cap,uint64 nonce)");
    bytes32 private constant PARTNER =
        keccak256("Partner(address programme,address partner,bool allowed,uint64 nonce)");
    bytes32 private constant PAYOUT = keccak256("Payout(address charity,address payout,uint64 nonce)");
    bytes32 private constant MATCH =
        keccak256("Match(address sponsor,uint32 campaign,uint32 ratio,uint96 pool,uint40 until,uint64 nonce)");
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

    function cancel(address holder, uint40 nonce, uint40 deadline) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(CANCEL), uint160(holder), nonce, deadline);
    }

    function clawback(uint32 batch, uint32 index, bytes32 purchase, uint96 taken) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(CLAWBACK), batch, index, uint256(purchase), taken);
    }

    function limits(uint96 supplyCap, uint96 entryCap, uint96 bucket, uint96 refill, uint40 nonce, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return EfficientHashLib.hash(uint256(LIMITS), supplyCap, entryCap, bucket, refill, nonce, deadline);
    }

    function life(uint16 life_, uint40 nonce, uint40 deadline) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(LIFE), life_, nonce, deadline);
    }

    function recover(address holder, address to, uint40 nonce, uint40 deadline) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(RECOVER), uint160(holder), uint160(to), nonce, deadline);
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

    function payout(address charity, address payout_, uint64 nonce) internal pure returns (bytes32) {
        return EfficientHashLib.hash(uint256(PAYOUT), uint160(charity), uint160(payout_), nonce);
    }

    function match_(address sponsor, uint32 campaign, uint32 ratio, uint96 pool, uint40 until, uint64 nonce)
        internal
        pure
        returns (bytes32)
    {
        return EfficientHashLib.hash(uint256(MATCH), uint160(sponsor), campaign, ratio, pool, until, nonce);
    }
}
