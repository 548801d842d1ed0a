// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

/// @title Swaps and gifts between independently owned programmes
/// @notice Each programme posts one bid and one ask per point in the settlement token and pays for its swaps from its
/// own margin. For a swap of `a` points of A into B:
///
///     value = floor(a * bidA / 1e9)      fee = ceil(value * feeBps / 10000)
///     out   = floor((value - fee) * 1e9 / askB)
///
/// A's margin pays `value`, B's receives `value - fee`, A's points burn, B's mint. With bid <= ask every cycle of swaps
/// multiplies by at most the product of bid/ask <= 1, so there is nothing to arbitrage whatever anybody posts.
///
/// Accounts are addresses: a programme's token, a charity's key, or any ordinary address. A programme's account is
/// governed by the programme's `owner()`, every other one by the address itself. An owner acts by its own transaction
/// with an empty signature, or by a signature over the act, relayed by anyone. Signatures are as in `IPoints`, in the
/// domain `{name: "points-exchange", version: "1", chainId, verifyingContract: this exchange}`:
///
///     Quote(address programme,uint64 bid,uint64 ask,uint40 until,uint88 cap,uint64 nonce)
///     Partner(address programme,address partner,bool allowed,uint64 nonce)
///     Withdraw(address account,address to,uint96 amount,uint64 nonce)
///
/// `nonce` is the account's `nonceOf`, strictly sequential, so that an older quote never overrides a newer one. It is
/// the same counter for every act of the account, signed or not.
interface IExchange is IERC5267 {
    /// @notice What a programme pays (`bid`) and charges (`ask`) per base unit of points, in settlement base units x 1e9.
    /// @param until Unix time after which the quote is void
    /// @param cap most settlement base units that may leave the margin by swaps and gifts in one day (UTC)
    struct Quote {
        uint64 bid;
        uint64 ask;
        uint40 until;
        uint88 cap;
    }

    event Quoted(address indexed programme, uint256 bid, uint256 ask, uint256 until, uint256 cap, uint256 effective);
    event PartnerSet(address indexed programme, address indexed partner, bool allowed);
    event Deposited(address indexed account, address indexed from, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    /// @notice The margin of `from` paid `value`; `into` received `value - fee`; the fee account received `fee`.
    event Swapped(
        bytes32 indexed intent,
        address indexed from,
        address indexed into,
        address holder,
        uint256 amount,
        uint256 out,
        uint256 value,
        uint256 fee
    );
    /// @notice The margin of `programme` paid `value` to `charity`; `campaign` 0 is a gift outside any campaign.
    event Given(
        bytes32 indexed intent,
        address indexed programme,
        address indexed charity,
        address holder,
        uint256 campaign,
        uint256 amount,
        uint256 value
    );
    event CharityRegistered(address indexed charity, bytes32 name);
    event CampaignOpened(uint256 indexed campaign, address indexed charity, uint256 goal, uint256 end);
    event FeeSet(uint256 feeBps, address indexed account);
    event OwnershipTransferred(address indexed previous, address indexed current);

    error OnlyOwner(address caller);
    error UnknownProgramme(address programme);
    error UnknownCharity(address charity);
    error UnknownCampaign(uint256 campaign);
    error AlreadyRegistered(address charity);
    /// @notice A quote needs 0 < bid <= ask and an expiry in the future.
    error InvalidQuote();
    error QuoteExpired(address programme, uint256 until);
    /// @notice The pair has not been opened by both programmes.
    error NotPartners(address from, address into);
    error MarginTooLow(address account, uint256 margin, uint256 wanted);
    error DailyCapExceeded(address account, uint256 left, uint256 wanted);
    /// @notice The swap would give less than the holder's signed minimum.
    error BelowMinimum(uint256 out, uint256 minimum);
    /// @notice The points are too few to be worth one unit.
    error WorthNothing();
    error CampaignEnded(uint256 campaign, uint256 end);
    error FeeTooHigh(uint256 feeBps, uint256 most);
    error InvalidSignature(address signer);
    error InvalidNonce(address account, uint256 nonce);
    error ZeroAmount();
    /// @notice An account, a recipient or an owner must not be the zero address.
    error ZeroAddress();
    /// @notice The settlement token delivered another amount than was asked.
    error UnexpectedDeposit(uint256 wanted, uint256 received);

    /// @notice Posts a programme's quote. `signature` is the owner's over `Quote`, or empty if the owner calls.
    function setQuote(address programme, Quote calldata quote, uint64 nonce, bytes calldata signature) external;

    /// @notice Opens or closes one direction of consent; a pair trades when both directions are open.
    function setPartner(address programme, address partner, bool allowed, uint64 nonce, bytes calldata signature)
        external;

    /// @notice Pulls `amount` settlement base units from the caller into `account`'s margin.
    function deposit(address account, uint96 amount) external;

    /// @notice Pays `amount` of `account`'s margin to `to`; by the account's owner. Never pausable.
    function withdraw(address account, address to, uint96 amount, uint64 nonce, bytes calldata signature) external;

    /// @notice Swaps `amount` of `from` into at least `minimum` of `into`, by the holder's intent signed for `from`.
    function swap(
        address from,
        address holder,
        uint96 amount,
        address into,
        uint96 minimum,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) external returns (uint256 out);

    /// @notice Gives the value of `amount` points at the programme's bid to a charity, by the holder's signed intent.
    function give(
        address programme,
        address holder,
        uint96 amount,
        address charity,
        uint32 campaign,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) external returns (uint256 value);

    /// @notice `swap` or `give` with a third of the calldata: after the selector 20 bytes of the programme that is swapped
    /// or given from, then the intent as `IPoints.executePacked` lays it out, which is passed on as it is.
    /// @return result what `swap` or `give` return
    function executePacked() external returns (uint256 result);

    /// @notice Registers a charity under the address that will sign for its withdrawals. Append-only. Owner only.
    function registerCharity(address charity, bytes32 name) external;

    /// @notice Opens a campaign; numbers start at 1. Owner only.
    function openCampaign(address charity, uint96 goal, uint40 end) external returns (uint32 campaign);

    /// @notice Sets the network fee, at most `MAX_FEE_BPS`, and the account that receives it. Owner only.
    function setFee(uint16 feeBps, address account) external;

    function transferOwnership(address to) external;

    /// @notice What a swap would give now, before the holder's minimum; reverts as `swap` would, but for the holder's
    /// own signature, nonce and balance.
    function previewSwap(address from, address into, uint96 amount)
        external
        view
        returns (uint256 out, uint256 value, uint256 fee);
    function quoteOf(address programme) external view returns (Quote memory);
    function marginOf(address account) external view returns (uint256);
    /// @notice Settlement base units that may still leave `programme`'s margin today.
    function capLeft(address programme) external view returns (uint256);
    /// @notice Whether the pair trades: both programmes have opened it. Symmetric.
    function partners(address from, address into) external view returns (bool);
    function nonceOf(address account) external view returns (uint64);
    function isCharity(address account) external view returns (bool);
    function campaignOf(uint32 campaign)
        external
        view
        returns (address charity, uint96 goal, uint40 end, uint256 raised);
    function settlementToken() external view returns (address);
    function factory() external view returns (address);
    function owner() external view returns (address);
    function MAX_FEE_BPS() external view returns (uint16);
}
