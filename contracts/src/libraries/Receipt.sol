// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EfficientHashLib} from "solady/src/utils/EfficientHashLib.sol";

/// @title What a batch commits to: the Merkle tree of its receipts
/// @notice `contracts/receipts.py` draws the same tree and proves it. Leaves are tagged and hashed twice, inner nodes
/// hash 64 bytes, so neither passes for the other; and the number of entries, which the commitment binds, says how deep
/// the tree is, so that nothing but a leaf is at a leaf's place.
library Receipt {
    /// @notice What is kept of a batch: its number, its tree's root, and what was minted.
    function commitment(uint256 batch, bytes32 root, bytes32 entriesHash) internal pure returns (bytes32) {
        return EfficientHashLib.hash(bytes32(batch), root, entriesHash);
    }

    /// @notice The depth of a tree of `count` leaves: ceil(log2(count)).
    function depthOf(uint256 count) internal pure returns (uint256 depth) {
        unchecked {
            while (1 << depth < count) ++depth;
        }
    }

    function leaf(uint256 batch, uint256 index, address holder, uint256 amount, bytes32 purchase)
        internal
        view
        returns (bytes32)
    {
        bytes32 facts = keccak256(abi.encode(block.chainid, address(this), batch, index, holder, amount, purchase));
        return keccak256(abi.encodePacked(bytes1(0), facts));
    }

    /// @notice The root that `proof`, the siblings from the leaf upwards, leads to.
    function rootOf(bytes32 node, bytes32[] calldata proof) internal pure returns (bytes32) {
        for (uint256 level; level < proof.length; ++level) {
            bytes32 sibling = proof[level];
            node = node < sibling ? EfficientHashLib.hash(node, sibling) : EfficientHashLib.hash(sibling, node);
        }
        return node;
    }
}
