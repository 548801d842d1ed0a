// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Packed} from "../../src/libraries/Packed.sol";
import {Test} from "../Forge.sol";

/// @dev Reads its own calldata both ways.
contract Reader {
    fallback(bytes calldata data) external returns (bytes memory) {
        uint256 at = uint8(data[data.length - 2]);
        uint256 size = uint8(data[data.length - 1]);
        return abi.encode(Packed.uintAt(at, size), _plainly(data, at, size), Packed.addressAt(at));
    }

    /// @dev Byte by byte; behind the end there are zeros.
    function _plainly(bytes calldata data, uint256 at, uint256 size) private pure returns (uint256 field) {
        for (uint256 place = at; place < at + size; ++place) {
            field = field << 8 | (place < data.length ? uint8(data[place]) : 0);
        }
    }
}

/// @title Fields of a packed intent are read as byte by byte
contract PackedTest is Test {
    address private immutable _reader = address(new Reader());

    function test_fieldsAreRead() external {
        assertEq(_read(hex"00112233445566778899", 1, 3), 0x112233, "three bytes");
        assertEq(_read(hex"ff", 1, 1), 1, "the place itself");
        assertEq(_read(hex"", 2, 32), 0, "behind the end");
        assertEq(_read(hex"ab", 0, 32), 0xab0020 << 232, "half behind the end");
    }

    function testFuzz_fieldsAreRead(bytes memory data, uint8 at, uint8 size) external {
        _read(data, at, within(size, 1, 32));
    }

    function _read(bytes memory data, uint256 at, uint256 size) private returns (uint256) {
        (, bytes memory answer) = _reader.call(bytes.concat(data, bytes1(uint8(at)), bytes1(uint8(size))));
        (uint256 field, uint256 plainly, address account) = abi.decode(answer, (uint256, uint256, address));
        assertEq(field, plainly, "both ways");
        if (size == 20) assertEq(account, address(uint160(field)), "an address");
        return field;
    }
}
