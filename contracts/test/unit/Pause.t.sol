// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Pause} from "../../src/libraries/Pause.sol";
import {Test} from "../Forge.sol";

/// @title A pause of at most 72 hours, and then none for 72
contract PauseTest is Test {
    function begun(uint40 last) external view returns (uint40) {
        return Pause.begun(last);
    }

    function test_aPauseRestsAsLongAsItLasts() external {
        vm.warp(1_000_000);
        uint40 until = Pause.begun(0);
        assertEq(until, 1_000_000 + 3 days, "72 hours");
        vm.warp(until + 3 days - 1);
        vm.expectRevert(abi.encodeWithSelector(Pause.PausedTooRecently.selector, uint256(until) + 3 days));
        this.begun(until);
        vm.warp(until + 3 days);
        assertEq(this.begun(until), uint256(until) + 6 days, "again");
    }

    function testFuzz_inAnyWeekNoMoreThanThreeDaysArePaused(uint40 last, uint40 time) external {
        time = uint40(within(time, 1, type(uint40).max - 7 days));
        last = uint40(within(last, 0, type(uint40).max - 7 days));
        vm.warp(time);
        bool tooSoon = last != 0 && time < uint256(last) + 3 days;
        if (tooSoon) vm.expectRevert(abi.encodeWithSelector(Pause.PausedTooRecently.selector, uint256(last) + 3 days));
        uint40 until = this.begun(last);
        if (!tooSoon) assertEq(until, uint256(time) + 3 days, "until");
    }

    function testFuzz_anEarlyEndIsNeverLater(uint40 until, uint40 time) external {
        vm.warp(time);
        assertEq(Pause.ended(until), time < until ? time : until, "ended");
    }
}
