// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Exchange} from "../../src/Exchange.sol";
import {Position} from "../../src/types/Position.sol";
import {Posted} from "../../src/types/Posted.sol";
import {vm} from "./Vm.sol";

/// @title The exchange with its accounts laid open: it is the real one, and this only reaches what is internal
contract OpenExchange is Exchange {
    constructor() Exchange(address(1), msg.sender, 10_000, 0) {}

    function place(address account, uint256 position) external {
        _members[account].position = Position.wrap(position);
    }

    function placeFeeAccount(address account) external {
        _feeAccount = account;
    }

    function positionOf(address account) external view returns (uint256) {
        return Position.unwrap(_members[account].position);
    }

    function move(address from, address to, uint256 value, uint256 fee) external {
        Member storage payer = _members[from];
        Member storage payee = _members[to];
        _move(from, payer, payer.position, payee, payee.position, value, fee);
    }

    function counted(uint256 position, uint256 cap, uint256 value) external view returns (Position) {
        return _counted(address(0), Position.wrap(position), cap, value);
    }
}

/// @title The one way from margin to margin, for all accounts, positions, values and fees
/// @notice `value` and `fee` are as `_price` gives them: the value at most 160 bits, the fee a part of it.
contract MarginsProof {
    OpenExchange private _exchange;

    function setUp() public {
        _exchange = new OpenExchange();
    }

    function testAMoveKeepsTheSumOfTheMargins(uint256 payer, uint256 payee, uint256 network, uint160 value, uint160 fee)
        external
    {
        vm.assume(fee <= value);
        _place(payer, payee, network);
        _exchange.placeFeeAccount(NETWORK);
        _exchange.move(FROM, TO, value, fee);
        unchecked {
            // What one loses is the two parts that the others get.
            assert(_margin(FROM) == uint256(uint96(payer)) - value);
            assert(_margin(TO) == uint256(uint96(payee)) + (value - fee));
            assert(_margin(NETWORK) == uint256(uint96(network)) + fee);
        }
    }

    function testAMoveKeepsTheSumIfThePayerIsTheNetworksAccount(
        uint256 payer,
        uint256 payee,
        uint160 value,
        uint160 fee
    ) external {
        vm.assume(fee <= value);
        _place(payer, payee, 0);
        _exchange.placeFeeAccount(FROM);
        _exchange.move(FROM, TO, value, fee);
        assert(uint256(_margin(FROM)) + _margin(TO) == uint256(uint96(payer)) + uint96(payee));
        assert(_margin(FROM) == uint256(uint96(payer)) - value + fee);
    }

    function testAMoveKeepsTheSumIfThePayeeIsTheNetworksAccount(
        uint256 payer,
        uint256 payee,
        uint160 value,
        uint160 fee
    ) external {
        vm.assume(fee <= value);
        _place(payer, payee, 0);
        _exchange.placeFeeAccount(TO);
        _exchange.move(FROM, TO, value, fee);
        assert(uint256(_margin(FROM)) + _margin(TO) == uint256(uint96(payer)) + uint96(payee));
        assert(_margin(FROM) == uint256(uint96(payer)) - value);
    }

    function testAMoveChangesMarginsAlone(
        uint256 payer,
        uint256 payee,
        uint256 network,
        uint160 value,
        uint160 fee,
        uint8 feeAccount
    ) external {
        vm.assume(fee <= value);
        _place(payer, payee, network);
        _exchange.placeFeeAccount(feeAccount == 0 ? FROM : feeAccount == 1 ? TO : NETWORK);
        _exchange.move(FROM, TO, value, fee);
        assert(_exchange.positionOf(FROM) >> 96 == payer >> 96);
        assert(_exchange.positionOf(TO) >> 96 == payee >> 96);
        assert(_exchange.positionOf(NETWORK) >> 96 == network >> 96);
    }

    function testAMoveTouchesNobodyElse(
        uint256 payer,
        uint256 payee,
        uint256 network,
        uint160 value,
        uint160 fee,
        address other,
        uint256 position
    ) external {
        vm.assume(fee <= value);
        vm.assume(other != FROM && other != TO && other != NETWORK);
        _place(payer, payee, network);
        _exchange.place(other, position);
        _exchange.placeFeeAccount(NETWORK);
        _exchange.move(FROM, TO, value, fee);
        assert(_exchange.positionOf(other) == position);
    }

    function testAMoveSucceedsIfThePayerHasTheValueAndTheOthersHaveRoomAndOnlyThen(
        uint256 payer,
        uint256 payee,
        uint256 network,
        uint160 value,
        uint160 fee
    ) external {
        vm.assume(fee <= value);
        _place(payer, payee, network);
        _exchange.placeFeeAccount(NETWORK);
        bool can = value <= uint96(payer) && uint256(uint96(payee)) + value - fee <= type(uint96).max
            && uint256(uint96(network)) + fee <= type(uint96).max;
        try _exchange.move(FROM, TO, value, fee) {
            assert(can);
        } catch {
            assert(!can);
        }
    }

    function testNobodyPaysItself(uint256 position, uint160 value, uint160 fee) external {
        _exchange.place(FROM, position);
        try _exchange.move(FROM, FROM, value, fee) {
            assert(false);
        } catch {}
        assert(_exchange.positionOf(FROM) == position);
    }

    function testWhatIsCountedOfADayIsAtMostTheCapAndChangesNothingElse(
        uint256 word,
        uint88 cap,
        uint160 value,
        uint32 time
    ) external {
        vm.warp(time);
        uint256 today = uint256(time) / 1 days;
        uint256 spent = Position.wrap(word).spent(today);
        Position counted = _exchange.counted(word, cap, value);
        assert(counted.spent(today) == spent + value);
        assert(counted.spent(today) <= cap);
        assert(Position.unwrap(counted) & ~DAILY == word & ~DAILY);
    }

    address private constant FROM = address(0xa11ce);
    address private constant TO = address(0xb0b);
    address private constant NETWORK = address(0xfee);
    uint256 private constant DAILY = uint256(type(uint104).max) << 96;

    function _place(uint256 payer, uint256 payee, uint256 network) private {
        _exchange.place(FROM, payer);
        _exchange.place(TO, payee);
        _exchange.place(NETWORK, network);
    }

    function _margin(address account) private view returns (uint256) {
        return _exchange.marginOf(account);
    }
}
