// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ISigned} from "./ISigned.sol";

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
/// with an empty signature, or by a signature over the act, relayed by anyone. Signatures are as `ISigned` says, in this
/// exchange's domain, over:
///
///     Quote(address programme,uint64 bid,uint64 ask,uint40 until,uint88 cap,uint64 nonce)
///     Partner(address programme,address partner,bool allowed,uint64 nonce)
///     Withdraw(address account,address to,uint96 amount,uint64 nonce)
///     Payout(address charity,address payout,uint64 nonce)
///     Match(address sponsor,uint32 campaign,uint32 ratio,uint96 pool,uint40 until,uint64 nonce)
///
/// A passkey must have verified who is present. `nonce` is the account's `nonceOf`, strictly sequential, so that an older quote never overrides a newer one. It is
/// the same counter for every act of the account, signed or not.
///
/// What could surprise a holder waits. A quote that is worse in anything than the one in force (a lower bid, a higher ask,
/// an earlier end, a lower cap) takes effect 24 hours later, a better one at once; a programme's withdrawal is announced
/// 7 days before, so that holders can leave first; a charity is paid out to one address, which changes in 14 days. Charities
/// and ordinary accounts, who owe nobody anything, withdraw at once. Closing a pair is at once, too: it only ends trade.
///
/// The guardian may pause swaps here and minting in each programme (`IPoints.pause`), for at most 72 hours, and then not for
/// another 72. Nothing else can be paused: who holds points or margin can always leave.
interface IExchange is ISigned {
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
    /// @notice The margin of `from` paid `value`; `into` received `value - fee`; the fee account received `fee`. The last
    /// `Transfer` of each token before it says whose points were swapped, how many, and for how many.
    event Swapped(
        bytes32 indexed intent, address indexed from, address indexed into, uint256 value, uint256 fee
    );
    /// @notice The margin of `programme` paid `value` to `charity`; `campaign` 0 is a gift outside any campaign. The token's
    /// last `Transfer` before it says whose points were given, and how many.
    event Given(
        bytes32 indexed intent,
        address indexed programme,
        address indexed charity,
        uint256 campaign,
        uint256 value
    );
    /// @notice `sponsor` paid `value` more to `charity` for the gift by `intent`.
    event Matched(
        bytes32 indexed intent, uint256 indexed campaign, address indexed sponsor, address charity, uint256 value
    );
    /// @notice `amount` of the programme's margin, or what is left of it, can be paid to `to` from Unix second `due`.
    event WithdrawalAnnounced(address indexed account, address indexed to, uint256 amount, uint256 due);
    /// @notice The charity is paid out to `payout`, and to nobody else, from Unix second `effective`.
    event PayoutSet(address indexed charity, address indexed payout, uint256 effective);
    /// @notice `sponsor` may now match gifts to the campaign; an earlier sponsor's match has ended.
    event SponsorNamed(uint256 indexed campaign, address indexed sponsor);
    /// @notice Until Unix second `until` gifts are matched with `ratio` basis points of their value, `pool` in all at most.
    event MatchSet(
        uint256 indexed campaign, address indexed sponsor, uint256 ratio, uint256 pool, uint256 until
    );
    event GuardianSet(address indexed guardian);
    /// @notice Swapping is paused until this Unix second; a pause has ended early if it is now.
    event PauseSet(uint256 until);
    event CharityRegistered(address indexed charity, bytes32 name);
    event CampaignOpened(uint256 indexed campaign, address indexed charity, uint256 goal, uint256 end);
    event FeeSet(uint256 feeBps, address indexed account);
    event OwnershipTransferred(address indexed previous, address indexed current);

    error OnlyOwner(address caller);
    error OnlyGuardian(address caller);
    /// @notice Swapping is paused until this Unix second.
    error Paused(uint256 until);
    /// @notice A charity is paid out to its payout address only.
    error NotPayout(address charity, address to);
    /// @notice The programme has announced no withdrawal.
    error NothingAnnounced(address programme);
    error NoticeNotOver(address programme, uint256 due);
    /// @notice The campaign has no sponsor, or the charity would be its own.
    error InvalidMatch();
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
    /// At once if no quote is in force or nothing is worse than in the one that is; else in 24 hours, until when the one in
    /// force stays. Either way it replaces a quote that was announced and is not in force yet.
    function setQuote(address programme, Quote calldata quote, uint64 nonce, bytes calldata signature) external;

