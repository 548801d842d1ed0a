// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IFactory} from "../../src/interfaces/IFactory.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {SettlementToken} from "../../src/local/SettlementToken.sol";
import {Test, Vm} from "../Forge.sol";

/// @dev Stands where a token stood and answers with the hash of what it was asked, so that the exchange's event tells.
contract Ear {
    fallback(bytes calldata data) external returns (bytes memory) {
        return abi.encode(keccak256(data));
    }
}

/// @title What the exchange passes on of a packed intent is what it makes of a plain one
contract PassedOnTest is Test {
    uint64 private constant PRICE = 1e9;
    address private constant CHARITY = address(0xc4);

    IExchange private _exchange;
    address private _from;
    address private _into;

    struct Said {
        address holder;
        uint96 amount;
        uint40 nonce;
        uint40 deadline;
        bytes signature;
    }

    function setUp() external {
        vm.warp(1_900_000_000);
        SettlementToken settlement = new SettlementToken();
        bytes memory terms = abi.encode(settlement, address(this), uint16(0), bytes32(0));
        _exchange = IExchange(vm.deployCode("artifacts/Exchange.json", terms));
        (_from, _into) = (_programme("from"), _programme("into"));
        _exchange.setPartner(_from, _into, true, 1, "");
        _exchange.setPartner(_into, _from, true, 1, "");
        _exchange.registerCharity(CHARITY, "charity");
        settlement.mint(address(this), type(uint96).max);
        settlement.approve(address(_exchange), type(uint96).max);
        _exchange.deposit(_from, type(uint96).max);
        bytes memory ear = address(new Ear()).code;
        vm.etch(_from, ear);
        vm.etch(_into, ear);
    }

    function _programme(bytes32 name) private returns (address token) {
        IPoints.Limits memory limits = IPoints.Limits(type(uint96).max, 1, 1, 1);
        IPoints.Roles memory roles = IPoints.Roles(address(this), address(this));
        token = IFactory(_exchange.factory()).create(name, name, roles, limits, IPoints.Terms(1, 0), 0);
        IExchange.Quote memory quote = IExchange.Quote(PRICE, PRICE, type(uint40).max, type(uint88).max);
        _exchange.setQuote(token, quote, 0, "");
    }

    function test_aSwapIsPassedOn() external {
        _swap(Said(address(7), 8, 9, 10, hex"0b"), 5);
    }

    function test_anIntentWithoutASignatureIsPassedOn() external {
        _swap(Said(address(7), 8, 9, 10, ""), 5);
        _give(Said(address(7), 8, 9, 10, ""), 0);
    }

    function testFuzz_aSwapIsPassedOn(Said memory said, uint96 minimum) external {
        said.amount = uint96(within(said.amount, 1, type(uint88).max));
        _swap(said, uint96(within(minimum, 0, said.amount)));
    }

    function testFuzz_aGiftIsPassedOn(Said memory said) external {
        said.amount = uint96(within(said.amount, 1, type(uint88).max));
        _give(said, 0);
    }

    /// @dev Too short for a programme and a kind.
    function testFuzz_lessThanAnIntentIsRefused(bytes32 any, uint256 length) external {
        bytes memory short = abi.encodePacked(IExchange.executePacked.selector, any);
        length = within(length, 4, 23);
        assembly ("memory-safe") {
            mstore(short, length)
        }
        (bool succeeded, bytes memory reason) = address(_exchange).call(short);
        assertTrue(!succeeded && reason.length == 0, "refused");
    }

    function _swap(Said memory said, uint96 minimum) private {
        bytes memory direct = abi.encodeCall(
            IExchange.swap, (_from, said.holder, said.amount, _into, minimum, said.nonce, said.deadline, said.signature)
        );
        _compare(said, 2, abi.encodePacked(_into, minimum), direct);
    }

    function _give(Said memory said, uint32 campaign) private {
        bytes memory direct = abi.encodeCall(
            IExchange.give,
            (_from, said.holder, said.amount, CHARITY, campaign, said.nonce, said.deadline, said.signature)
        );
        _compare(said, 3, abi.encodePacked(CHARITY, campaign), direct);
    }

    function _compare(Said memory said, uint8 kind, bytes memory rest, bytes memory direct) private {
        bytes memory intent = bytes.concat(
            abi.encodePacked(kind, said.holder, said.amount, said.nonce, said.deadline), rest, said.signature
        );
        bytes32 expected = keccak256(bytes.concat(IPoints.executePacked.selector, intent));
        bytes memory packed = bytes.concat(abi.encodePacked(IExchange.executePacked.selector, _from), intent);
        assertEq(_heard(direct), expected, "by the plain form");
        vm.warp(block.timestamp + 1 days); // a new daily cap
        assertEq(_heard(packed), expected, "by the packed form");
    }

    /// @return what the token was called with, hashed: its answer is the intent that the exchange's event names
    function _heard(bytes memory data) private returns (bytes32) {
        vm.recordLogs();
        (bool succeeded,) = address(_exchange).call(data);
        assertTrue(succeeded, "taken");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        return logs[logs.length - 1].topics[1];
    }
}
