// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @dev The part of Permit2 that is used here.
interface ISignatureTransfer {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    function permitTransferFrom(
        PermitTransferFrom memory permit,
        SignatureTransferDetails calldata details,
        address owner,
        bytes calldata signature
    ) external;
}

/// @title Sends for holders who sign and pay no gas, one or many in a transaction
/// @notice By ERC-2612, as a permit and a `transferFrom`, or by Permit2. For measuring only: the recipients are not signed
/// for, so whoever relays could choose them.
contract PermitSender {
    struct Permit {
        address holder;
        address to;
        uint256 amount;
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    struct Permit2 {
        address holder;
        address to;
        uint256 amount;
        uint256 nonce;
        uint256 deadline;
        bytes signature;
    }

    address private immutable _token;
    ISignatureTransfer private immutable _permit2;

    constructor(address token, address permit2) {
        _token = token;
        _permit2 = ISignatureTransfer(permit2);
    }

    function byPermit(Permit[] calldata sends) external {
        for (uint256 index; index < sends.length; ++index) {
            Permit calldata one = sends[index];
            IERC20Permit(_token).permit(one.holder, address(this), one.amount, one.deadline, one.v, one.r, one.s);
            require(IERC20(_token).transferFrom(one.holder, one.to, one.amount));
        }
    }

    function byPermit2(Permit2[] calldata sends) external {
        for (uint256 index; index < sends.length; ++index) {
            Permit2 calldata one = sends[index];
            _permit2.permitTransferFrom(
                ISignatureTransfer.PermitTransferFrom(
                    ISignatureTransfer.TokenPermissions(_token, one.amount), one.nonce, one.deadline
                ),
                ISignatureTransfer.SignatureTransferDetails(one.to, one.amount),
                one.holder,
                one.signature
            );
        }
    }
}