    /// @notice Opens or closes one direction of consent; a pair trades when both directions are open.
    function setPartner(address programme, address partner, bool allowed, uint64 nonce, bytes calldata signature)
        external;

    /// @notice Pulls `amount` settlement base units from the caller into `account`'s margin.
    function deposit(address account, uint96 amount) external;

    /// @notice Takes `amount` of `account`'s margin out to `to`; by the account's owner. Never pausable. A programme's
    /// withdrawal is only announced, in place of an earlier one, and can be completed in 7 days; until then its margin
    /// goes on paying for swaps and gifts. Anybody else is paid at once, a charity at its payout address only.
    function withdraw(address account, address to, uint96 amount, uint64 nonce, bytes calldata signature) external;

    /// @notice Pays what the programme announced, or what is left of its margin. Anybody may.
    function completeWithdrawal(address programme) external;

    /// @notice Changes the address that the charity is paid out to, in 14 days, in place of an earlier change that has not
    /// come yet. By the charity. At first it is the charity's own.
    function setPayout(address charity, address payout, uint64 nonce, bytes calldata signature) external;

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

    /// @notice Says who may match gifts to a campaign; 0 is nobody. What an earlier sponsor matched ends. Owner only.
    function nameSponsor(uint32 number, address sponsor) external;

    /// @notice Matches gifts to a campaign, in place of the sponsor's earlier terms. By the owner of the sponsor's account,
    /// whose margin pays. A match is rounded down, and is as much as pool and margin allow.
    /// @param ratio basis points of a gift's value; @param pool most settlement base units in all; @param until last second
    function setMatch(uint32 number, uint32 ratio, uint96 pool, uint40 until, uint64 nonce, bytes calldata signature)
        external;

    /// @notice Appoints who may pause; 0 is nobody. Owner only.
    function setGuardian(address account) external;

    /// @notice Pauses swaps for 72 hours. Guardian only, and not before 72 hours after the end of the last pause.
    function pause() external;

    /// @notice Ends a pause early, by guardian or owner.
    function unpause() external;

    /// @notice Sets the network fee, at most `MAX_FEE_BPS`, and the account that receives it. Owner only.
    function setFee(uint16 feeBps, address account) external;

    function transferOwnership(address to) external;

    /// @notice What a swap would give now, before the holder's minimum; reverts as `swap` would, but for the holder's
    /// own signature, nonce and balance.
    function previewSwap(address from, address into, uint96 amount)
        external
        view
        returns (uint256 out, uint256 value, uint256 fee);
    /// @notice The quote in force; zeros if none was ever posted.
    function quoteOf(address programme) external view returns (Quote memory);
    /// @notice The quote that will be in force at `effective`; zeros if none is announced.
    function announcedQuote(address programme)
        external
        view
        returns (uint64 bid, uint64 ask, uint40 until, uint88 cap, uint40 effective);
    function announcedWithdrawal(address programme) external view returns (address to, uint96 amount, uint40 due);
    function payoutOf(address charity) external view returns (address);
    function marginOf(address account) external view returns (uint256);
    /// @notice Settlement base units that may still leave `programme`'s margin today.
    function capLeft(address programme) external view returns (uint256);
    /// @notice Whether the pair trades: both programmes have opened it. Symmetric.
    function partners(address from, address into) external view returns (bool);
    function nonceOf(address account) external view returns (uint64);
    function isCharity(address account) external view returns (bool);
    function campaignOf(uint32 number)
        external
        view
        returns (address charity, uint96 goal, uint40 end, uint256 raised);
    /// @notice `pool` is what is left of it; zeros without a sponsor.
    function matchOf(uint32 number) external view returns (address sponsor, uint32 ratio, uint96 pool, uint40 until);
    function pausedUntil() external view returns (uint40);
    function guardian() external view returns (address);
    function settlementToken() external view returns (address);
    function factory() external view returns (address);
    function owner() external view returns (address);
    function MAX_FEE_BPS() external view returns (uint16);
}
