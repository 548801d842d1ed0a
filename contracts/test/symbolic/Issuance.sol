// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Issuance, IssuanceLibrary} from "../../src/types/Issuance.sol";
import {vm} from "./Vm.sol";

/// @title The issuance word, for every word: its fields, and what its bucket holds
contract IssuanceProof {
    /// The clock's 32 bits, which end in 2106, and a bucket that nobody touched for longer than that: neither concerns
    /// these proofs, which hold while `at` is no later than `time` and less than 2^32 seconds before.
    /// @custom:halmos --solver cvc5-int
    function testTheBucketHoldsWhatWasLeftAndWhatCameSinceUpToItsSize(
        uint96 supply,
        uint96 level,
        uint32 at,
        uint32 next,
        uint96 bucket,
        uint96 refill,
        uint32 passed
    ) external pure {
        Issuance issuance = IssuanceLibrary.pack(supply, level, at, next);
        uint256 available = issuance.available(bucket, refill, uint256(at) + passed);
        uint256 filled = uint256(level) + uint256(refill) * passed;
        assert(available == (filled < bucket ? filled : bucket));
    }

    function testTheBucketNeverHoldsMoreThanItsSize(uint256 word, uint96 bucket, uint96 refill, uint256 time)
        external
        pure
    {
        assert(Issuance.wrap(word).available(bucket, refill, time) <= bucket);
    }

    /// @custom:halmos --solver cvc5-int
    function testTheBucketOnlyFillsAsTimePasses(
        uint96 level,
        uint32 at,
        uint96 bucket,
        uint96 refill,
        uint32 passed,
        uint32 longer
    ) external pure {
        vm.assume(passed <= longer);
        Issuance issuance = IssuanceLibrary.pack(0, level, at, 1);
        uint256 sooner = issuance.available(bucket, refill, uint256(at) + passed);
        assert(sooner <= issuance.available(bucket, refill, uint256(at) + longer));
    }

    function testACreditChangesTheSupplyAlone(uint256 word, uint96 amount) external pure {
        Issuance issuance = Issuance.wrap(word);
        vm.assume(issuance.supply() + amount <= type(uint96).max);
        Issuance credited = issuance.credited(amount);
        assert(credited.supply() == issuance.supply() + amount);
        assert(Issuance.unwrap(credited) >> 96 == word >> 96);
    }

    function testADebitChangesTheSupplyAlone(uint256 word, uint96 amount) external pure {
        Issuance issuance = Issuance.wrap(word);
        vm.assume(amount <= issuance.supply());
        Issuance debited = issuance.debited(amount);
        assert(debited.supply() == issuance.supply() - amount);
        assert(Issuance.unwrap(debited) >> 96 == word >> 96);
    }

    function testTheFieldsAreReadAsTheyWerePacked(uint96 supply, uint96 level, uint32 at, uint32 next) external pure {
        Issuance issuance = IssuanceLibrary.pack(supply, level, at, next);
        assert(issuance.supply() == supply && issuance.next() == next);
        // A bucket of any size that is not refilled holds what it held.
        assert(issuance.available(type(uint96).max, 0, at) == level);
        assert(uint32(Issuance.unwrap(issuance) >> 192) == at);
    }
}
