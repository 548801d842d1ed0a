// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

import {ISigned} from "./ISigned.sol";

/// @title A merchant's loyalty points
/// @notice An ERC-20 token that itself checks its holders' signatures. Nobody, the exchange included, lowers a holder's
/// balance without that holder's signed intent or own transaction, apart from three things: points expire with a holder
/// who is inactive for `life` days, the merchant takes back what a refunded receipt had granted (`clawback`), and the
/// owner moves the points of a holder who lost the key, 14 days after saying so (`recover`).
/// Amounts are base units; a point has two decimals, so 1 point = 100 base units.
///
/// Signatures are as `ISigned` says, in this token's domain, over:
///
///     Mint(uint32 batch,bytes32 receiptsRoot,bytes32 entriesHash)
///     Receipt(address holder,uint96 amount,bytes32 purchase,uint40 acceptedAt,uint40 mintBy)
///     Send(address holder,address to,uint96 amount,uint40 nonce,uint40 deadline)
///     Redeem(address holder,uint96 amount,bytes32 order,uint40 nonce,uint40 deadline)
///     Swap(address holder,uint96 amount,address into,uint96 minimum,uint40 nonce,uint40 deadline)
///     Give(address holder,uint96 amount,address charity,uint32 campaign,uint40 nonce,uint40 deadline)
///     Cancel(address holder,uint40 nonce,uint40 deadline)
///     Clawback(uint32 batch,uint32 index,bytes32 purchase,uint96 taken)
///     Limits(uint96 supplyCap,uint96 entryCap,uint96 bucket,uint96 refill,uint40 nonce,uint40 deadline)
///     Life(uint16 life,uint40 nonce,uint40 deadline)
///     Recover(address holder,address to,uint40 nonce,uint40 deadline)
///
/// `Receipt` is never checked on chain here: it is the issuer's signed promise to a customer, in the same domain.
/// Nonces are unordered within a window of 96 and never stuck by a lost intent (see `types/Account.sol`). The owner's
/// acts use the nonces of the owner's own account in this token.
///
/// Expiry. Earning, and acting by signature or by one's own transaction, are activity; receiving is not, except that it
/// begins the life of an account without points. `balanceOf` is 0 from the day after `life` days without activity. The
/// dead points are burned by whatever touches the account next, or by `sweep`, with `Transfer(holder, 0, dead)` and
/// `Expired`; until then `totalSupply` still counts them. What an account receives after it expired is alive: nothing
/// is ever burned but what had expired. Allowances do not expire: one covers whatever its holder has.
interface IPoints is IERC20Metadata, ISigned {
    /// @notice Bounds on issuance, in base units; `refill` is base units per second.
    /// The bucket starts full at `bucket`, is drained by minting and refills at `refill` up to `bucket`.
    struct Limits {
        uint96 supplyCap;
        uint96 entryCap;
        uint96 bucket;
        uint96 refill;
    }

    /// @notice Who may do what to a programme, fixed at creation.
    /// @param owner signs for quotes, partners, withdrawals, limits and recoveries; @param issuer signs batches of
    /// points.
    struct Roles {
        address owner;
        address issuer;
    }

    /// @param life days without activity after which points expire, at least 1; may only grow
    /// @param verifiedAbove a spend of more base units than this needs a passkey to verify who is present; fixed
    struct Terms {
        uint16 life;
        uint96 verifiedAbove;
    }

    /// @notice `count` points entries of one signed batch, `total` base units in all, were minted.
    event Minted(uint32 indexed batch, bytes32 receiptsRoot, bytes32 entriesHash, uint256 total, uint256 count);
    /// @notice Points were sent by the signed intent with digest `intent`. The token's `Transfer` just before it says
    /// by whom, to whom and how many.
    event Sent(bytes32 indexed intent);
    /// @notice `holder` spent points at the merchant; `order` is the merchant's salted reference.
    event Redeemed(bytes32 indexed intent, address indexed holder, bytes32 indexed order, uint256 amount);
    /// @notice `holder` gave up `nonce`: an intent that carries it can no longer take effect.
    event NonceCancelled(address indexed holder, uint256 nonce);
    /// @notice `amount` points of `holder` had expired and were burned by the `Transfer` just before.
    event Expired(address indexed holder, uint256 amount);
    /// @notice The merchant took back `burned` base units of a refunded receipt, by the `Transfer` just before unless
    /// it is 0. `shortfall` more were due, but the holder had them no longer: they are the merchant's loss.
    event ClawedBack(
        uint256 indexed batch,
        address indexed holder,
        bytes32 indexed purchase,
        uint256 index,
        uint256 burned,
        uint256 shortfall
    );
    /// @notice These limits are in force from Unix second `effective`, unless others are set before.
    event LimitsSet(uint256 supplyCap, uint256 entryCap, uint256 bucket, uint256 refill, uint256 effective);
    event LifeExtended(uint256 life);
    /// @notice Minting is paused until this Unix second; a pause has ended early if it is now.
    event PauseSet(uint256 until);
    /// @notice Unless `holder` acts before Unix second `due`, anybody may then move all of its points to `to`.
    event RecoveryStarted(address indexed holder, address indexed to, uint256 due);
    /// @notice `holder` acted, and so keeps its points.
    event RecoveryCancelled(address indexed holder);
    /// @notice All points of `holder` moved to `to` by the `Transfer` just before.
    event Recovered(address indexed holder, address indexed to, uint256 amount);

