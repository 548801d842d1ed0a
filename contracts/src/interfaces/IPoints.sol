// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

/// @title A merchant's loyalty points
/// @notice An ERC-20 token that itself checks its holders' signatures: nobody, the exchange included, lowers a
/// holder's balance without that holder's signed intent (or the holder's own transaction).
/// Amounts are base units; a point has two decimals, so 1 point = 100 base units.
///
/// Signatures begin with a scheme byte: `0x00` is ECDSA over secp256k1, followed by the 64 bytes `r ‖ vs` of EIP-2098
/// (low `s` only). The scheme is never inferred from the signer's code. Every scheme signs the same EIP-712 digest,
/// in the domain `{name: "points-exchange", version: "1", chainId, verifyingContract: this token}`:
///
///     Mint(uint32 batch,bytes32 receiptsRoot,bytes32 entriesHash)
///     Receipt(address holder,uint96 amount,bytes32 purchase,uint40 acceptedAt,uint40 mintBy)
///     Send(address holder,address to,uint96 amount,uint40 nonce,uint40 deadline)
///     Redeem(address holder,uint96 amount,bytes32 order,uint40 nonce,uint40 deadline)
///     Swap(address holder,uint96 amount,address into,uint96 minimum,uint40 nonce,uint40 deadline)
///     Give(address holder,uint96 amount,address charity,uint32 campaign,uint40 nonce,uint40 deadline)
///
/// `Receipt` is never checked on chain here: it is the issuer's signed promise to a customer, in the same domain.
/// Nonces are unordered within a window of 96 and never stuck by a lost intent (see `types/Account.sol`).
interface IPoints is IERC20Metadata, IERC5267 {
    /// @notice Bounds on issuance, in base units; `refill` is base units per second.
    /// The bucket starts full at `bucket`, is drained by minting and refills at `refill` up to `bucket`.
    struct Limits {
        uint96 supplyCap;
        uint96 entryCap;
        uint96 bucket;
        uint96 refill;
    }

    /// @notice Who may do what to a programme, fixed at creation.
    /// @param owner signs for quotes, partners and withdrawals; @param issuer signs batches of points.
    struct Roles {
        address owner;
        address issuer;
    }

    /// @notice `count` points entries of one signed batch, `total` base units in all, were minted.
    event Minted(uint32 indexed batch, bytes32 receiptsRoot, bytes32 entriesHash, uint256 total, uint256 count);
    /// @notice `holder` sent points by the signed intent with digest `intent`. The token's `Transfer` just before it says
    /// to whom and how many.
    event Sent(bytes32 indexed intent, address indexed holder);
    /// @notice `holder` spent points at the merchant; `order` is the merchant's salted reference.
    event Redeemed(bytes32 indexed intent, address indexed holder, bytes32 indexed order, uint256 amount);
    /// @notice `holder` gave up `nonce`: an intent that carries it can no longer take effect.
    event NonceCancelled(address indexed holder, uint256 nonce);

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

    /// @notice Mints one batch, signed by the issuer. Whoever relays it has no power over it.
    /// @param batch the next batch number, from 1; a batch takes effect at most once however often it is sent.
    /// @param receiptsRoot Merkle root of the batch's receipts (see `contracts/receipts.py`).
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

    /// @notice Last leg of a swap: mints what the programme's margin was paid for. Exchange only.
    /// Bounded by the supply cap; not by the bucket, for every base unit here was paid for at the ask.
    /// @return supply base units in existence afterwards
    function mintForSwap(address holder, uint96 amount) external returns (uint256 supply);

    function owner() external view returns (address);
    function issuer() external view returns (address);
    function exchange() external view returns (address);
    /// @notice The number that the next batch must carry.
    function nextBatch() external view returns (uint32);
    /// @notice Base units that the bucket holds now. The supply cap may leave less.
    function bucketAvailable() external view returns (uint256);
    function limits() external view returns (Limits memory);
    /// @notice Whether an intent of `holder` with `nonce` could still take effect.
    function isNonceUsable(address holder, uint40 nonce) external view returns (bool);
    /// @notice The holder's whole account word, for proofs (layout in `types/Account.sol`).
    function accountOf(address holder) external view returns (uint256 word);
}
