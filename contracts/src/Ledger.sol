// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {Signed} from "./Signed.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {Account} from "./types/Account.sol";
import {Issuance} from "./types/Issuance.sol";

/// @title Who holds how many points, and until when: `IPoints` without its signatures and its issuer
/// @dev Invariant: the supply is the sum of all accounts' balances, expired or not.
abstract contract Ledger is IPoints, IERC20Errors, Signed {
    struct Holding {
        Account account;
    }

    /// The programme's bounds, with its `life` in days: what every act reads comes first.
    struct Bounds {
        uint96 supplyCap;
        uint96 entryCap;
        uint16 life;
        uint40 loosenedAt; // when the loosened limits come into force; 0 if there are none
        uint96 bucket;
        uint96 refill;
        uint40 pausedUntil; // of minting
    }

    /// The life at creation. Life only grows: what is alive by this one is alive, and storage need not be asked.
    uint16 private immutable _firstLife;

    Issuance internal _issuance;
    Bounds internal _bounds;
    mapping(address holder => Holding) internal _holdings;
    mapping(address holder => mapping(address spender => uint256)) private _allowances;

    constructor(uint16 life_) {
        if (life_ == 0) revert InvalidLife(0, 0);
        _firstLife = life_;
        _bounds.life = life_;
    }

    /* ERC-20, FOR HOLDERS WHO PAY THEIR OWN GAS */

    /// @inheritdoc IERC20
    function transfer(address to, uint256 value) external returns (bool) {
        Holding storage holding = _holdings[msg.sender];
        Account account = _debited(msg.sender, holding.account, value);
        holding.account = _acted(msg.sender, account);
        _moved(msg.sender, to, value);
        return true;
    }

    /// @inheritdoc IERC20
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        if (from == address(0)) revert ERC20InvalidSender(from);
        uint256 allowed = _allowances[from][msg.sender];
        if (allowed != type(uint256).max) {
            if (value > allowed) revert ERC20InsufficientAllowance(msg.sender, allowed, value);
            unchecked {
                _allowances[from][msg.sender] = allowed - value;
            }
        }
        Holding storage holding = _holdings[from];
        holding.account = _debited(from, holding.account, value);
        _moved(from, to, value);
        return true;
    }

    /// @inheritdoc IERC20
    function approve(address spender, uint256 value) external returns (bool) {
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        Holding storage holding = _holdings[msg.sender];
        holding.account = _acted(msg.sender, _living(msg.sender, holding.account));
        _allowances[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function _moved(address from, address to, uint256 amount) private {
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        _receive(to, amount);
        emit Transfer(from, to, amount);
    }

    /* EXPIRY */

    /// @inheritdoc IPoints
    function sweep(address[] calldata holders) external {
        for (uint256 index; index < holders.length; ++index) {
            Holding storage holding = _holdings[holders[index]];
            Account account = holding.account;
            if (_isExpired(account)) holding.account = _living(holders[index], account);
        }
    }

    /// @dev Whether the account's points may have expired: they have, unless there are none or life was extended. The
    /// common case is told from the account's own word.
    function _isOld(Account account) internal view returns (bool) {
        unchecked {
            return account.day() + _firstLife < _today(); // 16 bits each
        }
    }

    /// @dev `_isOld` for many: who was active on this day or later is not.
    function _surelyAlive() internal view returns (uint256) {
        uint256 today = _today();
        unchecked {
            return today > _firstLife ? today - _firstLife : 0;
        }
    }

    function _isExpired(Account account) private view returns (bool) {
        return _isOld(account) && account.balance() != 0 && account.day() + _bounds.life < _today();
    }

    /// @dev An old account without what has expired. Every way to a balance leads through `_isOld` and here.
    function _living(address holder, Account account) internal returns (Account) {
        if (!_isExpired(account)) return account;
        uint256 dead = account.balance();
        _burned(holder, dead);
        emit Expired(holder, dead);
        return account.debited(dead);
    }

    /* BALANCES */

    /// @dev The account with `amount` less, if it has that much.
    function _debited(address holder, Account account, uint256 amount) internal returns (Account) {
        if (_isOld(account)) account = _living(holder, account);
        uint256 balance = account.balance();
        if (amount > balance) revert ERC20InsufficientBalance(holder, balance, amount);
        return account.debited(amount);
    }

    /// @dev The holder itself acts, by signature or transaction: the account lives on, and nobody recovers it.
    function _acted(address holder, Account account) internal returns (Account) {
        if (account.isRecovering()) {
            account = account.withRecovering(false);
            emit RecoveryCancelled(holder);
        }
        return account.active(_today());
    }

    /// @dev Receiving is no activity, or dust would keep every account alive; but an empty account starts its life.
    function _receive(address holder, uint256 amount) internal {
        Holding storage holding = _holdings[holder];
        Account account = holding.account;
        bool begins = account.balance() == 0;
        if (!begins && _isOld(account)) {
            account = _living(holder, account);
            begins = account.balance() == 0;
        }
        if (begins) account = account.active(_today());
        holding.account = account.credited(amount);
    }

    /// @dev The points have left the holder's account: takes them out of the supply.
    function _burned(address holder, uint256 amount) internal {
        _issuance = _issuance.debited(amount);
        emit Transfer(holder, address(0), amount);
    }

    function _today() internal view returns (uint256) {
        return block.timestamp / 1 days;
    }

    /* VIEWS */

    /// @inheritdoc IERC20
    function totalSupply() external view returns (uint256) {
        return _issuance.supply();
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) external view returns (uint256) {
        Account word = _holdings[account].account;
        return _isExpired(word) ? 0 : word.balance();
    }

    /// @inheritdoc IERC20
    function allowance(address holder, address spender) external view returns (uint256) {
        return _allowances[holder][spender];
    }

    /// @inheritdoc IPoints
    function life() external view returns (uint16) {
        return _bounds.life;
    }

    /// @inheritdoc IPoints
    function isNonceUsable(address holder, uint40 nonce) external view returns (bool fresh) {
        // Asked, not used: the word that it would be is not wanted.
        // slither-disable-next-line unused-return
        (fresh,) = _holdings[holder].account.using_(nonce);
    }

    /// @inheritdoc IPoints
    function accountOf(address holder) external view returns (uint256 word) {
        return Account.unwrap(_holdings[holder].account);
    }
}
