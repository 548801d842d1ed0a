// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {PointsModel} from "./PointsModel.sol";

/// @title What the exchange should say of quotes, margins, charities and notices
/// @notice Values are computed here by checked arithmetic, from quotes that the model keeps itself.
abstract contract ExchangeModel is PointsModel {
    struct Announced {
        IExchange.Quote quote;
        uint256 from; // 0: none
    }

    struct Withdrawal {
        address to;
        uint256 amount;
        uint256 due; // 0: none
    }

    struct Payout {
        address current;
        address next;
        uint256 from; // 0: none
    }

    struct Campaign {
        address charity;
        uint256 end;
        uint256 raised;
        address sponsor;
        uint256 ratio;
        uint256 pool;
        uint256 matchUntil;
    }

    struct Price {
        bool trades;
        uint256 value;
        uint256 fee;
        uint256 out;
    }

    uint256 internal constant SCALE = 1e9;

    mapping(address account => uint256) internal _margin;
    mapping(address account => uint64) internal _accountNonce;
    mapping(address token => IExchange.Quote) internal _posted;
    mapping(address token => Announced) internal _announced;
    mapping(address token => mapping(uint256 day => uint256)) internal _leftOn;
    mapping(address token => mapping(address partner => bool)) internal _consents;
    mapping(address token => Withdrawal) internal _withdrawal;
    mapping(address charity => Payout) internal _payout;
    mapping(address charity => uint256) internal _credited; // by gifts and matches
    mapping(address charity => uint256) internal _withdrawn;
    mapping(address account => uint256) internal _otherwise; // deposits and fees
    Campaign[] internal _campaigns; // number 1 is the first
    uint256 internal _feeBps;
    address internal _feeAccount;
    uint256 internal _swapsPausedUntil;

    /* QUOTES */

    function _quote(address token) internal view returns (IExchange.Quote memory) {
        Announced storage announced = _announced[token];
        return announced.from != 0 && block.timestamp >= announced.from ? announced.quote : _posted[token];
    }

    function _post(address token, IExchange.Quote memory quote) internal {
        IExchange.Quote memory standing = _quote(token);
        bool isWorse = quote.bid < standing.bid || quote.ask > standing.ask || quote.until < standing.until
            || quote.cap < standing.cap;
        if (isWorse && block.timestamp <= standing.until) {
            _posted[token] = standing;
            _announced[token] = Announced(quote, block.timestamp + 24 hours);
        } else {
            _posted[token] = quote;
            delete _announced[token];
        }
    }

    function _capLeft(address token) internal view returns (uint256) {
        uint256 cap = _quote(token).cap;
        uint256 left = _leftOn[token][_today()];
        return cap > left ? cap - left : 0;
    }

    /* VALUE */

    function _moved(address from, address to, uint256 value) internal {
        _margin[from] -= value;
        _margin[to] += value;
    }

    function _bought(address token, uint256 amount) internal view returns (bool pays, uint256 value) {
        IExchange.Quote memory quote = _quote(token);
        value = amount * quote.bid / SCALE;
        pays = block.timestamp <= quote.until && value <= _capLeft(token) && value <= _margin[token];
    }

    function _price(address from, address into, uint256 amount) internal view returns (Price memory price) {
        IExchange.Quote memory sold = _quote(into);
        if (block.timestamp < _swapsPausedUntil || block.timestamp > sold.until) return price;
        if (!_consents[from][into] || !_consents[into][from]) return price;
        (price.trades, price.value) = _bought(from, amount);
        price.fee = (price.value * _feeBps + 9_999) / 10_000;
        price.out = (price.value - price.fee) * SCALE / sold.ask;
        if (price.out == 0 || _supply[into] + price.out > _limits(into).supplyCap) price.trades = false;
    }

    function _swapped(address from, address into, Price memory price) internal {
        _leftOn[from][_today()] += price.value;
        _moved(from, into, price.value - price.fee);
        if (price.fee != 0) {
            _moved(from, _feeAccount, price.fee);
            _otherwise[_feeAccount] += price.fee;
        }
    }

    function _given(address from, address charity, uint256 number, uint256 value) internal returns (uint256 matched) {
        _leftOn[from][_today()] += value;
        _moved(from, charity, value);
        if (number != 0) {
            Campaign storage campaign = _campaigns[number - 1];
            if (block.timestamp <= campaign.matchUntil) {
                matched = value * campaign.ratio / 10_000;
                if (matched > campaign.pool) matched = campaign.pool;
                if (matched > _margin[campaign.sponsor]) matched = _margin[campaign.sponsor];
                campaign.pool -= matched;
                _moved(campaign.sponsor, charity, matched);
            }
            campaign.raised += value + matched;
        }
        _credited[charity] += value + matched;
    }

    function _payoutOf(address charity) internal view returns (address) {
        Payout storage payout = _payout[charity];
        if (payout.from != 0 && block.timestamp >= payout.from) return payout.next;
        return payout.current == address(0) ? charity : payout.current;
    }
}
