// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Receipt} from "../../src/libraries/Receipt.sol";
import {Test} from "../Forge.sol";
import {Tree} from "../invariant/Tree.sol";

/// @title Receipts are proved beside a plain tree
contract ReceiptTest is Test {
    function rootOf(bytes32 leaf, bytes32[] calldata proof) external pure returns (bytes32) {
        return Receipt.rootOf(leaf, proof);
    }

    function test_theDepthIsThatOfTheSmallestTree() external pure {
        uint8[9] memory depths = [0, 1, 2, 2, 3, 3, 3, 3, 4];
        for (uint256 place; place < depths.length; ++place) {
            assertEq(Receipt.depthOf(place + 1), depths[place], "depth");
        }
    }

    function testFuzz_theDepthIsThatOfTheSmallestTree(uint128 count) external pure {
        uint256 least = within(count, 1, type(uint128).max);
        uint256 depth = Receipt.depthOf(least);
        assertTrue(2 ** depth >= least, "large enough");
        assertTrue(depth == 0 || 2 ** (depth - 1) < least, "no larger");
    }

    function testFuzz_everyReceiptIsProvedAndNothingElse(uint256 seed, uint256 count, uint256 index) external view {
        bytes32[] memory leaves = new bytes32[](within(count, 1, 33));
        for (uint256 place; place < leaves.length; ++place) {
            leaves[place] = keccak256(abi.encode(seed, place));
        }
        index = within(index, 0, leaves.length - 1);
        bytes32[] memory proof = Tree.proof(leaves, index);
        assertEq(proof.length, Receipt.depthOf(leaves.length), "a proof is as long as the tree is deep");
        assertEq(this.rootOf(leaves[index], proof), Tree.root(leaves), "proved");
        assertTrue(this.rootOf(~leaves[index], proof) != Tree.root(leaves), "another leaf is not");
    }

    function testFuzz_aLeafSaysEverything(uint32 batch, uint32 index, address holder, uint96 amount, bytes32 purchase)
        external
        view
    {
        bytes32 leaf = Receipt.leaf(batch, index, holder, amount, purchase);
        assertEq(leaf, Tree.leaf(address(this), batch, index, holder, amount, purchase), "leaf");
        bytes32 kept = keccak256(abi.encode(uint256(batch), leaf, purchase));
        assertEq(Receipt.commitment(batch, leaf, purchase), kept, "what is kept of a batch");
    }
}
