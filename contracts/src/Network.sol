// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IExchange} from "./interfaces/IExchange.sol";
import {Pause} from "./libraries/Pause.sol";

/// @title What the network's owner and guardian may do: a bounded fee, a bounded pause, and their own succession
abstract contract Network is IExchange {
    uint256 internal constant BPS = 10_000;

    uint16 public immutable MAX_FEE_BPS;

    address public owner;
    address public guardian;
    address internal _feeAccount;
    uint16 internal _feeBps;
    uint40 internal _pausedUntil;

    modifier onlyOwner() {
        if (msg.sender != owner) revert OnlyOwner(msg.sender);
        _;
    }

    constructor(address owner_, uint16 maxFeeBps) {
        if (owner_ == address(0)) revert ZeroAddress();
        if (maxFeeBps > BPS) revert FeeTooHigh(maxFeeBps, BPS);
        MAX_FEE_BPS = maxFeeBps;
        owner = owner_;
        emit OwnershipTransferred(address(0), owner_);
    }

    /// @inheritdoc IExchange
    function setFee(uint16 feeBps, address account) external onlyOwner {
        if (feeBps > MAX_FEE_BPS) revert FeeTooHigh(feeBps, MAX_FEE_BPS);
        if (feeBps > 0 && account == address(0)) revert ZeroAddress();
        _feeBps = feeBps;
        _feeAccount = account;
        emit FeeSet(feeBps, account);
    }

    /// @inheritdoc IExchange
    function transferOwnership(address to) external onlyOwner {
        if (to == address(0)) revert ZeroAddress();
        owner = to;
        emit OwnershipTransferred(msg.sender, to);
    }

    /// @inheritdoc IExchange
    function setGuardian(address account) external onlyOwner {
        // 0 is how an owner does without a guardian.
        // slither-disable-next-line missing-zero-check
        guardian = account;
        emit GuardianSet(account);
    }

    /// @inheritdoc IExchange
    function pause() external {
        if (msg.sender != guardian) revert OnlyGuardian(msg.sender);
        _pausedUntil = Pause.begun(_pausedUntil);
        emit PauseSet(_pausedUntil);
    }

    /// @inheritdoc IExchange
    function unpause() external {
        if (msg.sender != guardian && msg.sender != owner) revert OnlyGuardian(msg.sender);
        _pausedUntil = Pause.ended(_pausedUntil);
        emit PauseSet(_pausedUntil);
    }

    /// @inheritdoc IExchange
    function pausedUntil() external view returns (uint40) {
        return _pausedUntil;
    }
}
