// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What our tests use of forge's cheatcodes, and nothing else
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function publicKeyP256(uint256 key) external pure returns (uint256 x, uint256 y);
    function signP256(uint256 key, bytes32 digest) external pure returns (bytes32 r, bytes32 s);

    function warp(uint256 time) external;
    function chainId(uint256 id) external;
    function prank(address sender) external;
    function deployCode(string calldata artifact, bytes calldata arguments) external returns (address);
    function etch(address target, bytes calldata code) external;
    function load(address target, bytes32 slot) external view returns (bytes32);
    function store(address target, bytes32 slot, bytes32 word) external;
    function label(address account, string calldata name) external;

    function assume(bool condition) external pure;
    function expectRevert() external;
    function expectRevert(bytes4 error) external;
    function expectRevert(bytes calldata reason) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
}

/// @title A test contract, as forge runs it
/// @notice Every external `test...` and `invariant...` is run on a copy of what `setUp` left; one that reverts has
/// failed. Values come from the seed in `foundry.toml`, or that of `FOUNDRY_FUZZ_SEED`.
abstract contract Test {
    /// @dev What forge asks an invariant test for: whose functions it may call, and which.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// Where forge answers: the last 20 bytes of keccak256("hevm cheat code").
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Unequal(string what, uint256 found, uint256 expected);
    error Untrue(string what);

    function assertEq(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert Unequal(what, found, expected);
    }

    function assertEq(address found, address expected, string memory what) internal pure {
        if (found != expected) revert Unequal(what, uint160(found), uint160(expected));
    }

    function assertEq(bytes32 found, bytes32 expected, string memory what) internal pure {
        if (found != expected) revert Unequal(what, uint256(found), uint256(expected));
    }

    function assertEq(bytes memory found, bytes memory expected, string memory what) internal pure {
        if (keccak256(found) != keccak256(expected)) {
            revert Unequal(what, uint256(bytes32(found)), uint256(bytes32(expected)));
        }
    }

    function assertEq(bool found, bool expected, string memory what) internal pure {
        if (found != expected) revert Unequal(what, found ? 1 : 0, expected ? 1 : 0);
    }

    function assertTrue(bool holds, string memory what) internal pure {
        if (!holds) revert Untrue(what);
    }

    /// @notice `value` brought between `least` and `most`; the bounds themselves come up often.
    function within(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        if (value >= least && value <= most) return value;
        unchecked {
            uint256 size = most - least + 1;
            return size == 0 ? value : least + value % size;
        }
    }
}
