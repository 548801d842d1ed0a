// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Issuance, IssuanceLibrary} from "../../src/types/Issuance.sol";
import {Test} from "../Forge.sol";

/// @title The issuance's word, and how its bucket fills
contract IssuanceTest is Test {
    function testFuzz_fieldsAreWhereTheyAreDrawn(uint96 supply, uint96 level, uint32 at, uint32 next) external pure {
        Issuance issuance = IssuanceLibrary.pack(supply, level, at, next);
        assertEq(bytes32(Issuance.unwrap(issuance)), bytes32(abi.encodePacked(next, at, level, supply)), "word");
        assertEq(issuance.supply(), supply, "supply");
        assertEq(issuance.next(), next, "next");
        assertEq(issuance.available(type(uint96).max, 0, at), level, "level");
    }

    function testFuzz_creditsAndDebitsTouchTheSupplyAlone(uint256 word, uint96 amount) external pure {
        uint256 supply = uint96(word);
        amount = uint96(within(amount, 0, type(uint96).max - supply));
        Issuance more = Issuance.wrap(word).credited(amount);
        assertEq(Issuance.unwrap(more) >> 96, word >> 96, "the rest");
        assertEq(more.supply(), supply + amount, "credited");
        assertEq(Issuance.unwrap(more.debited(amount)), word, "debited");
    }

    function test_theBucketFillsToItsSize() external pure {
        Issuance issuance = IssuanceLibrary.pack(7, 10, 1_000, 1);
        assertEq(issuance.available(100, 3, 1_000), 10, "at once");
        assertEq(issuance.available(100, 3, 1_010), 40, "ten seconds later");
        assertEq(issuance.available(100, 3, 1_031), 100, "full");
        assertEq(issuance.available(5, 3, 1_000), 5, "a smaller bucket holds less");
    }

    function testFuzz_theBucketEqualsItsTwin(uint96 level, uint96 bucket, uint96 refill, uint32 at, uint32 passed)
        external
        pure
    {
        Issuance issuance = IssuanceLibrary.pack(0, level, at, 1);
        uint256 filled = uint256(level) + uint256(refill) * passed;
        uint256 expected = filled < bucket ? filled : bucket;
        assertEq(issuance.available(bucket, refill, uint256(at) + passed), expected, "available");
    }

    /// @dev The clock of 32 bits begins anew in 2106.
    function test_theBucketFillsOverTheYear2106() external pure {
        uint256 end = 2 ** 32;
        Issuance issuance = IssuanceLibrary.pack(0, 0, end - 10, 1);
        assertEq(issuance.available(1_000, 2, end + 10), 40, "twenty seconds");
    }
}
