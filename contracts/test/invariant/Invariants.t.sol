// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Test} from "../Forge.sol";
import {Life} from "./Life.sol";

/// @title Whatever happens, in whatever order, what `docs/CONTRACTS.md` promises holds
/// @notice Forge calls the actions of `Life` in random orders. Each finds something that must work (or must not) and
/// says so; after every few of them `Life.check` compares the contracts with what was done.
contract InvariantsTest is Test {
    /// Calls of the walk below: enough for everything to happen.
    uint256 private constant STEPS = 3_000;

    Life internal life;

    /// What `forge test -vv` prints.
    event log_named_uint(string key, uint256 val);

    function setUp() external {
        life = new Life();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(life);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        string[] memory names = life.actions();
        bytes4[] memory selectors = new bytes4[](names.length);
        for (uint256 place; place < names.length; ++place) {
            selectors[place] = _selector(names[place]);
        }
        targets[0] = FuzzSelector(address(life), selectors);
    }

    function invariant_whatWasPromisedHolds() external view {
        life.check();
    }

    /// @dev At the end of every run. A run in which hardly anything worked would prove nothing.
    function afterInvariant() external view {
        life.checkAll();
        if (life.tried() >= 200) assertTrue(4 * life.done() > life.tried(), "much of what was tried was done");
    }

    function test_noActionIsIdle() external {
        string[] memory names = life.actions();
        for (uint256 step; step < STEPS; ++step) {
            uint256 drawn = uint256(keccak256(abi.encode(step)));
            (bool succeeded, bytes memory reason) =
                address(life).call(abi.encodeWithSelector(_selector(names[drawn % names.length]), drawn));
            if (!succeeded) _revert(reason);
            if (step % 10 == 0) life.check();
        }
        life.checkAll();
        for (uint256 place; place < names.length; ++place) {
            emit log_named_uint(names[place], life.effects(_selector(names[place])));
        }
        for (uint256 place; place < names.length; ++place) {
            assertTrue(life.effects(_selector(names[place])) != 0, names[place]);
        }
        string[6] memory exits = ["send", "redeem", "give", "transfer", "withdraw", "completeWithdrawal"];
        for (uint256 place; place < exits.length; ++place) {
            assertTrue(life.whilePaused(_selector(exits[place])) != 0, exits[place]);
        }
    }

    function _revert(bytes memory reason) private pure {
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }

    function _selector(string memory name) private pure returns (bytes4) {
        return bytes4(keccak256(bytes(string.concat(name, "(uint256)"))));
    }
}
