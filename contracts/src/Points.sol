// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {LibString} from "solady/src/utils/LibString.sol";

import {Issuing} from "./Issuing.sol";
import {Signed} from "./Signed.sol";
import {IExchange} from "./interfaces/IExchange.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {Acts} from "./libraries/Acts.sol";
import {Packed} from "./libraries/Packed.sol";
import {Account} from "./types/Account.sol";

/// @title Points, as `IPoints` describes them
/// @dev Balances and expiry are in `Ledger`, minting, refunds and terms in `Issuing`; here is what holders sign, and
/// what may be done for one who lost the key.
contract Points is Issuing {
    struct Recovery {
        address to;
        uint40 due;
    }

    uint256 private constant RECOVERY_NOTICE = 14 days;

    bytes32 private immutable _name;
    bytes32 private immutable _symbol;
    uint96 public immutable verifiedAbove;

    mapping(address holder => Recovery) private _recoveries;

    constructor(
        bytes32 name_,
        bytes32 symbol_,
        Roles memory roles,
        Limits memory limits_,
        Terms memory terms,
        address exchange_
    ) Signed(IExchange(exchange_).rpIdHash()) Issuing(roles, limits_, terms.life, exchange_) {
        _name = name_;
        _symbol = symbol_;
        verifiedAbove = terms.verifiedAbove;
    }

    /* HOLDERS' SIGNED INTENTS */

    /// @inheritdoc IPoints
    function executePacked() external returns (bytes32 intent) {
        uint256 kind = Packed.uintAt(4, 1);
        address holder = Packed.addressAt(5);
        uint96 amount = uint96(Packed.uintAt(25, 12));
        uint40 nonce = uint40(Packed.uintAt(37, 5));
        uint40 deadline = uint40(Packed.uintAt(42, 5));
        if (kind == Packed.SEND) {
            return _send(holder, Packed.addressAt(47), amount, nonce, deadline, msg.data[67:]);
        }
        if (kind == Packed.REDEEM) {
            return _redeem(holder, amount, bytes32(Packed.uintAt(47, 32)), nonce, deadline, msg.data[79:]);
        }
        if (msg.sender != exchange) revert OnlyExchange(msg.sender);
        address counterparty = Packed.addressAt(47);
        // Every branch that does not revert sets both.
        // slither-disable-next-line uninitialized-local
        bytes32 act;
        // slither-disable-next-line uninitialized-local
        bytes calldata signature;
        if (kind == Packed.SWAP) {
            act = Acts.swap(holder, amount, counterparty, uint96(Packed.uintAt(67, 12)), nonce, deadline);
            signature = msg.data[79:];
        } else if (kind == Packed.GIVE) {
            act = Acts.give(holder, amount, counterparty, uint32(Packed.uintAt(67, 4)), nonce, deadline);
            signature = msg.data[71:];
        } else {
            revert UnknownKind(kind);
        }
        intent = _spend(holder, amount, act, nonce, deadline, signature);
        _burned(holder, amount);
    }

    /// @inheritdoc IPoints
    function send(address holder, address to, uint96 amount, uint40 nonce, uint40 deadline, bytes calldata signature)
        external
    {
        _send(holder, to, amount, nonce, deadline, signature);
    }

    function _send(address holder, address to, uint96 amount, uint40 nonce, uint40 deadline, bytes calldata signature)
        private
        returns (bytes32 intent)
    {
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        bytes32 act = Acts.send(holder, to, amount, nonce, deadline);
        intent = _spend(holder, amount, act, nonce, deadline, signature);
        _receive(to, amount);
        emit Transfer(holder, to, amount);
        emit Sent(intent);
    }

    /// @inheritdoc IPoints
    function redeem(
        address holder,
        uint96 amount,
        bytes32 order,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) external {
        _redeem(holder, amount, order, nonce, deadline, signature);
    }

    function _redeem(
        address holder,
        uint96 amount,
        bytes32 order,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) private returns (bytes32 intent) {
        bytes32 act = Acts.redeem(holder, amount, order, nonce, deadline);
        intent = _spend(holder, amount, act, nonce, deadline, signature);
        _burned(holder, amount);
        emit Redeemed(intent, holder, order, amount);
    }

    /// @dev Everything that lets a signed intent lower a balance. What follows only says where the points go.
    function _spend(
        address holder,
        uint256 amount,
        bytes32 act,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) private returns (bytes32 intent) {
        if (amount == 0) revert ZeroAmount();
        Holding storage holding = _holdings[holder];
        Account account;
        (account, intent) = _used(holder, holding.account, act, nonce, deadline, signature, amount > verifiedAbove);
        holding.account = _acted(holder, _debited(holder, account, amount));
    }

    /// @inheritdoc IPoints
    function cancelNonce(uint40 nonce) external {
        Holding storage holding = _holdings[msg.sender];
        (bool fresh, Account account) = holding.account.using_(nonce);
        if (!fresh) revert InvalidNonce(msg.sender, nonce);
        holding.account = _acted(msg.sender, _living(msg.sender, account));
        emit NonceCancelled(msg.sender, nonce);
    }

    /// @inheritdoc IPoints
    function cancel(address holder, uint40 nonce, uint40 deadline, bytes calldata signature) external {
        Holding storage holding = _holdings[holder];
        bytes32 act = Acts.cancel(holder, nonce, deadline);
        (Account account,) = _used(holder, holding.account, act, nonce, deadline, signature, false);
        holding.account = _acted(holder, _living(holder, account));
        emit NonceCancelled(holder, nonce);
    }

    /* LOST KEYS */

    /// @inheritdoc IPoints
    function recover(address holder, address to, uint40 nonce, uint40 deadline, bytes calldata signature) external {
        if (to == address(0) || to == holder) revert ERC20InvalidReceiver(to);
        _authoriseOwner(Acts.recover(holder, to, nonce, deadline), nonce, deadline, signature);
        Holding storage holding = _holdings[holder];
        holding.account = holding.account.withRecovering(true);
        uint256 due = block.timestamp + RECOVERY_NOTICE;
        _recoveries[holder] = Recovery({to: to, due: uint40(due)});
        emit RecoveryStarted(holder, to, due);
    }

    /// @inheritdoc IPoints
    function finishRecovery(address holder) external {
        Holding storage holding = _holdings[holder];
        Recovery memory recovery = _recoveries[holder];
        if (!holding.account.isRecovering()) revert NoRecovery(holder);
        if (block.timestamp < recovery.due) revert RecoveryNotDue(holder, recovery.due);
        Account account = _living(holder, holding.account).withRecovering(false);
        uint256 amount = account.balance();
        holding.account = account.debited(amount);
        _receive(recovery.to, amount);
        emit Transfer(holder, recovery.to, amount);
        emit Recovered(holder, recovery.to, amount);
    }

    /// @inheritdoc IPoints
    function recoveryOf(address holder) external view returns (address to, uint40 due) {
        if (!_holdings[holder].account.isRecovering()) return (address(0), 0);
        Recovery storage recovery = _recoveries[holder];
        return (recovery.to, recovery.due);
    }

    /* WHAT A WALLET SHOWS */

    /// @inheritdoc IERC20Metadata
    function name() external view returns (string memory) {
        return LibString.fromSmallString(_name);
    }

    /// @inheritdoc IERC20Metadata
    function symbol() external view returns (string memory) {
        return LibString.fromSmallString(_symbol);
    }

    /// @inheritdoc IERC20Metadata
    function decimals() external pure returns (uint8) {
        return 2;
    }
}
