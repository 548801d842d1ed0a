// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Domain} from "./Domain.sol";
import {Factory} from "./Factory.sol";
import {IExchange} from "./interfaces/IExchange.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {Acts} from "./libraries/Acts.sol";
import {Packed} from "./libraries/Packed.sol";
import {Signature} from "./libraries/Signature.sol";
import {Position} from "./types/Position.sol";
import {Posted, PostedLibrary} from "./types/Posted.sol";

/// @title The exchange, as `IExchange` describes it
contract Exchange is IExchange, Domain {
    /// A gift's campaign. The goal is what is hoped for, not a bound.
    struct Campaign {
        address charity;
        uint40 end;
        uint96 goal;
        uint96 raised;
    }

    /* CONSTANTS AND IMMUTABLES */

    uint256 private constant BPS = 10_000;
    uint256 private constant BOTH = 3;

    address public immutable settlementToken;
    address public immutable factory;
    uint16 public immutable MAX_FEE_BPS;

    /* STORAGE */

    address public owner;
    uint32 private _campaigns;
    address private _feeAccount;
    uint16 private _feeBps;
    mapping(address programme => Posted) private _posted;
    mapping(address account => Position) private _positions;
    /// Both directions of consent of one pair: bit 0 is the lower address's, bit 1 the higher one's.
    mapping(bytes32 pair => uint256) private _consents;
    mapping(uint32 campaign => Campaign) private _campaign;

    modifier onlyOwner() {
        if (msg.sender != owner) revert OnlyOwner(msg.sender);
        _;
    }

    /// @param maxFeeBps the network fee's bound, for ever
    constructor(address settlementToken_, address owner_, uint16 maxFeeBps) {
        if (owner_ == address(0) || settlementToken_ == address(0)) revert ZeroAddress();
        if (maxFeeBps > BPS) revert FeeTooHigh(maxFeeBps, BPS);
        settlementToken = settlementToken_;
        MAX_FEE_BPS = maxFeeBps;
        owner = owner_;
        factory = address(new Factory(address(this)));
        emit OwnershipTransferred(address(0), owner_);
    }

    /* ACTS OF AN ACCOUNT'S OWNER */

    /// @inheritdoc IExchange
    function setQuote(address programme, Quote calldata quote, uint64 nonce, bytes calldata signature) external {
        address signer = _programmeOwner(programme);
        if (quote.bid == 0 || quote.bid > quote.ask || quote.until <= block.timestamp) revert InvalidQuote();
        bytes32 act = Acts.quote(programme, quote.bid, quote.ask, quote.until, quote.cap, nonce);
        _authorise(programme, signer, act, nonce, signature);
        _posted[programme] = PostedLibrary.pack(quote.bid, quote.ask, quote.until, quote.cap);
        emit Quoted(programme, quote.bid, quote.ask, quote.until, quote.cap, block.timestamp);
    }

    /// @inheritdoc IExchange
    function setPartner(address programme, address partner, bool allowed, uint64 nonce, bytes calldata signature)
        external
    {
        address signer = _programmeOwner(programme);
        if (!_isProgramme(partner)) revert UnknownProgramme(partner);
        if (partner == programme) revert NotPartners(programme, partner);
        _authorise(programme, signer, Acts.partner(programme, partner, allowed, nonce), nonce, signature);
        bytes32 pair = _pair(programme, partner);
        uint256 consent = programme < partner ? 1 : 2;
        _consents[pair] = allowed ? _consents[pair] | consent : _consents[pair] & ~consent;
        emit PartnerSet(programme, partner, allowed);
    }

    /// @inheritdoc IExchange
    function withdraw(address account, address to, uint96 amount, uint64 nonce, bytes calldata signature) external {
        if (amount == 0) revert ZeroAmount();
        if (to == address(0)) revert ZeroAddress();
        address signer = _isProgramme(account) ? IPoints(account).owner() : account;
        _authorise(account, signer, Acts.withdraw(account, to, amount, nonce), nonce, signature);
        Position position = _positions[account];
        _checkMargin(account, position, amount);
        _positions[account] = position.debited(amount);
        SafeERC20.safeTransfer(IERC20(settlementToken), to, amount);
        emit Withdrawn(account, to, amount);
    }

    /// @dev Lets an act of `account` pass if its owner calls, or signed it, and counts it.
    function _authorise(address account, address signer, bytes32 act, uint64 nonce, bytes calldata signature) private {
        Position position = _positions[account];
        if (nonce != position.nonce()) revert InvalidNonce(account, nonce);
        bool itself = signature.length == 0 && msg.sender == signer;
        if (!itself && !Signature.isValid(signer, _digest(act), signature)) revert InvalidSignature(signer);
        _positions[account] = position.nextNonce();
    }

    /* MARGIN */

    /// @inheritdoc IExchange
    function deposit(address account, uint96 amount) external {
        if (amount == 0) revert ZeroAmount();
        if (account == address(0)) revert ZeroAddress();
        uint256 before = IERC20(settlementToken).balanceOf(address(this));
        SafeERC20.safeTransferFrom(IERC20(settlementToken), msg.sender, address(this), amount);
        uint256 received = IERC20(settlementToken).balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedDeposit(amount, received);
        _positions[account] = _positions[account].credited(amount);
        emit Deposited(account, msg.sender, amount);
    }

    /// @dev The only way from one margin to another: one integer on both sides, so that the sum of all margins is what
    /// the exchange holds. It counts against the payer's daily cap.
    function _move(address from, uint256 cap, address into, uint256 value) private {
        Position payer = _positions[from];
        uint256 spent = _checkRoom(from, payer, cap, value);
        _positions[from] = payer.debited(value).withSpent(spent + value, _today());
        _positions[into] = _positions[into].credited(value);
    }

    /// @return spent what left the margin today so far
    function _checkRoom(address account, Position position, uint256 cap, uint256 value)
        private
        view
        returns (uint256 spent)
    {
        spent = position.spent(_today());
        uint256 left = cap > spent ? cap - spent : 0;
        if (value > left) revert DailyCapExceeded(account, left, value);
        _checkMargin(account, position, value);
    }

    function _checkMargin(address account, Position position, uint256 value) private pure {
        if (value > position.margin()) revert MarginTooLow(account, position.margin(), value);
    }

    /* SWAPS AND GIFTS */

    /// @inheritdoc IExchange
    function swap(
        address from,
        address holder,
        uint96 amount,
        address into,
        uint96 minimum,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) external returns (uint256 out) {
        bytes memory intent = abi.encodePacked(
            IPoints.executePacked.selector, Packed.SWAP, holder, amount, nonce, deadline, into, minimum, signature
        );
        return _swap(from, holder, amount, into, minimum, intent);
    }

    /// @inheritdoc IExchange
    function give(
        address programme,
        address holder,
        uint96 amount,
        address charity,
        uint32 campaign,
        uint40 nonce,
        uint40 deadline,
        bytes calldata signature
    ) external returns (uint256 value) {
        bytes memory intent = abi.encodePacked(
            IPoints.executePacked.selector, Packed.GIVE, holder, amount, nonce, deadline, charity, campaign, signature
        );
        return _give(programme, holder, amount, charity, campaign, intent);
    }

    /// @inheritdoc IExchange
    function executePacked() external returns (uint256 result) {
        address programme = Packed.addressAt(4);
        uint256 kind = Packed.uintAt(24, 1);
        address holder = Packed.addressAt(25);
        uint96 amount = uint96(Packed.uintAt(45, 12));
        address counterparty = Packed.addressAt(67);
        bytes memory intent = abi.encodePacked(IPoints.executePacked.selector, msg.data[24:]);
        if (kind == Packed.SWAP) {
            return _swap(programme, holder, amount, counterparty, Packed.uintAt(87, 12), intent);
        }
        if (kind == Packed.GIVE) {
            return _give(programme, holder, amount, counterparty, uint32(Packed.uintAt(87, 4)), intent);
        }
        revert IPoints.UnknownKind(kind);
    }

    /// @param intent the call of the token that burns by the holder's signature. It says the same as the other parameters.
    function _swap(
        address from,
        address holder,
        uint96 amount,
        address into,
        uint256 minimum,
        bytes memory intent
    ) private returns (uint256 out) {
        uint256 value;
        uint256 fee;
        uint256 cap;
        (out, value, fee, cap) = _price(from, into, amount);
        if (out < minimum) revert BelowMinimum(out, minimum);

        _move(from, cap, into, value - fee);
        if (fee > 0) _move(from, cap, _feeAccount, fee);

        bytes32 digest = _burn(from, intent);
        IPoints(into).mintForSwap(holder, uint96(out));
        emit Swapped(digest, from, into, holder, amount, out, value, fee);
    }

    /// @param intent as of `_swap`
    function _give(
        address programme,
        address holder,
        uint96 amount,
        address charity,
        uint32 campaign,
        bytes memory intent
    ) private returns (uint256 value) {
        Posted posted = _standing(programme);
        value = posted.valueDown(amount);
        if (value == 0) revert WorthNothing();
        if (!_positions[charity].isCharity()) revert UnknownCharity(charity);

        _move(programme, posted.cap(), charity, value);
        if (campaign != 0) _raise(campaign, charity, value);

        bytes32 digest = _burn(programme, intent);
        emit Given(digest, programme, charity, holder, campaign, amount, value);
    }

    /// @dev Lets the token check and burn; its reason is passed on. `programme` has posted a quote, so it is a token that
    /// our factory made: it answers with the digest or reverts.
    function _burn(address programme, bytes memory intent) private returns (bytes32 digest) {
        assembly ("memory-safe") {
            if iszero(call(gas(), programme, 0, add(intent, 0x20), mload(intent), 0, 0x20)) {
                let reason := mload(0x40)
                returndatacopy(reason, 0, returndatasize())
                revert(reason, returndatasize())
            }
            digest := mload(0)
        }
    }

    function _raise(uint32 number, address charity, uint256 value) private {
        Campaign storage campaign = _campaign[number];
        if (campaign.charity != charity) revert UnknownCampaign(number);
        if (block.timestamp > campaign.end) revert CampaignEnded(number, campaign.end);
        campaign.raised += uint96(value); // a value that was paid is below 2^96
    }

    /// @dev The arithmetic of `IExchange`: value down, fee up, points down. Every rounding is against the holder.
    function _price(address from, address into, uint96 amount)
        private
        view
        returns (uint256 out, uint256 value, uint256 fee, uint256 cap)
    {
        Posted bought = _standing(from);
        Posted sold = _standing(into);
        if (_consents[_pair(from, into)] != BOTH) revert NotPartners(from, into);
        value = bought.valueDown(amount);
        fee = (value * _feeBps + BPS - 1) / BPS;
        out = sold.pointsDown(value - fee);
        if (out == 0) revert WorthNothing();
        if (out > type(uint96).max) revert IPoints.SupplyCapExceeded(type(uint96).max, out);
        cap = bought.cap();
    }

    /// @dev A quote that was posted and is not void. A programme without one trades nothing, and is not even asked
    /// whether it is one: only programmes can post.
    function _standing(address programme) private view returns (Posted posted) {
        posted = _posted[programme];
        if (block.timestamp > posted.until()) {
            if (!_isProgramme(programme)) revert UnknownProgramme(programme);
            revert QuoteExpired(programme, posted.until());
        }
    }

    /* THE NETWORK'S OWNER */

    /// @inheritdoc IExchange
    function registerCharity(address charity, bytes32 name) external onlyOwner {
        if (charity == address(0)) revert ZeroAddress();
        Position position = _positions[charity];
        if (position.isCharity()) revert AlreadyRegistered(charity);
        _positions[charity] = position.asCharity();
        emit CharityRegistered(charity, name);
    }

    /// @inheritdoc IExchange
    function openCampaign(address charity, uint96 goal, uint40 end) external onlyOwner returns (uint32 campaign) {
        if (!_positions[charity].isCharity()) revert UnknownCharity(charity);
        campaign = ++_campaigns;
        if (end <= block.timestamp) revert CampaignEnded(campaign, end);
        _campaign[campaign] = Campaign({charity: charity, end: end, goal: goal, raised: 0});
        emit CampaignOpened(campaign, charity, goal, end);
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

    /* VIEWS */

    /// @inheritdoc IExchange
    function previewSwap(address from, address into, uint96 amount)
        external
        view
        returns (uint256 out, uint256 value, uint256 fee)
    {
        uint256 cap;
        (out, value, fee, cap) = _price(from, into, amount);
        _checkRoom(from, _positions[from], cap, value);
        uint256 supply = IPoints(into).totalSupply() + out;
        uint256 supplyCap = IPoints(into).limits().supplyCap;
        if (supply > supplyCap) revert IPoints.SupplyCapExceeded(supplyCap, supply);
    }

    /// @inheritdoc IExchange
    function quoteOf(address programme) external view returns (Quote memory) {
        Posted posted = _posted[programme];
        return Quote({bid: posted.bid(), ask: posted.ask(), until: posted.until(), cap: posted.cap()});
    }

    /// @inheritdoc IExchange
    function marginOf(address account) external view returns (uint256) {
        return _positions[account].margin();
    }

    /// @inheritdoc IExchange
    function capLeft(address programme) external view returns (uint256) {
        uint256 cap = _posted[programme].cap();
        uint256 spent = _positions[programme].spent(_today());
        return cap > spent ? cap - spent : 0;
    }

    /// @inheritdoc IExchange
    function partners(address from, address into) external view returns (bool) {
        return _consents[_pair(from, into)] == BOTH;
    }

    /// @inheritdoc IExchange
    function nonceOf(address account) external view returns (uint64) {
        return _positions[account].nonce();
    }

    /// @inheritdoc IExchange
    function isCharity(address account) external view returns (bool) {
        return _positions[account].isCharity();
    }

    /// @inheritdoc IExchange
    function campaignOf(uint32 campaign)
        external
        view
        returns (address charity, uint96 goal, uint40 end, uint256 raised)
    {
        Campaign storage found = _campaign[campaign];
        if (found.charity == address(0)) revert UnknownCampaign(campaign);
        return (found.charity, found.goal, found.end, found.raised);
    }

    function _programmeOwner(address programme) private view returns (address) {
        if (!_isProgramme(programme)) revert UnknownProgramme(programme);
        return IPoints(programme).owner();
    }

    function _isProgramme(address account) private view returns (bool) {
        return Factory(factory).isProgramme(account);
    }

    function _pair(address a, address b) private pure returns (bytes32) {
        (address low, address high) = a < b ? (a, b) : (b, a);
        return keccak256(abi.encode(low, high));
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }
}
