// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Margins} from "./Margins.sol";
import {IExchange} from "./interfaces/IExchange.sol";
import {Acts} from "./libraries/Acts.sol";
import {Position} from "./types/Position.sol";
import {Posted, PostedLibrary} from "./types/Posted.sol";

/// @title On what terms programmes trade, and with whom
abstract contract Quotes is Margins {
    struct Announced {
        Posted posted;
        uint40 from;
    }

    uint256 private constant BOTH = 3;
    uint256 private constant NOTICE = 24 hours;

    /// What takes the place of the posted quote in time, for programmes whose position says that there is something.
    mapping(address programme => Announced) private _announced;
    /// Both directions of consent of one pair, kept for both orders of it: bit 0 is the lower address's, bit 1 the
    /// higher one's.
    mapping(address one => mapping(address other => uint256)) private _consents;

    /// @inheritdoc IExchange
    function setQuote(address programme, Quote calldata quote, uint64 nonce, bytes calldata signature) external {
        address signer = _programmeOwner(programme);
        if (quote.bid == 0 || quote.bid > quote.ask || quote.until <= block.timestamp) revert InvalidQuote();
        bytes32 act = Acts.quote(programme, quote.bid, quote.ask, quote.until, quote.cap, nonce);
        _authorise(programme, signer, act, nonce, signature);

        Member storage member = _members[programme];
        Posted standing = _inForce(programme, member.position, member);
        Posted posted = PostedLibrary.pack(quote.bid, quote.ask, quote.until, quote.cap);
        bool waits = block.timestamp <= standing.until() && posted.isWorseThan(standing);
        uint256 from = waits ? block.timestamp + NOTICE : block.timestamp;
        member.posted = waits ? standing : posted;
        if (waits) _announced[programme] = Announced({posted: posted, from: uint40(from)});
        member.position = member.position.withAnnounced(waits);
        emit Quoted(programme, quote.bid, quote.ask, quote.until, quote.cap, from);
    }

    /// @inheritdoc IExchange
    function setPartner(address programme, address partner, bool allowed, uint64 nonce, bytes calldata signature)
        external
    {
        address signer = _programmeOwner(programme);
        if (!_isProgramme(partner)) revert UnknownProgramme(partner);
        if (partner == programme) revert NotPartners(programme, partner);
        _authorise(programme, signer, Acts.partner(programme, partner, allowed, nonce), nonce, signature);
        uint256 consent = programme < partner ? 1 : 2;
        uint256 before = _consents[programme][partner];
        uint256 consents = allowed ? before | consent : before & ~consent;
        _consents[programme][partner] = consents;
        _consents[partner][programme] = consents;
        emit PartnerSet(programme, partner, allowed);
    }

    /// @dev A quote that was posted and is not void. A programme without one trades nothing, and is not even asked
    /// whether it is one: only programmes can post.
    /// @param position that of `member`, which is the programme's
    function _standing(address programme, Position position, Member storage member)
        internal
        view
        returns (Posted posted)
    {
        posted = member.posted;
        if (position.hasAnnounced()) posted = _inForce(programme, position, member);
        if (block.timestamp > posted.until()) _refuse(programme, posted.until());
    }

    function _refuse(address programme, uint256 until) private view {
        if (!_isProgramme(programme)) revert UnknownProgramme(programme);
        revert QuoteExpired(programme, until);
    }

    function _inForce(address programme, Position position, Member storage member) internal view returns (Posted) {
        if (position.hasAnnounced()) {
            Announced storage announced = _announced[programme];
            if (block.timestamp >= announced.from) return announced.posted;
        }
        return member.posted;
    }

    function _arePartners(address from, address into) internal view returns (bool) {
        return _consents[from][into] == BOTH;
    }

    /* VIEWS */

    /// @inheritdoc IExchange
    function quoteOf(address programme) external view returns (Quote memory) {
        Member storage member = _members[programme];
        Posted posted = _inForce(programme, member.position, member);
        return Quote({bid: posted.bid(), ask: posted.ask(), until: posted.until(), cap: posted.cap()});
    }

    /// @inheritdoc IExchange
    function announcedQuote(address programme)
        external
        view
        returns (uint64 bid, uint64 ask, uint40 until, uint88 cap, uint40 effective)
    {
        if (!_members[programme].position.hasAnnounced()) return (0, 0, 0, 0, 0);
        Announced storage announced = _announced[programme];
        if (block.timestamp >= announced.from) return (0, 0, 0, 0, 0);
        Posted posted = announced.posted;
        return (posted.bid(), posted.ask(), posted.until(), posted.cap(), announced.from);
    }

    /// @inheritdoc IExchange
    function capLeft(address programme) external view returns (uint256) {
        Member storage member = _members[programme];
        Position position = member.position;
        uint256 cap = _inForce(programme, position, member).cap();
        uint256 spent = position.spent(block.timestamp / 1 days);
        return cap > spent ? cap - spent : 0;
    }

    /// @inheritdoc IExchange
    function partners(address from, address into) external view returns (bool) {
        return _arePartners(from, into);
    }
}
