// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Factory} from "./Factory.sol";
import {Network} from "./Network.sol";
import {Signed} from "./Signed.sol";
import {IExchange} from "./interfaces/IExchange.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {Acts} from "./libraries/Acts.sol";
import {Position} from "./types/Position.sol";
import {Posted} from "./types/Posted.sol";

/// @title The settlement tokens of every account, and who may take them out
/// @dev Invariant: the sum of all margins is what the exchange holds of the settlement token.
abstract contract Margins is Network, Signed {
    /// What every swap reads and writes of a programme; others have a position only.
    struct Member {
        Position position;
        Posted posted;
    }

    struct Withdrawal {
        address to;
        uint96 amount;
        uint40 due;
    }

    struct Payout {
        address current; // 0: the charity's own address
        address next;
        uint40 from; // when `next` takes the place of `current`; 0 if there is none
    }

    uint256 private constant WITHDRAWAL_NOTICE = 7 days;
    uint256 private constant PAYOUT_NOTICE = 14 days;

    address public immutable settlementToken;
    address public immutable factory;

    mapping(address account => Member) internal _members;
    mapping(address programme => Withdrawal) private _withdrawals;
    mapping(address charity => Payout) private _payouts;

    constructor(address settlementToken_) {
        if (settlementToken_ == address(0)) revert ZeroAddress();
        settlementToken = settlementToken_;
        factory = address(new Factory(address(this)));
    }

    /* IN */

    /// @inheritdoc IExchange
    function deposit(address account, uint96 amount) external {
        if (amount == 0) revert ZeroAmount();
        if (account == address(0)) revert ZeroAddress();
        uint256 before = IERC20(settlementToken).balanceOf(address(this));
        SafeERC20.safeTransferFrom(IERC20(settlementToken), msg.sender, address(this), amount);
        uint256 received = IERC20(settlementToken).balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedDeposit(amount, received);
        Member storage member = _members[account];
        member.position = member.position.credited(amount);
        emit Deposited(account, msg.sender, amount);
    }

    /* OUT */

    /// @inheritdoc IExchange
    function withdraw(address account, address to, uint96 amount, uint64 nonce, bytes calldata signature) external {
        if (amount == 0) revert ZeroAmount();
        if (to == address(0)) revert ZeroAddress();
        bool isProgramme = _isProgramme(account);
        address signer = isProgramme ? IPoints(account).owner() : account;
        _authorise(account, signer, Acts.withdraw(account, to, amount, nonce), nonce, signature);
        if (isProgramme) {
            uint256 due = block.timestamp + WITHDRAWAL_NOTICE;
            _withdrawals[account] = Withdrawal({to: to, amount: amount, due: uint40(due)});
            emit WithdrawalAnnounced(account, to, amount, due);
            return;
        }
        if (_members[account].position.isCharity() && to != payoutOf(account)) revert NotPayout(account, to);
        _checkMargin(account, _members[account].position, amount);
        _payOut(account, to, amount);
    }

    /// @inheritdoc IExchange
    function completeWithdrawal(address programme) external {
        Withdrawal memory withdrawal = _withdrawals[programme];
        // 0 marks that nothing is announced.
        // slither-disable-next-line incorrect-equality
        if (withdrawal.due == 0) revert NothingAnnounced(programme);
        if (block.timestamp < withdrawal.due) revert NoticeNotOver(programme, withdrawal.due);
        delete _withdrawals[programme];
        uint256 margin = _members[programme].position.margin();
        uint256 amount = withdrawal.amount < margin ? withdrawal.amount : margin;
        // The margin is ours to count: no transfer to the exchange changes it.
        // slither-disable-next-line incorrect-equality
        if (amount == 0) revert ZeroAmount();
        _payOut(programme, withdrawal.to, amount);
    }

    function _payOut(address account, address to, uint256 amount) private {
        _members[account].position = _members[account].position.debited(amount);
        SafeERC20.safeTransfer(IERC20(settlementToken), to, amount);
        emit Withdrawn(account, to, amount);
    }

    /// @inheritdoc IExchange
    function setPayout(address charity, address payout, uint64 nonce, bytes calldata signature) external {
        if (!_members[charity].position.isCharity()) revert UnknownCharity(charity);
        if (payout == address(0)) revert ZeroAddress();
        _authorise(charity, charity, Acts.payout(charity, payout, nonce), nonce, signature);
        uint256 from = block.timestamp + PAYOUT_NOTICE;
        _payouts[charity] = Payout({current: payoutOf(charity), next: payout, from: uint40(from)});
        emit PayoutSet(charity, payout, from);
    }

    /// @inheritdoc IExchange
    function payoutOf(address charity) public view returns (address) {
        Payout storage payout = _payouts[charity];
        if (payout.from != 0 && block.timestamp >= payout.from) return payout.next;
        return payout.current == address(0) ? charity : payout.current;
    }

    /// @dev Lets an act of `account` pass if its owner calls, or signed it, and counts it.
    function _authorise(address account, address signer, bytes32 act, uint64 nonce, bytes calldata signature) internal {
        Member storage member = _members[account];
        Position position = member.position;
        if (nonce != position.nonce()) revert InvalidNonce(account, nonce);
        bool itself = signature.length == 0 && msg.sender == signer;
        if (!itself && !_isSigned(signer, _digest(act), signature, true)) revert InvalidSignature(signer);
        member.position = position.nextNonce();
    }

    /* FROM ONE TO ANOTHER */

    /// @dev The only way from one margin to others. `value` leaves one, and arrives: `fee` of it at the network's
    /// account, the rest at `payee`. The sum of all margins is therefore what it was.
    /// @param paying the position of the payer `from` as it will be, but for the value that leaves it
    /// @param paid the position of the payee, who is another
    function _move(
        address from,
        Member storage payer,
        Position paying,
        Member storage payee,
        Position paid,
        uint256 value,
        uint256 fee
    ) internal {
        bool same;
        assembly ("memory-safe") {
            same := eq(payer.slot, payee.slot)
        }
        if (same) revert SameAccount(from);
        _checkMargin(from, paying, value);
        payer.position = paying.debited(value);
        unchecked {
            payee.position = paid.credited(value - fee); // a fee is a part of its value
        }
        if (fee > 0) {
            Member storage network = _members[_feeAccount]; // may be either of them: read after they were written
            network.position = network.position.credited(fee);
        }
    }

    /// @dev `position` with `value` counted as leaving today, if the daily `cap` has room for it.
    function _counted(address account, Position position, uint256 cap, uint256 value) internal view returns (Position) {
        uint256 today = block.timestamp / 1 days;
        uint256 before = position.spent(today);
        unchecked {
            uint256 spent = before + value; // 88 and 160 bits
            if (spent > cap) revert DailyCapExceeded(account, cap > before ? cap - before : 0, value);
            return position.withSpent(spent, today);
        }
    }

    function _checkMargin(address account, Position position, uint256 value) internal pure {
        if (value > position.margin()) revert MarginTooLow(account, position.margin(), value);
    }

    /* VIEWS */

    /// @inheritdoc IExchange
    function marginOf(address account) external view returns (uint256) {
        return _members[account].position.margin();
    }

    /// @inheritdoc IExchange
    function nonceOf(address account) external view returns (uint64) {
        return _members[account].position.nonce();
    }

    /// @inheritdoc IExchange
    function announcedWithdrawal(address programme) external view returns (address to, uint96 amount, uint40 due) {
        Withdrawal storage withdrawal = _withdrawals[programme];
        return (withdrawal.to, withdrawal.amount, withdrawal.due);
    }

    function _programmeOwner(address programme) internal view returns (address) {
        if (!_isProgramme(programme)) revert UnknownProgramme(programme);
        return IPoints(programme).owner();
    }

    function _isProgramme(address account) internal view returns (bool) {
        return Factory(factory).isProgramme(account);
    }
}