    /// @notice Batches are minted in order: `expected` is the only number accepted now.
    error BatchOutOfOrder(uint256 expected, uint256 given);
    /// @notice Entries are 32-byte words (20-byte holder, 12-byte amount), at least one.
    error MalformedEntries(uint256 length);
    /// @notice An entry is zero or above the entry cap.
    error EntryOutOfBounds(uint256 index, uint256 amount);
    /// @notice The batch is more than the refilling bucket holds now.
    error BucketExceeded(uint256 available, uint256 wanted);
    /// @notice Supply would pass the cap.
    error SupplyCapExceeded(uint256 cap, uint256 wanted);
    /// @notice The signature is not `signer`'s over this act, or its scheme is unknown.
    error InvalidSignature(address signer);
    /// @notice The intent's deadline (Unix seconds) has passed.
    error IntentExpired(uint256 deadline);
    /// @notice The nonce was used or cancelled, fell out of the window, or jumps too far ahead.
    error InvalidNonce(address account, uint256 nonce);
    /// @notice Amounts are at least one base unit.
    error ZeroAmount();
    /// @notice Only the exchange named at construction may call this.
    error OnlyExchange(address caller);
    /// @notice There is no packed intent of this kind.
    error UnknownKind(uint256 kind);
    /// @notice Minting is paused until this Unix second.
    error Paused(uint256 until);
    error OnlyGuardian(address caller);
    /// @notice The receipt is not in this batch, or the batch is older than the refund window.
    error UnknownReceipt(uint256 batch, uint256 index);
    /// @notice A receipt that granted `granted` and of which `before` was taken back cannot have `taken` taken back in
    /// all.
    error RefundOutOfBounds(uint256 before, uint256 granted, uint256 taken);
    /// @notice A life is at least a day and only grows.
    error InvalidLife(uint256 current, uint256 wanted);
    /// @notice Nobody is recovering this holder's points, or the holder has acted since.
    error NoRecovery(address holder);
    error RecoveryNotDue(address holder, uint256 due);

    /// @notice Mints one batch, signed by the issuer. Whoever relays it has no power over it.
    /// @param batch the next batch number, from 1; a batch takes effect at most once however often it is sent.
    /// @param receiptsRoot Merkle root of the batch's receipts, one an entry (see `contracts/receipts.py`).
    /// @param entries packed words: 20-byte holder, 12-byte amount in base units.
    /// @param signature the issuer's, over `Mint`.
    function mint(uint32 batch, bytes32 receiptsRoot, bytes calldata entries, bytes calldata signature) external;

    /// @notice Moves points by the holder's signed intent.
    function send(address holder, address to, uint96 amount, uint40 nonce, uint40 deadline, bytes calldata signature)
        external;

    /// @notice Burns points spent at the merchant, by the holder's signed intent.
    function redeem(
        address holder,
        uint96 amount,
        bytes32 order,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) external;

    /// @notice Any intent with a third of the calldata: after the selector its fields without padding, then the
    /// signature, which is the rest.
    ///
    ///     kind, 1 byte | holder, 20 | amount, 12 | nonce, 5 | deadline, 5 | what the kind needs | signature
    ///
    ///     kind 0  Send     to, 20
    ///     kind 1  Redeem   order, 32
    ///     kind 2  Swap     into, 20 | minimum, 12      exchange only: burns, the first leg of a swap
    ///     kind 3  Give     charity, 20 | campaign, 4   exchange only: burns, the points leg of a gift
    /// @return intent the EIP-712 digest that was signed
    function executePacked() external returns (bytes32 intent);

