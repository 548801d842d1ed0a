// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {OwnableRoles} from "solady/src/auth/OwnableRoles.sol";
import {ERC20} from "solady/src/tokens/ERC20.sol";

/// @title What one would write with Solady alone: a role that mints
contract SoladyPoints is ERC20, OwnableRoles {
    uint256 private constant MINTER = _ROLE_0;

    constructor() {
        _grantRoles(msg.sender, MINTER);
    }

    function mint(address to, uint256 amount) external onlyRoles(MINTER) {
        _mint(to, amount);
    }

    function mintBatch(address[] calldata to, uint256[] calldata amounts) external onlyRoles(MINTER) {
        for (uint256 index; index < to.length; ++index) {
            _mint(to[index], amounts[index]);
        }
    }

    function name() public pure override returns (string memory) {
        return "Points";
    }

    function symbol() public pure override returns (string memory) {
        return "PTS";
    }
}
