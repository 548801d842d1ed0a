// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {Points} from "../../src/Points.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Account} from "../../src/types/Account.sol";
import {Issuance, IssuanceLibrary} from "../../src/types/Issuance.sol";
import {vm} from "./Vm.sol";

/// @title A programme with its accounts and bounds laid open: it is the real one, and this only reaches what is internal
contract OpenPoints is Points {
    constructor(Roles memory roles, Limits memory limits_, Terms memory terms)
        Points("Open", "OPEN", roles, limits_, terms, msg.sender)
    {}

    function placeIssuance(uint96 supply, uint96 level, uint32 at, uint32 next) external {
        _issuance = IssuanceLibrary.pack(supply, level, at, next);
    }

    function placeBounds(uint96 supplyCap, uint96 entryCap, uint96 bucket, uint96 refill) external {
        (_bounds.supplyCap, _bounds.entryCap) = (supplyCap, entryCap);
        (_bounds.bucket, _bounds.refill) = (bucket, refill);
    }

    function placeLife(uint16 longer) external {
        _bounds.life = longer;
    }

    function place(address holder, uint256 word) external {
        _holdings[holder].account = Account.wrap(word);
    }

    function issuance() external view returns (uint256) {
        return Issuance.unwrap(_issuance);
    }

    function isOld(uint256 word) external view returns (bool) {
        return _isOld(Account.wrap(word));
    }

    function surelyAlive() external view returns (uint256) {
        return _surelyAlive();
    }
}

/// @title Issuance and expiry of the real token, for all limits, levels, times and accounts
/// @notice This contract is the token's exchange and, as a contract that signs everything, its issuer.
contract PointsProof is IERC1271 {
    uint16 private constant LIFE = 365;
    OpenPoints private _points;

    function rpIdHash() external pure returns (bytes32) {
        return 0;
    }

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return IERC1271.isValidSignature.selector;
    }

    function setUp() public {
        vm.warp(1_800_000_000);
        _points = new OpenPoints(
            IPoints.Roles({owner: address(this), issuer: address(this)}),
            IPoints.Limits({supplyCap: 0, entryCap: 0, bucket: 0, refill: 0}),
            IPoints.Terms({life: LIFE, verifiedAbove: 0})
        );
    }

    /* ISSUANCE */

    struct Start {
        uint96 supply;
        uint96 level;
        uint32 next;
        uint96 supplyCap;
        uint96 entryCap;
        uint96 bucket;
        uint96 refill;
        uint32 time;
    }

    function testABatchIsWithinBucketSupplyCapAndEntryCapAndIsCountedExactly(
        Start calldata start,
        uint96 amount,
        uint96 held
    ) external {
        uint256 available = _begin(start);
        vm.assume(held <= start.supply);
        _points.place(HOLDER, uint256(held) | (_today() << 96));
        _points.mint(start.next, 0, abi.encodePacked(HOLDER, amount), SIGNATURE);
        assert(0 < amount && amount <= start.entryCap && amount <= available);
        Issuance issuance = Issuance.wrap(_points.issuance());
        assert(issuance.supply() == uint256(start.supply) + amount);
        assert(issuance.supply() <= start.supplyCap);
        assert(uint96(Issuance.unwrap(issuance) >> 96) == available - amount);
        assert(uint32(Issuance.unwrap(issuance) >> 192) == start.time);
        assert(issuance.next() == uint256(start.next) + 1);
        assert(_points.balanceOf(HOLDER) == uint256(held) + amount);
    }

    function testABatchOfTwoIsCountedAsTheirSum(Start calldata start, uint96 one, uint96 other) external {
        uint256 available = _begin(start);
        _points.mint(start.next, 0, abi.encodePacked(HOLDER, one, OTHER, other), SIGNATURE);
        assert(uint256(one) + other <= available);
        assert(_points.totalSupply() == uint256(start.supply) + one + other);
    }

    function testABatchIsMintedOnlyAsTheNextOne(Start calldata start, uint96 amount, uint32 batch) external {
        _begin(start);
        _points.mint(batch, 0, abi.encodePacked(HOLDER, amount), SIGNATURE);
        assert(batch == start.next);
        try _points.mint(batch, 0, abi.encodePacked(HOLDER, amount), SIGNATURE) {
            assert(false);
        } catch {}
    }

    function testWhatAMarginPaysForIsWithinTheSupplyCapAndLeavesTheBucket(Start calldata start, uint96 amount)
        external
    {
        _begin(start);
        uint256 before = _points.issuance();
        _points.creditAgainstMargin(HOLDER, amount);
        assert(_points.totalSupply() == uint256(start.supply) + amount);
        assert(_points.totalSupply() <= start.supplyCap);
        assert(_points.issuance() >> 96 == before >> 96);
        assert(_points.balanceOf(HOLDER) == amount);
    }

    /* EXPIRY */

    function testABalanceIsThereForAsManyDaysAsALifeHasAndNeverAfter(uint256 word, uint16 life, uint32 time) external {
        vm.assume(life >= LIFE); // it only grows
        vm.warp(time);
        _points.placeLife(life);
        _points.place(HOLDER, word);
        Account account = Account.wrap(word);
        // Reading reverts for no account and at no time: `balanceOf` is not tried, it is called.
        try _points.balanceOf(HOLDER) returns (uint256 balance) {
            bool alive = _today() <= account.day() + life;
            assert(balance == (alive ? account.balance() : 0));
        } catch {
            assert(false);
        }
    }

    function testTheShortTestOfExpiryNeverPassesAnAccountThatHasExpired(uint256 word, uint16 life, uint32 time)
        external
    {
        vm.assume(life >= LIFE);
        vm.warp(time);
        uint256 day = Account.wrap(word).day();
        bool expired = day + life < _today();
        bool old = _points.isOld(word);
        assert(!expired || old);
        assert(old == (day < _points.surelyAlive()));
    }

    address private constant HOLDER = address(0xa11ce);
    address private constant OTHER = address(0xb0b);
    bytes private constant SIGNATURE = hex"02"; // by a contract

    /// @dev Any state that a programme can be in, a second after it last minted: how the bucket fills in the long run
    /// is proved of `Issuance` alone.
    function _begin(Start calldata start) private returns (uint256 available) {
        vm.assume(0 < start.time && start.next < type(uint32).max);
        vm.warp(start.time);
        _points.placeIssuance(start.supply, start.level, start.time - 1, start.next);
        _points.placeBounds(start.supplyCap, start.entryCap, start.bucket, start.refill);
        available = uint256(start.level) + start.refill;
        if (available > start.bucket) available = start.bucket;
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }
}
