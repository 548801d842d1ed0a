// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Charities} from "./Charities.sol";
import {Margins} from "./Margins.sol";
import {Network} from "./Network.sol";
import {Signed} from "./Signed.sol";
import {IExchange} from "./interfaces/IExchange.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {Packed} from "./libraries/Packed.sol";
import {Position} from "./types/Position.sol";
import {Posted} from "./types/Posted.sol";

/// @title The exchange, as `IExchange` describes it
/// @dev The network's owner and guardian are in `Network`, settlement tokens in `Margins`, terms in `Quotes`, charities
/// in `Charities`; here is what moves points: swaps and gifts.
contract Exchange is Charities {
    /// @param maxFeeBps the network fee's bound, for ever; @param rpIdHash_ SHA-256 of the domain of the passkeys
    constructor(address settlementToken_, address owner_, uint16 maxFeeBps, bytes32 rpIdHash_)
        Network(owner_, maxFeeBps)
        Signed(rpIdHash_)
        Margins(settlementToken_)
    {}

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
        return _give(programme, amount, charity, campaign, intent);
    }

    /// @inheritdoc IExchange
    function executePacked() external returns (uint256 result) {
        address programme = Packed.addressAt(4);
        uint256 kind = Packed.uintAt(24, 1);
        uint256 amount = Packed.uintAt(45, 12);
        address counterparty = Packed.addressAt(67);
        bytes memory intent = _passedOn();
        if (kind == Packed.SWAP) {
            return _swap(programme, Packed.addressAt(25), amount, counterparty, Packed.uintAt(87, 12), intent);
        }
        if (kind == Packed.GIVE) {
            return _give(programme, amount, counterparty, uint32(Packed.uintAt(87, 4)), intent);
        }
        revert IPoints.UnknownKind(kind);
    }

    /// @param intent the call of the token that burns by the holder's signature. It says the same as the other
    /// parameters.
    function _swap(address from, address holder, uint256 amount, address into, uint256 minimum, bytes memory intent)
        private
        returns (uint256 out)
    {
        Member storage buyer = _members[from];
        Member storage seller = _members[into];
        Position paying = buyer.position;
        Position paid = seller.position;
        uint256 value;
        uint256 fee;
        (out, value, fee, paying) = _price(from, buyer, paying, into, seller, paid, amount);
        if (out < minimum) revert BelowMinimum(out, minimum);
        _move(from, buyer, paying, seller, paid, value, fee);
        bytes32 digest = _ask(from, intent);
        // A token of our factory calls nobody: nothing comes between its event and ours. Its supply is not needed.
        // slither-disable-next-line unused-return,reentrancy-events
        IPoints(into).creditAgainstMargin(holder, uint96(out));
        emit Swapped(digest, from, into, value, fee);
    }

    /// @param intent as of `_swap`
    function _give(address programme, uint256 amount, address charity, uint32 campaign, bytes memory intent)
        private
        returns (uint256 value)
    {
        Member storage giver = _members[programme];
        Position paying = giver.position;
        Posted posted = _standing(programme, paying, giver);
        value = posted.valueDown(amount);
        if (value == 0) revert WorthNothing();
        Member storage taker = _members[charity];
        Position paid = taker.position;
        if (!paid.isCharity()) revert UnknownCharity(charity);
        _move(programme, giver, _counted(programme, paying, posted.cap(), value), taker, paid, value, 0);
        bytes32 digest = _ask(programme, intent);
        emit Given(digest, programme, charity, campaign, value);
        if (campaign == 0) return value;
        (address sponsor, uint256 matched) = _raise(campaign, charity, value);
        if (matched > 0) emit Matched(digest, campaign, sponsor, charity, matched);
    }

    /// @dev The packed intent in calldata as a call of the token: everything behind the programme's address, after the
    /// token's own selector.
    function _passedOn() private pure returns (bytes memory intent) {
        bytes4 selector = IPoints.executePacked.selector;
        assembly ("memory-safe") {
            if lt(calldatasize(), 24) { revert(0, 0) }
            let size := sub(calldatasize(), 20) // without the programme; its selector takes the place of ours
            intent := mload(0x40)
            mstore(intent, size)
            mstore(add(intent, 0x20), selector)
            calldatacopy(add(intent, 0x24), 24, sub(size, 4))
            mstore(0x40, and(add(intent, add(size, 0x3f)), not(0x1f)))
        }
    }

    /// @dev Lets a token do its part; the reason of a refusal is passed on. `programme` has posted a quote, so it is a
    /// token that our factory made: there is code, and it answers with one word.
    function _ask(address programme, bytes memory part) private returns (bytes32 answer) {
        assembly ("memory-safe") {
            if iszero(call(gas(), programme, 0, add(part, 0x20), mload(part), 0, 0x20)) {
                let reason := mload(0x40)
                returndatacopy(reason, 0, returndatasize())
                revert(reason, returndatasize())
            }
            answer := mload(0)
        }
    }

    /// @dev The arithmetic of `IExchange`: value down, fee up, points down. Every rounding is against the holder.
    /// `counted` is the position of `from` with the value counted, but not taken.
    function _price(
        address from,
        Member storage buyer,
        Position paying,
        address into,
        Member storage seller,
        Position paid,
        uint256 amount
    ) private view returns (uint256 out, uint256 value, uint256 fee, Position counted) {
        uint256 feeBps = _feeBps;
        if (block.timestamp < _pausedUntil) revert Paused(_pausedUntil);
        Posted bought = _standing(from, paying, buyer);
        Posted sold = _standing(into, paid, seller);
        if (!_arePartners(from, into)) revert NotPartners(from, into);
        value = bought.valueDown(amount);
        unchecked {
            // 160 + 16 bits; and a fee, of at most the whole, is never more than its value.
            if (feeBps > 0) fee = (value * feeBps + BPS - 1) / BPS;
            out = sold.pointsDown(value - fee);
        }
        if (out == 0) revert WorthNothing();
        if (out > type(uint96).max) revert IPoints.SupplyCapExceeded(type(uint96).max, out);
        counted = _counted(from, paying, bought.cap(), value);
    }

    /// @inheritdoc IExchange
    function previewSwap(address from, address into, uint96 amount)
        external
        view
        returns (uint256 out, uint256 value, uint256 fee)
    {
        Member storage buyer = _members[from];
        Member storage seller = _members[into];
        Position counted;
        (out, value, fee, counted) = _price(from, buyer, buyer.position, into, seller, seller.position, amount);
        _checkMargin(from, counted, value);
        uint256 supply = IPoints(into).totalSupply() + out;
        uint256 supplyCap = IPoints(into).limits().supplyCap;
        if (supply > supplyCap) revert IPoints.SupplyCapExceeded(supplyCap, supply);
    }
}
