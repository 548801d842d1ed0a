// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {LibString} from "solady/src/utils/LibString.sol";

import {Domain} from "./Domain.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {Acts} from "./libraries/Acts.sol";
import {Packed} from "./libraries/Packed.sol";
import {Signature} from "./libraries/Signature.sol";
import {Account} from "./types/Account.sol";
import {Issuance, IssuanceLibrary} from "./types/Issuance.sol";

/// @title Points, as `IPoints` describes them
contract Points is IPoints, IERC20Errors, Domain {
    /* CONSTANTS */

    uint256 private constant ENTRY_SIZE = 32;
    uint256 private constant AMOUNT_BITS = 96;

    /* IMMUTABLES */

    bytes32 private immutable _name;
    bytes32 private immutable _symbol;
    uint96 private immutable _supplyCap;
    uint96 private immutable _entryCap;
    uint96 private immutable _bucket;
    uint96 private immutable _refill;
    address public immutable owner;
    address public immutable issuer;
    address public immutable exchange;

    /* STORAGE */

    Issuance private _issuance;
    mapping(address holder => Account) private _accounts;
    mapping(address holder => mapping(address spender => uint256)) private _allowances;

    constructor(bytes32 name_, bytes32 symbol_, Roles memory roles, Limits memory limits_, address exchange_) {
        _name = name_;
        _symbol = symbol_;
        owner = roles.owner;
        issuer = roles.issuer;
        exchange = exchange_;
        _supplyCap = limits_.supplyCap;
        _entryCap = limits_.entryCap;
        _bucket = limits_.bucket;
        _refill = limits_.refill;
        _issuance = IssuanceLibrary.pack({supply_: 0, level_: limits_.bucket, at_: block.timestamp, next_: 1});
    }

    /* ISSUING */

    /// @inheritdoc IPoints
    function mint(uint32 batch, bytes32 receiptsRoot, bytes calldata entries, bytes calldata signature) external {
        Issuance issuance = _issuance;
        if (batch != issuance.next()) revert BatchOutOfOrder(issuance.next(), batch);
        if (entries.length == 0 || entries.length % ENTRY_SIZE != 0) revert MalformedEntries(entries.length);
        bytes32 entriesHash = keccak256(entries);
        if (!Signature.isValid(issuer, _digest(Acts.mint(batch, receiptsRoot, entriesHash)), signature)) {
            revert InvalidSignature(issuer);
        }

        uint256 total = _mintEntries(entries);

        uint256 available = issuance.available(_bucket, _refill, block.timestamp);
        if (total > available) revert BucketExceeded(available, total);
        uint256 supply = issuance.supply() + total;
        if (supply > _supplyCap) revert SupplyCapExceeded(_supplyCap, supply);
        // `batch + 1` is checked: the last number has no successor, and no old batch ever becomes the next again.
        _issuance = IssuanceLibrary.pack(supply, available - total, block.timestamp, batch + 1);
        emit Minted(batch, receiptsRoot, entriesHash, total, entries.length / ENTRY_SIZE);
    }

    /// @dev Balances may pass 96 bits on the way, into the fields above; `mint` then finds the total above the supply
    /// cap and undoes everything. `total` itself cannot overflow: calldata is far shorter than 2^160 words.
    function _mintEntries(bytes calldata entries) private returns (uint256 total) {
        uint256 today = _today();
        uint256 count = entries.length / ENTRY_SIZE;
        unchecked {
            for (uint256 index; index < count; ++index) {
                uint256 entry;
                assembly ("memory-safe") {
                    entry := calldataload(add(entries.offset, shl(5, index)))
                }
                address holder = address(uint160(entry >> AMOUNT_BITS));
                uint256 amount = uint96(entry);
                if (amount == 0 || amount > _entryCap) revert EntryOutOfBounds(index, amount);
                if (holder == address(0)) revert ERC20InvalidReceiver(holder);
                total += amount;
                _accounts[holder] = _accounts[holder].active(today).credited(amount);
                emit Transfer(address(0), holder, amount);
            }
        }
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
        bytes32 act;
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
        emit Sent(intent, holder);
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

    /// @inheritdoc IPoints
    function cancelNonce(uint40 nonce) external {
        (bool fresh, Account account) = _accounts[msg.sender].using_(nonce);
        if (!fresh) revert InvalidNonce(msg.sender, nonce);
        _accounts[msg.sender] = account.active(_today());
        emit NonceCancelled(msg.sender, nonce);
    }

    /// @dev Everything that lets a signed intent lower a balance. What follows only says where the points go.
    function _spend(
        address holder,
        uint256 amount,
        bytes32 structHash,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) private returns (bytes32 intent) {
        if (amount == 0) revert ZeroAmount();
        if (block.timestamp > deadline) revert IntentExpired(deadline);
        (bool fresh, Account account) = _accounts[holder].using_(nonce);
        if (!fresh) revert InvalidNonce(holder, nonce);
        intent = _digest(structHash);
        if (!Signature.isValid(holder, intent, signature)) revert InvalidSignature(holder);
        _debit(holder, account, amount);
    }

    /* THE EXCHANGE'S OTHER LEG */

    /// @inheritdoc IPoints
    function mintForSwap(address holder, uint96 amount) external returns (uint256 supply) {
        if (msg.sender != exchange) revert OnlyExchange(msg.sender);
        Issuance issuance = _issuance;
        unchecked {
            supply = issuance.supply() + amount; // 96 bits each
        }
        if (supply > _supplyCap) revert SupplyCapExceeded(_supplyCap, supply);
        _issuance = issuance.withSupply(supply);
        _accounts[holder] = _accounts[holder].active(_today()).credited(amount);
        emit Transfer(address(0), holder, amount);
    }

    /* ERC-20, FOR HOLDERS WHO PAY THEIR OWN GAS */

    /// @inheritdoc IERC20
    function transfer(address to, uint256 value) external returns (bool) {
        _transfer(msg.sender, to, value, true);
        return true;
    }

    /// @inheritdoc IERC20
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = _allowances[from][msg.sender];
        if (allowed != type(uint256).max) {
            if (value > allowed) revert ERC20InsufficientAllowance(msg.sender, allowed, value);
            unchecked {
                _allowances[from][msg.sender] = allowed - value;
            }
        }
        _transfer(from, to, value, false);
        return true;
    }

    /// @inheritdoc IERC20
    function approve(address spender, uint256 value) external returns (bool) {
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        _allowances[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function _transfer(address from, address to, uint256 amount, bool byHolder) private {
        if (from == address(0)) revert ERC20InvalidSender(from);
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        Account account = _accounts[from];
        _checkBalance(from, account, amount);
        account = account.debited(amount);
        _accounts[from] = byHolder ? account.active(_today()) : account;
        _receive(to, amount);
        emit Transfer(from, to, amount);
    }

    /* BALANCES */

    /// @dev Lowers a balance on the holder's own signed word: this is activity.
    function _debit(address holder, Account account, uint256 amount) private {
        _checkBalance(holder, account, amount);
        _accounts[holder] = account.debited(amount).active(_today());
    }

    function _checkBalance(address holder, Account account, uint256 amount) private pure {
        uint256 balance = account.balance();
        if (amount > balance) revert ERC20InsufficientBalance(holder, balance, amount);
    }

    /// @dev Receiving is no activity, or dust would keep every account alive; but an empty account starts its life.
    function _receive(address holder, uint256 amount) private {
        Account account = _accounts[holder];
        if (account.balance() == 0) account = account.active(_today());
        _accounts[holder] = account.credited(amount);
    }

    /// @dev The points have left the holder's account: takes them out of the supply.
    function _burned(address holder, uint256 amount) private {
        Issuance issuance = _issuance;
        unchecked {
            _issuance = issuance.withSupply(issuance.supply() - amount); // a balance is at most the supply
        }
        emit Transfer(holder, address(0), amount);
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }

    /* VIEWS */

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

    /// @inheritdoc IERC20
    function totalSupply() external view returns (uint256) {
        return _issuance.supply();
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) external view returns (uint256) {
        return _accounts[account].balance();
    }

    /// @inheritdoc IERC20
    function allowance(address holder, address spender) external view returns (uint256) {
        return _allowances[holder][spender];
    }

    /// @inheritdoc IPoints
    function nextBatch() external view returns (uint32) {
        return uint32(_issuance.next());
    }

    /// @inheritdoc IPoints
    function bucketAvailable() external view returns (uint256) {
        return _issuance.available(_bucket, _refill, block.timestamp);
    }

    /// @inheritdoc IPoints
    function limits() external view returns (Limits memory) {
        return Limits({supplyCap: _supplyCap, entryCap: _entryCap, bucket: _bucket, refill: _refill});
    }

    /// @inheritdoc IPoints
    function isNonceUsable(address holder, uint40 nonce) external view returns (bool fresh) {
        (fresh,) = _accounts[holder].using_(nonce);
    }

    /// @inheritdoc IPoints
    function accountOf(address holder) external view returns (uint256 word) {
        return Account.unwrap(_accounts[holder]);
    }
}
