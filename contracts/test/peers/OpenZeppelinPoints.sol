// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title What one would write with OpenZeppelin alone: a role that mints, permits, and batches of signed sends
contract OpenZeppelinPoints is ERC20Permit, AccessControl {
    struct Send {
        address from;
        address to;
        uint256 amount;
        uint256 deadline;
        bytes signature;
    }

    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    bytes32 private constant SEND_TYPEHASH =
        keccak256("Send(address from,address to,uint256 amount,uint256 nonce,uint256 deadline)");

    error Refused(address signer);

    constructor() ERC20("Points", "PTS") ERC20Permit("Points") {
        _grantRole(MINTER_ROLE, msg.sender);
    }

    function mint(address to, uint256 amount) external onlyRole(MINTER_ROLE) {
        _mint(to, amount);
    }

    function mintBatch(address[] calldata to, uint256[] calldata amounts) external onlyRole(MINTER_ROLE) {
        for (uint256 index; index < to.length; ++index) {
            _mint(to[index], amounts[index]);
        }
    }

    function sendBatch(Send[] calldata sends) external {
        for (uint256 index; index < sends.length; ++index) {
            Send calldata one = sends[index];
            bytes32 structHash =
                keccak256(abi.encode(SEND_TYPEHASH, one.from, one.to, one.amount, _useNonce(one.from), one.deadline));
            address signer = ECDSA.recover(_hashTypedDataV4(structHash), one.signature);
            if (signer != one.from || block.timestamp > one.deadline) revert Refused(signer);
            _transfer(one.from, one.to, one.amount);
        }
    }
}
