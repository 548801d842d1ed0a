// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The tree of a batch's receipts, as the merchant draws it: `contracts/receipts.py` in Solidity
library Tree {
    function leaf(address token, uint256 batch, uint256 index, address holder, uint256 amount, bytes32 purchase)
        internal
        view
        returns (bytes32)
    {
        bytes32 facts = keccak256(abi.encode(block.chainid, token, batch, index, holder, amount, purchase));
        return keccak256(bytes.concat(bytes1(0), facts));
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32[] memory level = _filled(leaves);
        while (level.length > 1) level = _above(level);
        return level[0];
    }

    /// @return siblings from leaf `index` up to the root
    function proof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory siblings) {
        bytes32[] memory level = _filled(leaves);
        uint256 depth;
        while (1 << depth < level.length) ++depth;
        siblings = new bytes32[](depth);
        for (uint256 step; step < depth; ++step) {
            siblings[step] = level[index ^ 1];
            level = _above(level);
            index /= 2;
        }
    }

    /// @dev Filled up with zero words to a power of two.
    function _filled(bytes32[] memory leaves) private pure returns (bytes32[] memory level) {
        uint256 size = 1;
        while (size < leaves.length) size *= 2;
        level = new bytes32[](size);
        for (uint256 place; place < leaves.length; ++place) {
            level[place] = leaves[place];
        }
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[](level.length / 2);
        for (uint256 place; place < above.length; ++place) {
            (bytes32 one, bytes32 other) = (level[2 * place], level[2 * place + 1]);
            above[place] = one < other ? keccak256(bytes.concat(one, other)) : keccak256(bytes.concat(other, one));
        }
    }
}
