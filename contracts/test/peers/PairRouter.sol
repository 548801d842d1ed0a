// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev The part of Uniswap v2's pair that is used here.
interface IPair {
    function token0() external view returns (address);
    function getReserves() external view returns (uint112 reserve0, uint112 reserve1, uint32 at);
    function swap(uint256 out0, uint256 out1, address to, bytes calldata data) external;
}

/// @title The least that a router does for a Uniswap v2 pair: an exact amount in, at least a minimum out
contract PairRouter {
    error TooLittle(uint256 out);

    function swap(IPair pair, address tokenIn, uint256 amount, uint256 minimum, uint256 deadline) external {
        require(block.timestamp <= deadline);
        bool first = pair.token0() == tokenIn;
        (uint256 reserveIn, uint256 reserveOut,) = pair.getReserves();
        if (!first) (reserveIn, reserveOut) = (reserveOut, reserveIn);
        uint256 paid = amount * 997;
        uint256 out = paid * reserveOut / (reserveIn * 1000 + paid);
        if (out < minimum) revert TooLittle(out);
        require(IERC20(tokenIn).transferFrom(msg.sender, address(pair), amount));
        pair.swap(first ? 0 : out, first ? out : 0, msg.sender, "");
    }
}
