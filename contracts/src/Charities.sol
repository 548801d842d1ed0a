// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Quotes} from "./Quotes.sol";
import {IExchange} from "./interfaces/IExchange.sol";
import {Acts} from "./libraries/Acts.sol";
import {Position} from "./types/Position.sol";

/// @title Charities, their campaigns, and sponsors who match what others give
abstract contract Charities is Quotes {
    /// A gift's campaign. The goal is what is hoped for, not a bound.
    struct Campaign {
        address charity;
        uint40 end;
        uint40 matchUntil;
        uint96 goal;
        uint96 raised; // gifts and matches
        uint32 ratio; // of the match to the gift, in basis points
        address sponsor;
        uint96 pool; // what the sponsor will still match
    }

    uint32 private _campaigns;
    mapping(uint32 campaign => Campaign) private _campaign;

    /// @inheritdoc IExchange
    function registerCharity(address charity, bytes32 name) external onlyOwner {
        if (charity == address(0)) revert ZeroAddress();
        Position position = _members[charity].position;
        if (position.isCharity()) revert AlreadyRegistered(charity);
        _members[charity].position = position.asCharity();
        emit CharityRegistered(charity, name);
    }

    /// @inheritdoc IExchange
    function openCampaign(address charity, uint96 goal, uint40 end) external onlyOwner returns (uint32 number) {
        if (!_members[charity].position.isCharity()) revert UnknownCharity(charity);
        number = ++_campaigns;
        if (end <= block.timestamp) revert CampaignEnded(number, end);
        Campaign storage campaign = _campaign[number];
        campaign.charity = charity;
        campaign.end = end;
        campaign.goal = goal;
        emit CampaignOpened(number, charity, goal, end);
    }

    /// @inheritdoc IExchange
    function nameSponsor(uint32 number, address sponsor) external onlyOwner {
        Campaign storage campaign = _known(number);
        if (sponsor == campaign.charity) revert InvalidMatch();
        campaign.sponsor = sponsor;
        (campaign.ratio, campaign.pool, campaign.matchUntil) = (0, 0, 0);
        emit SponsorNamed(number, sponsor);
    }

    /// @inheritdoc IExchange
    function setMatch(uint32 number, uint32 ratio, uint96 pool, uint40 until, uint64 nonce, bytes calldata signature)
        external
    {
        Campaign storage campaign = _known(number);
        address sponsor = campaign.sponsor;
        if (sponsor == address(0)) revert InvalidMatch();
        address signer = _isProgramme(sponsor) ? _programmeOwner(sponsor) : sponsor;
        _authorise(sponsor, signer, Acts.match_(sponsor, number, ratio, pool, until, nonce), nonce, signature);
        (campaign.ratio, campaign.pool, campaign.matchUntil) = (ratio, pool, until);
        emit MatchSet(number, sponsor, ratio, pool, until);
    }

    /// @dev Counts a gift to a campaign and lets its sponsor match it, as far as pool and margin go: a match never stands in
    /// the way of the gift. It is bounded by the pool alone, not by the sponsor's daily cap.
    function _raise(uint32 number, address charity, uint256 value) internal returns (address sponsor, uint256 matched) {
        Campaign storage campaign = _campaign[number];
        if (campaign.charity != charity) revert UnknownCampaign(number);
        if (block.timestamp > campaign.end) revert CampaignEnded(number, campaign.end);
        if (campaign.ratio != 0 && block.timestamp <= campaign.matchUntil) {
            sponsor = campaign.sponsor;
            Position position = _members[sponsor].position;
            matched = _least(value * campaign.ratio / BPS, campaign.pool, position.margin());
            campaign.pool -= uint96(matched);
            _move(sponsor, position, charity, matched, 0);
        }
        campaign.raised += uint96(value + matched); // values that were paid are below 2^96
    }

    function _least(uint256 a, uint256 b, uint256 c) private pure returns (uint256 least) {
        least = a < b ? a : b;
        if (c < least) least = c;
    }

    function _known(uint32 number) private view returns (Campaign storage campaign) {
        campaign = _campaign[number];
        if (campaign.charity == address(0)) revert UnknownCampaign(number);
    }

    /* VIEWS */

    /// @inheritdoc IExchange
    function isCharity(address account) external view returns (bool) {
        return _members[account].position.isCharity();
    }

    /// @inheritdoc IExchange
    function campaignOf(uint32 number)
        external
        view
        returns (address charity, uint96 goal, uint40 end, uint256 raised)
    {
        Campaign storage campaign = _known(number);
        return (campaign.charity, campaign.goal, campaign.end, campaign.raised);
    }

    /// @inheritdoc IExchange
    function matchOf(uint32 number) external view returns (address sponsor, uint32 ratio, uint96 pool, uint40 until) {
        Campaign storage campaign = _known(number);
        return (campaign.sponsor, campaign.ratio, campaign.pool, campaign.matchUntil);
    }
}