    /// @notice Gives up a nonce, by the holder's own transaction.
    function cancelNonce(uint40 nonce) external;

    /// @notice Gives up a nonce, by the holder's signature over `Cancel`, which uses that very nonce.
    function cancel(address holder, uint40 nonce, uint40 deadline, bytes calldata signature) external;

    /// @notice Last leg of a swap: mints what the programme's margin was paid for. Exchange only.
    /// Bounded by the supply cap; not by the bucket, for every base unit here was paid for at the ask.
    /// @return supply base units in existence afterwards
    function creditAgainstMargin(address holder, uint96 amount) external returns (uint256 supply);

    /// @notice Burns what has expired of these holders' points. Anybody may.
    function sweep(address[] calldata holders) external;

    /// @notice Takes back what a refunded purchase had granted, as far as the holder still has it. By the owner or the
    /// issuer: as the caller with an empty signature, or by a signature over `Clawback`.
    /// What it granted, and to whom, is what `mint` paid out: no key, stolen or not, takes back what was never granted.
    /// @param batch one of the last 4,096: the refund window
    /// @param index the entry's place in the batch, from 0
    /// @param purchase the receipt's commitment to the purchase
    /// @param taken base units of this receipt that are taken back in all, those of earlier calls included: more than
    /// before, at most what it granted. A call that is repeated is therefore refused.
    /// @param entries the batch's, as they were minted
    /// @param proof the siblings from the receipt's leaf up to the batch's root
    function clawback(
        uint32 batch,
        uint32 index,
        bytes32 purchase,
        uint96 taken,
        bytes calldata entries,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external;

    /// @notice Sets the limits on issuance. By the owner: as the caller with an empty signature (nonce and deadline are
    /// not looked at), or by a signature over `Limits`. What is tighter is in force at once, what is looser 48 hours
    /// later; it replaces whatever was pending.
    function setLimits(Limits calldata wanted, uint40 nonce, uint40 deadline, bytes calldata signature) external;

    /// @notice Lets points live longer, at once, also those that have expired and were not burned yet. By the owner, as
    /// of `setLimits`, with a signature over `Life`.
    function extendLife(uint16 wanted, uint40 nonce, uint40 deadline, bytes calldata signature) external;

    /// @notice Pauses minting for 72 hours, by the exchange's guardian, and not before 72 hours after the end of the
    /// last pause. Nothing else can be paused.
    function pause() external;

    /// @notice Ends a pause early, by the exchange's guardian or owner.
    function unpause() external;

    /// @notice Announces that all points of `holder`, who lost the key, will move to `to` in 14 days. Any act of the
    /// holder, by signature or transaction, cancels it. By the owner, as of `setLimits`, with a signature over
    /// `Recover`.
    function recover(address holder, address to, uint40 nonce, uint40 deadline, bytes calldata signature) external;

    /// @notice Moves the points of a holder whose recovery is due. Anybody may.
    function finishRecovery(address holder) external;

    function owner() external view returns (address);
    function issuer() external view returns (address);
    function exchange() external view returns (address);
    function verifiedAbove() external view returns (uint96);
    /// @notice Days without activity after which points expire.
    function life() external view returns (uint16);
    /// @notice The number that the next batch must carry.
    function nextBatch() external view returns (uint32);
    /// @notice Base units that the bucket holds now. The supply cap may leave less.
    function bucketAvailable() external view returns (uint256);
    function limits() external view returns (Limits memory);
    function pausedUntil() external view returns (uint40);
    /// @notice Looser limits and when they come into force; zeros if none are pending.
    function pendingLimits()
        external
        view
        returns (uint96 supplyCap, uint96 entryCap, uint96 bucket, uint96 refill, uint40 effective);
    /// @notice Base units that were taken back of what the receipt at a place granted.
    function refunded(uint32 batch, uint32 index) external view returns (uint96);
    /// @notice Where the points of a holder will go, and from when; zeros if nobody is recovering them.
    function recoveryOf(address holder) external view returns (address to, uint40 due);
    /// @notice Whether an intent of `holder` with `nonce` could still take effect.
    function isNonceUsable(address holder, uint40 nonce) external view returns (bool);
    /// @notice The holder's whole account word, for proofs (layout in `types/Account.sol`). Its balance is that of
    /// before expiry.
    function accountOf(address holder) external view returns (uint256 word);
}
