// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBundle} from "../../src/interfaces/IBundle.sol";
import {Test, Vm} from "../Forge.sol";

/// @dev Remembers what it was called with, in order, or reverts with what it is given.
contract Recorder {
    bytes32 public seen;

    fallback(bytes calldata data) external returns (bytes memory) {
        if (data.length != 0 && uint8(data[0]) % 3 == 0) {
            bytes memory reason = data[1:];
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
        seen = keccak256(abi.encode(seen, data));
        return data;
    }
}

/// @title A packed bundle does what a plain one does, and reports the same
contract BundleTest is Test {
    uint24 private constant GAS = 100_000;
    uint256 private constant MOST = 12;

    IBundle private immutable _bundle = IBundle(vm.deployCode("artifacts/Bundle.json", ""));
    address[3] private _targets;

    function setUp() external {
        _targets = [address(new Recorder()), address(new Recorder()), address(0xdead)];
    }

    function test_theFormsAgreeOnNothing() external {
        _compare(new bytes[](0), 0);
    }

    function test_theFormsAgreeOnEmptyCalls() external {
        _compare(new bytes[](3), 5);
    }

    function testFuzz_theFormsAgree(bytes[] memory datas, uint256 order) external {
        if (datas.length > MOST) {
            assembly ("memory-safe") {
                mstore(datas, MOST)
            }
        }
        _compare(datas, order);
    }

    /// @dev A reason longer, shorter or as long as what is reported of it.
    function testFuzz_reasonsAreCutToASelectorAndTwoWords(bytes memory reason) external {
        bytes[] memory datas = new bytes[](2);
        datas[0] = bytes.concat(hex"00", reason);
        datas[1] = hex"00"; // no reason: nothing of the one before may show
        IBundle.Call[] memory calls = _plain(datas, 0);
        vm.recordLogs();
        assertEq(_bundle.execute(calls), 2, "both failed");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes memory padded = bytes.concat(reason, new bytes(68));
        bytes memory expected = abi.encode(bytes4(padded), _word(padded, 4), _word(padded, 36));
        assertEq(logs[0].data, expected, "cut");
        assertEq(logs[1].data, new bytes(96), "nothing");
    }

    function testFuzz_aCallThatIsCutShortUndoesTheBundle(bytes memory data, uint256 missing) external {
        bytes[] memory datas = new bytes[](2);
        (datas[0], datas[1]) = (hex"01", data);
        (address[] memory targets, bytes memory stream) = _packed(datas, 0);
        missing = within(missing, 1, data.length + 6);
        assembly ("memory-safe") {
            mstore(stream, sub(mload(stream), missing))
        }
        vm.expectRevert(abi.encodeWithSelector(IBundle.MalformedCall.selector, 1));
        _bundle.executePacked(targets, stream);
    }

    function _compare(bytes[] memory datas, uint256 order) private {
        (bytes32 one, bytes32 two, uint256 failures, bytes32 reports) = _outcome(datas, order, false);
        (bytes32 packedOne, bytes32 packedTwo, uint256 packedFailures, bytes32 packedReports) =
            _outcome(datas, order, true);
        assertEq(packedOne, one, "the first target saw the same");
        assertEq(packedTwo, two, "the second target saw the same");
        assertEq(packedFailures, failures, "as many failed");
        assertEq(packedReports, reports, "the reports are the same");
        assertEq(failures, _expected(datas, order), "those failed that were to");
    }

    function _outcome(bytes[] memory datas, uint256 order, bool packed)
        private
        returns (bytes32 one, bytes32 two, uint256 failures, bytes32 reports)
    {
        for (uint256 place; place < 2; ++place) {
            vm.store(_targets[place], 0, 0);
        }
        vm.recordLogs();
        if (packed) {
            (address[] memory targets, bytes memory stream) = _packed(datas, order);
            failures = _bundle.executePacked(targets, stream);
        } else {
            failures = _bundle.execute(_plain(datas, order));
        }
        reports = keccak256(abi.encode(vm.getRecordedLogs()));
        (one, two) = (Recorder(_targets[0]).seen(), Recorder(_targets[1]).seen());
    }

    function _expected(bytes[] memory datas, uint256 order) private pure returns (uint256 failures) {
        for (uint256 place; place < datas.length; ++place) {
            bool refuses = datas[place].length != 0 && uint8(datas[place][0]) % 3 == 0;
            if (refuses || (order != 0 && _target(order, place) == 2)) ++failures;
        }
    }

    function _target(uint256 order, uint256 place) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(order, place / 2))) % 3; // neighbours often share a target
    }

    function _plain(bytes[] memory datas, uint256 order) private view returns (IBundle.Call[] memory calls) {
        calls = new IBundle.Call[](datas.length);
        for (uint256 place; place < datas.length; ++place) {
            address target = order == 0 ? _targets[0] : _targets[_target(order, place)];
            calls[place] = IBundle.Call(target, GAS, datas[place]);
        }
    }

    function _packed(bytes[] memory datas, uint256 order)
        private
        view
        returns (address[] memory targets, bytes memory stream)
    {
        targets = new address[](3);
        for (uint256 place; place < 3; ++place) {
            targets[place] = _targets[place];
        }
        for (uint256 place; place < datas.length; ++place) {
            uint8 target = order == 0 ? 0 : uint8(_target(order, place));
            stream = bytes.concat(stream, abi.encodePacked(target, GAS, uint24(datas[place].length)), datas[place]);
        }
    }

    function _word(bytes memory data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), at))
        }
    }
}
