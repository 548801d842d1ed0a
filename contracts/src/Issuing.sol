// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Ledger} from "./Ledger.sol";
import {IExchange} from "./interfaces/IExchange.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {Acts} from "./libraries/Acts.sol";
import {Pause} from "./libraries/Pause.sol";
import {Receipt} from "./libraries/Receipt.sol";
import {Account} from "./types/Account.sol";
import {Issuance, IssuanceLibrary} from "./types/Issuance.sol";

/// @title How points come into being, within which limits, and how refunded ones go: the merchant's part of `IPoints`
abstract contract Issuing is Ledger {
    uint256 private constant ENTRY_SIZE = 32;
    uint256 private constant AMOUNT_BITS = 96;
    uint256 private constant ROOTS = 4_096;
    uint256 private constant LOOSENING = 48 hours;

    address public immutable owner;
    address public immutable issuer;
    address public immutable exchange;

    Limits private _loosened;
    /// What is kept of the last batches, each at its number modulo `ROOTS`; older ones are overwritten.
    mapping(uint256 place => bytes32 commitment) private _batches;
    mapping(uint256 batch => mapping(uint256 index => uint96)) private _refunded;

    constructor(Roles memory roles, Limits memory limits_, uint16 life_, address exchange_) Ledger(life_) {
        owner = roles.owner;
        issuer = roles.issuer;
        exchange = exchange_;
        _storeLimits(limits_);
        _issuance = IssuanceLibrary.pack({supply_: 0, level_: limits_.bucket, at_: block.timestamp, next_: 1});
    }

    /* MINTING */

    /// @inheritdoc IPoints
    function mint(uint32 batch, bytes32 receiptsRoot, bytes calldata entries, bytes calldata signature) external {
        Bounds memory bounds = _currentBounds();
        if (block.timestamp < bounds.pausedUntil) revert Paused(bounds.pausedUntil);
        uint256 next = _issuance.next();
        if (batch != next) revert BatchOutOfOrder(next, batch);
        if (entries.length == 0 || entries.length % ENTRY_SIZE != 0) revert MalformedEntries(entries.length);
        bytes32 entriesHash = keccak256(entries);
        if (!_isSigned(issuer, _digest(Acts.mint(batch, receiptsRoot, entriesHash)), signature, true)) {
            revert InvalidSignature(issuer);
        }
        uint256 count = entries.length / ENTRY_SIZE;
        uint256 total = _mintEntries(entries, bounds.entryCap);
        _issue(bounds, total);
        _batches[batch % ROOTS] = Receipt.commitment(batch, receiptsRoot, entriesHash);
        emit Minted(batch, receiptsRoot, entriesHash, total, count);
    }

    /// @dev Balances may pass 96 bits on the way, into the fields above; `_issue` then finds the total above the bucket
    /// and everything is undone. `total` itself cannot overflow: calldata is far shorter than 2^160 words.
    function _mintEntries(bytes calldata entries, uint256 entryCap) private returns (uint256 total) {
        uint256 today = _today();
        uint256 surelyAlive = _surelyAlive();
        unchecked {
            uint256 at;
            uint256 end;
            assembly ("memory-safe") {
                at := entries.offset
                end := add(at, entries.length)
            }
            for (; at < end; at += ENTRY_SIZE) {
                uint256 entry;
                assembly ("memory-safe") {
                    entry := calldataload(at)
                }
                uint256 amount = uint96(entry);
                // One comparison for both bounds: 0 - 1 is more than any cap.
                if (amount - 1 >= entryCap) {
                    revert EntryOutOfBounds((entries.length - (end - at)) / ENTRY_SIZE, amount);
                }
                address holder = address(uint160(entry >> AMOUNT_BITS));
                if (holder == address(0)) revert ERC20InvalidReceiver(holder);
                total += amount;
                Holding storage holding = _holdings[holder];
                Account account = holding.account;
                if (account.day() < surelyAlive) {
                    if (account.balance() != 0) account = _living(holder, account);
                }
                holding.account = account.active(today).credited(amount);
                emit Transfer(address(0), holder, amount);
            }
        }
    }

    /// @dev Counts one batch of `total`, within the bucket and the supply cap.
    function _issue(Bounds memory bounds, uint256 total) private {
        Issuance issuance = _issuance; // after the entries: those who had expired left the supply
        uint256 available = issuance.available(bounds.bucket, bounds.refill, block.timestamp);
        if (total > available) revert BucketExceeded(available, total);
        uint256 supply = issuance.supply() + total;
        if (supply > bounds.supplyCap) revert SupplyCapExceeded(bounds.supplyCap, supply);
        // A batch's number is checked: the last one has no successor, and no old one ever becomes the next again.
        _issuance = IssuanceLibrary.pack(supply, available - total, block.timestamp, uint32(issuance.next()) + 1);
    }

    /// @inheritdoc IPoints
    function creditAgainstMargin(address holder, uint96 amount) external returns (uint256 supply) {
        if (msg.sender != exchange) revert OnlyExchange(msg.sender);
        Holding storage holding = _holdings[holder];
        Account account = holding.account;
        if (account.balance() != 0) {
            if (_isOld(account)) account = _living(holder, account);
        }
        holding.account = account.active(_today()).credited(amount);
        Issuance issuance = _issuance;
        unchecked {
            supply = issuance.supply() + amount; // 96 bits each
        }
        uint256 cap = _supplyCap();
        if (supply > cap) revert SupplyCapExceeded(cap, supply);
        _issuance = issuance.credited(amount);
        emit Transfer(address(0), holder, amount);
    }

    /// @inheritdoc IPoints
    function pause() external {
        if (msg.sender != IExchange(exchange).guardian()) revert OnlyGuardian(msg.sender);
        _bounds.pausedUntil = Pause.begun(_bounds.pausedUntil);
        emit PauseSet(_bounds.pausedUntil);
    }

    /// @inheritdoc IPoints
    function unpause() external {
        bool may = msg.sender == IExchange(exchange).guardian() || msg.sender == IExchange(exchange).owner();
        if (!may) revert OnlyGuardian(msg.sender);
        _bounds.pausedUntil = Pause.ended(_bounds.pausedUntil);
        emit PauseSet(_bounds.pausedUntil);
    }

    /* REFUNDS */

    /// @inheritdoc IPoints
    function clawback(
        uint32 batch,
        uint32 index,
        bytes32 purchase,
        uint96 taken,
        bytes calldata entries,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external {
        _checkMerchant(Acts.clawback(batch, index, purchase, taken), signature);
        (address holder, uint256 granted) = _provenEntry(batch, index, purchase, entries, proof);
        uint256 before = _refunded[batch][index];
        if (taken <= before || taken > granted) revert RefundOutOfBounds(before, granted, taken);
        _refunded[batch][index] = taken;
        uint256 wanted = taken - before;

        Holding storage holding = _holdings[holder];
        Account account = _living(holder, holding.account);
        uint256 balance = account.balance();
        uint256 burned = wanted < balance ? wanted : balance;
        holding.account = account.debited(burned);
        if (burned > 0) _burned(holder, burned);
        emit ClawedBack(batch, holder, purchase, index, burned, wanted - burned);
    }

    /// @dev What the batch minted at a place, if the receipts that it committed to say that it was for this purchase.
    function _provenEntry(
        uint32 batch,
        uint32 index,
        bytes32 purchase,
        bytes calldata entries,
        bytes32[] calldata proof
    ) private view returns (address holder, uint256 amount) {
        uint256 count = entries.length / ENTRY_SIZE;
        if (index >= count || proof.length != Receipt.depthOf(count)) revert UnknownReceipt(batch, index);
        uint256 entry;
        assembly ("memory-safe") {
            entry := calldataload(add(entries.offset, mul(index, ENTRY_SIZE)))
        }
        holder = address(uint160(entry >> AMOUNT_BITS));
        amount = uint96(entry);
        bytes32 root = Receipt.rootOf(Receipt.leaf(batch, index, holder, amount, purchase), proof);
        if (_batches[batch % ROOTS] != Receipt.commitment(batch, root, keccak256(entries))) {
            revert UnknownReceipt(batch, index);
        }
    }

    /// @dev Lets an act pass if the merchant calls or signed it: the owner or the issuer. Only for acts that are
    /// harmless to repeat.
    function _checkMerchant(bytes32 act, bytes calldata signature) private view {
        if (signature.length == 0) {
            if (msg.sender != owner && msg.sender != issuer) revert InvalidSignature(owner);
            return;
        }
        bytes32 digest = _digest(act);
        if (!_isSigned(issuer, digest, signature, true) && !_isSigned(owner, digest, signature, true)) {
            revert InvalidSignature(issuer);
        }
    }

    /* THE OWNER'S TERMS */

    /// @inheritdoc IPoints
    function setLimits(Limits calldata wanted, uint40 nonce, uint40 deadline, bytes calldata signature) external {
        bytes32 act = Acts.limits(wanted.supplyCap, wanted.entryCap, wanted.bucket, wanted.refill, nonce, deadline);
        _authoriseOwner(act, nonce, deadline, signature);
        Bounds memory bounds = _currentBounds();
        _settleBucket(bounds);
        Limits memory tightened = Limits({
            supplyCap: _lower(bounds.supplyCap, wanted.supplyCap),
            entryCap: _lower(bounds.entryCap, wanted.entryCap),
            bucket: _lower(bounds.bucket, wanted.bucket),
            refill: _lower(bounds.refill, wanted.refill)
        });
        _setLimits(tightened);
        bool loosens = tightened.supplyCap != wanted.supplyCap || tightened.entryCap != wanted.entryCap
            || tightened.bucket != wanted.bucket || tightened.refill != wanted.refill;
        if (!loosens) return;
        uint256 at = block.timestamp + LOOSENING;
        _bounds.loosenedAt = uint40(at);
        _loosened = wanted;
        emit LimitsSet(wanted.supplyCap, wanted.entryCap, wanted.bucket, wanted.refill, at);
    }

    /// @inheritdoc IPoints
    function extendLife(uint16 wanted, uint40 nonce, uint40 deadline, bytes calldata signature) external {
        _authoriseOwner(Acts.life(wanted, nonce, deadline), nonce, deadline, signature);
        if (wanted <= _bounds.life) revert InvalidLife(_bounds.life, wanted);
        _bounds.life = wanted;
        emit LifeExtended(wanted);
    }

    /// @dev Lets an act pass if the owner calls, or signed it with a nonce of the owner's own account here.
    function _authoriseOwner(bytes32 act, uint40 nonce, uint40 deadline, bytes calldata signature) internal {
        if (signature.length == 0) {
            if (msg.sender != owner) revert InvalidSignature(owner);
            return;
        }
        Holding storage holding = _holdings[owner];
        (Account account,) = _used(owner, holding.account, act, nonce, deadline, signature, true);
        holding.account = _acted(owner, _living(owner, account));
    }

    /// @dev Everything that makes a signature count, once: its deadline, its nonce, its signer.
    /// @return account the account with the nonce used, for the caller to store; @return digest what was signed
    function _used(
        address signer,
        Account account,
        bytes32 act,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature,
        bool verified
    ) internal view returns (Account, bytes32 digest) {
        if (block.timestamp > deadline) revert IntentExpired(deadline);
        (bool fresh, Account used) = account.using_(nonce);
        if (!fresh) revert InvalidNonce(signer, nonce);
        digest = _digest(act);
        if (!_isSigned(signer, digest, signature, verified)) revert InvalidSignature(signer);
        return (used, digest);
    }

    function _setLimits(Limits memory limits_) private {
        _storeLimits(limits_);
        _bounds.loosenedAt = 0;
        emit LimitsSet(limits_.supplyCap, limits_.entryCap, limits_.bucket, limits_.refill, block.timestamp);
    }

    function _storeLimits(Limits memory limits_) private {
        (_bounds.supplyCap, _bounds.entryCap) = (limits_.supplyCap, limits_.entryCap);
        (_bounds.bucket, _bounds.refill) = (limits_.bucket, limits_.refill);
    }

    /// @dev The bounds in force; brings loosened ones into force when their time has come.
    function _currentBounds() private returns (Bounds memory bounds) {
        bounds = _bounds;
        // 0 marks that nothing waits.
        // slither-disable-next-line incorrect-equality
        if (bounds.loosenedAt == 0 || block.timestamp < bounds.loosenedAt) return bounds;
        _settleBucket(bounds);
        _storeLimits(_loosened);
        _bounds.loosenedAt = 0;
        return _bounds;
    }

    /// @dev The bucket fills at the rate that was in force; what a new rate changes begins now.
    function _settleBucket(Bounds memory bounds) private {
        Issuance issuance = _issuance;
        uint256 available = issuance.available(bounds.bucket, bounds.refill, block.timestamp);
        _issuance = IssuanceLibrary.pack(issuance.supply(), available, block.timestamp, issuance.next());
    }

    function _supplyCap() private view returns (uint256 cap) {
        cap = _bounds.supplyCap;
        uint256 at = _bounds.loosenedAt;
        if (at != 0) {
            if (block.timestamp >= at) cap = _loosened.supplyCap;
        }
    }

    function _lower(uint96 one, uint96 other) private pure returns (uint96) {
        return one < other ? one : other;
    }

    /* VIEWS */

    /// @inheritdoc IPoints
    function nextBatch() external view returns (uint32) {
        return uint32(_issuance.next());
    }

    /// @inheritdoc IPoints
    function bucketAvailable() external view returns (uint256) {
        // Loosened limits that nobody has touched yet begin with what the old ones left.
        return _issuance.available(_bounds.bucket, _bounds.refill, block.timestamp);
    }

    /// @inheritdoc IPoints
    function limits() public view returns (Limits memory) {
        Bounds memory bounds = _bounds;
        if (bounds.loosenedAt != 0 && block.timestamp >= bounds.loosenedAt) return _loosened;
        return Limits(bounds.supplyCap, bounds.entryCap, bounds.bucket, bounds.refill);
    }

    /// @inheritdoc IPoints
    function pausedUntil() external view returns (uint40) {
        return _bounds.pausedUntil;
    }

    /// @inheritdoc IPoints
    function pendingLimits()
        external
        view
        returns (uint96 supplyCap, uint96 entryCap, uint96 bucket, uint96 refill, uint40 effective)
    {
        uint40 at = _bounds.loosenedAt;
        if (block.timestamp >= at) return (0, 0, 0, 0, 0); // none, or in force
        Limits memory pending = _loosened;
        return (pending.supplyCap, pending.entryCap, pending.bucket, pending.refill, at);
    }

    /// @inheritdoc IPoints
    function refunded(uint32 batch, uint32 index) external view returns (uint96) {
        return _refunded[batch][index];
    }
}
