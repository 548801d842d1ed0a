// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A settlement token for local chains
/// @notice Anybody mints any amount: it stands in for a real stablecoin where nothing is at stake, and nowhere else.
contract SettlementToken is ERC20 {
    constructor() ERC20("Local Dollar", "LUSD") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
