// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IFactory} from "../../src/interfaces/IFactory.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {PositionLibrary} from "../../src/types/Position.sol";
import {Keys, Kind, MINT, Person, SEND, WITHDRAW} from "../invariant/Keys.sol";

/// @dev A settlement token that lets its receiver, or whoever pays, act in the middle of a transfer.
contract Telltale is ERC20("Telltale", "TELL") {
    address private _told;
    bytes private _message;
    bool public succeeded;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function tell(address told, bytes calldata message) external {
        (_told, _message) = (told, message);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (_told == address(0)) return;
        address told = _told;
        _told = address(0);
        (succeeded,) = told.call(_message);
    }
}

/// @title What happens at the ends of counters, of the calendar and of numbers, and in the middle of a transfer
/// @notice States that nobody reaches by using the contracts for a day, or a century.
contract EdgesTest is Keys {
    uint256 private constant BATCHES = 4_096;

    IExchange private _exchange;
    Telltale private _settlement;
    IPoints private _token;
    Person private _issuer;
    Person private _holder;
    Person private _charity;
    uint256 private _issuanceSlot;

    function setUp() external {
        vm.warp(1_900_000_000);
        (_issuer, _holder) = (_person(Kind.Secp256k1, "issuer"), _person(Kind.Secp256k1, "holder"));
        _charity = _person(Kind.Secp256k1, "charity");
        _settlement = new Telltale();
        bytes memory terms = abi.encode(_settlement, address(this), uint16(0), sha256(bytes(RELYING_PARTY)));
        _exchange = IExchange(vm.deployCode("artifacts/Exchange.json", terms));
        _exchange.registerCharity(_charity.account, "charity");
        IPoints.Limits memory limits =
            IPoints.Limits(type(uint96).max, type(uint96).max, type(uint96).max, type(uint96).max);
        IPoints.Roles memory roles = IPoints.Roles(address(this), _issuer.account);
        IPoints.Terms memory lasting = IPoints.Terms(type(uint16).max, type(uint96).max);
        address token = IFactory(_exchange.factory()).create("points", "PTS", roles, limits, lasting, 0);
        _token = IPoints(token);
        _issuanceSlot = _slotOfIssuance();
    }

    /* COUNTERS */

    /// @dev The largest number is never minted: after it every batch could be minted once more.
    function test_noBatchIsMintedTwiceAtTheEndOfNumbers() external {
        _setNext(type(uint32).max - 1);
        _mint(type(uint32).max - 1, 5);
        assertEq(_token.nextBatch(), type(uint32).max, "one number is left");
        _refused(_mintCall(type(uint32).max, 5), abi.encodeWithSignature("Panic(uint256)", 0x11));
        assertEq(_token.nextBatch(), type(uint32).max, "and is left for ever");
        assertEq(_token.totalSupply(), 5, "nothing was minted by it");
    }

    function test_theLastNonceSends() external {
        _mint(1, 100);
        // The window jumps by at most 65,536 at a time: put it where 2^24 jumps would bring it.
        uint256 last = 2 ** 40 - 128 - 1;
        uint256 word = _token.accountOf(_holder.account);
        bytes32 slot = _slotOfHolder();
        vm.store(address(_token), slot, bytes32(word | (last - 95) << 120 | uint256(1) << 160));
        _send(uint40(last), 1);
        assertEq(_token.balanceOf(_holder.account), 99, "sent");
        (bool succeeded,) = address(_token).call(_sendCall(uint40(last), 1));
        assertTrue(!succeeded, "once");
        (succeeded,) = address(_token).call(_sendCall(uint40(last + 1), 1));
        assertTrue(!succeeded, "none comes after it");
        (succeeded,) = address(_token).call(_sendCall(type(uint40).max, 1));
        assertTrue(!succeeded, "the largest number is no nonce");
        assertEq(_token.balanceOf(_holder.account), 99, "nothing more was sent");
    }

    function test_aRefundIsPossibleForAsManyBatchesAsAreKept() external {
        for (uint32 batch = 1; batch <= BATCHES; ++batch) {
            _mint(batch, 1);
        }
        _refund(1);
        _mint(uint32(BATCHES + 1), 1);
        _mint(uint32(BATCHES + 2), 1);
        bytes memory reason = abi.encodeWithSelector(IPoints.UnknownReceipt.selector, 2, 0);
        vm.prank(_issuer.account);
        _refused(_refundCall(2), reason);
        _refund(3);
        assertEq(_token.totalSupply(), BATCHES, "two of them came back");
    }

    /* THE CALENDAR */

    /// @dev The bucket's clock has 32 bits.
    function test_mintingGoesOnAfterTheYear2106() external {
        _mint(1, type(uint96).max);
        vm.warp(2 ** 32 - 5);
        _send(0, type(uint96).max);
        vm.warp(2 ** 32 + 5);
        assertEq(_token.bucketAvailable(), type(uint96).max, "it has filled again");
        vm.expectRevert(
            abi.encodeWithSelector(IPoints.SupplyCapExceeded.selector, type(uint96).max, uint256(type(uint96).max) + 1)
        );
        _mint(2, 1);
    }

    /* NUMBERS */

    function testFuzz_aBalanceThatWouldOverflowIsNotMinted(uint96 first, uint96 second) external {
        first = uint96(within(first, 1, type(uint96).max));
        second = uint96(within(second, 1, type(uint96).max));
        _mint(1, first);
        vm.warp(block.timestamp + 1); // the bucket is full again
        uint256 sum = uint256(first) + second;
        if (sum > type(uint96).max) {
            _refused(
                _mintCall(2, second), abi.encodeWithSelector(IPoints.SupplyCapExceeded.selector, type(uint96).max, sum)
            );
        } else {
            _mint(2, second);
        }
        assertEq(_token.balanceOf(_holder.account), sum > type(uint96).max ? first : sum, "the balance");
        assertEq(_token.totalSupply(), _token.balanceOf(_holder.account), "the supply");
    }

    function test_aMarginHoldsNoMoreThanItsWord() external {
        _settlement.mint(address(this), uint256(type(uint96).max) + 1);
        _settlement.approve(address(_exchange), type(uint256).max);
        _exchange.deposit(address(this), type(uint96).max);
        vm.expectRevert(abi.encodeWithSelector(PositionLibrary.MarginOverflow.selector, uint256(type(uint96).max), 1));
        _exchange.deposit(address(this), 1);
    }

    /* THE CHAIN'S NUMBER */

    function testFuzz_noSignatureSurvivesAFork(uint64 chain) external {
        _mint(1, 100);
        bytes memory here = _sendCall(0, 1);
        chain = uint64(within(chain, 1, type(uint64).max - 1));
        vm.assume(chain != block.chainid);
        vm.chainId(chain);
        _refused(here, abi.encodeWithSelector(IPoints.InvalidSignature.selector, _holder.account));
        _send(0, 1); // signed for the new chain
        assertEq(_token.balanceOf(_holder.account), 99, "sent");
    }

    /* IN THE MIDDLE */

    /// @dev While the exchange pays out, its token calls back and asks for the same once more.
    function test_aWithdrawalCannotBeEnteredTwice() external {
        _settlement.mint(address(this), 100);
        _settlement.approve(address(_exchange), 100);
        _exchange.deposit(_charity.account, 60);
        _exchange.deposit(address(this), 40);
        _settlement.tell(address(_exchange), _withdrawal(40, 0));
        (bool succeeded,) = address(_exchange).call(_withdrawal(40, 0));
        assertTrue(succeeded && !_settlement.succeeded(), "once");
        assertEq(_settlement.balanceOf(_charity.account), 40, "paid once");
        // The nonce after this one: a second act, and not the same a second time.
        _settlement.tell(address(_exchange), _withdrawal(20, 2));
        (succeeded,) = address(_exchange).call(_withdrawal(20, 1));
        assertTrue(succeeded && !_settlement.succeeded(), "no more than there is");
        assertEq(_exchange.marginOf(_charity.account), 0, "all of it");
        assertEq(_settlement.balanceOf(address(_exchange)), 40, "and nothing of others");
    }

    /// @dev A deposit that a withdrawal interrupts is no longer what was asked, and is refused whole.
    function testFuzz_aDepositCannotBeInterrupted(uint96 held, uint96 wanted, uint96 taken) external {
        held = uint96(within(held, 1, 2 ** 90));
        wanted = uint96(within(wanted, 1, 2 ** 90));
        taken = uint96(within(taken, 1, held < wanted ? held : wanted));
        _settlement.mint(address(this), type(uint128).max);
        _settlement.approve(address(_exchange), type(uint256).max);
        _exchange.deposit(_charity.account, held);
        _settlement.tell(address(_exchange), _withdrawal(taken, 0));
        vm.expectRevert(
            abi.encodeWithSelector(IExchange.UnexpectedDeposit.selector, uint256(wanted), uint256(wanted - taken))
        );
        _exchange.deposit(address(this), wanted);
        assertEq(_settlement.balanceOf(address(_exchange)), held, "what was there");
        assertEq(_exchange.marginOf(_charity.account), held, "and whose");
    }

    /* ACTS */

    function _mintCall(uint32 batch, uint96 amount) private view returns (bytes memory) {
        bytes memory entries = abi.encodePacked(_holder.account, amount);
        bytes32 facts =
            keccak256(abi.encode(block.chainid, _token, batch, 0, _holder.account, amount, bytes32(uint256(batch))));
        bytes32 root = keccak256(abi.encodePacked(bytes1(0), facts));
        bytes32 digest = _digest(address(_token), MINT, abi.encode(batch, root, keccak256(entries)));
        return abi.encodeCall(IPoints.mint, (batch, root, entries, _sign(_issuer, digest, VERIFIED)));
    }

    function _mint(uint32 batch, uint96 amount) private {
        _call(_mintCall(batch, amount));
    }

    /// @dev Of one entry of one point, whose purchase is its batch's number.
    function _refundCall(uint32 batch) private view returns (bytes memory) {
        bytes memory entries = abi.encodePacked(_holder.account, uint96(1));
        bytes32 purchase = bytes32(uint256(batch));
        return abi.encodeCall(IPoints.clawback, (batch, 0, purchase, 1, entries, new bytes32[](0), ""));
    }

    function _refund(uint32 batch) private {
        vm.prank(_issuer.account);
        _call(_refundCall(batch));
    }

    function _sendCall(uint40 nonce, uint96 amount) private view returns (bytes memory) {
        bytes memory words = abi.encode(_holder.account, address(this), amount, nonce, type(uint40).max);
        bytes memory signature = _sign(_holder, _digest(address(_token), SEND, words), PRESENT);
        return
            abi.encodeCall(IPoints.send, (_holder.account, address(this), amount, nonce, type(uint40).max, signature));
    }

    function _send(uint40 nonce, uint96 amount) private {
        _call(_sendCall(nonce, amount));
    }

    function _withdrawal(uint96 amount, uint64 nonce) private view returns (bytes memory) {
        address account = _charity.account;
        bytes memory words = abi.encode(account, account, amount, nonce);
        bytes memory signature = _sign(_charity, _digest(address(_exchange), WITHDRAW, words), VERIFIED);
        return abi.encodeCall(IExchange.withdraw, (account, account, amount, nonce, signature));
    }

    function _call(bytes memory data) private {
        (bool succeeded, bytes memory reason) = address(_token).call(data);
        if (succeeded) return;
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }

    function _refused(bytes memory data, bytes memory expected) private {
        (bool succeeded, bytes memory reason) = address(_token).call(data);
        assertTrue(!succeeded, "refused");
        assertEq(reason, expected, "for its reason");
    }

    /* STORAGE */

    /// @dev The issuance's word is the token's first: next batch 1, the bucket full, no supply.
    function _slotOfIssuance() private view returns (uint256 slot) {
        bytes memory word = abi.encodePacked(uint32(1), uint32(block.timestamp), type(uint96).max, uint96(0));
        while (vm.load(address(_token), bytes32(slot)) != bytes32(word)) ++slot;
    }

    function _setNext(uint32 next) private {
        uint256 word = uint256(vm.load(address(_token), bytes32(_issuanceSlot)));
        word = word << 32 >> 32 | uint256(next) << 224;
        vm.store(address(_token), bytes32(_issuanceSlot), bytes32(word));
    }

    /// @dev The accounts are in the first mapping whose entry for the holder is the holder's word.
    function _slotOfHolder() private view returns (bytes32 slot) {
        uint256 word = _token.accountOf(_holder.account);
        for (uint256 place; uint256(vm.load(address(_token), slot)) != word; ++place) {
            slot = keccak256(abi.encode(_holder.account, place));
        }
    }
}
