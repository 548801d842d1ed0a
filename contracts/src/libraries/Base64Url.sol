// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title 32 bytes in base64url without padding, which is how WebAuthn writes a challenge
/// @notice A word is worked on as 32 lanes of a byte, all at once. `contracts/test/twins/Base64Url.sol` has the plain
/// way to the same characters.
library Base64Url {
    /// A one in every lane.
    uint256 private constant EACH = type(uint256).max / 255;

    /// @return head the first 32 characters; @return tail the other 11, and then what means nothing
    function encode(bytes32 data) internal pure returns (bytes32 head, bytes32 tail) {
        head = _characters(uint256(data) >> 64);
        tail = _characters(uint256(uint64(uint256(data))) << 128);
    }

    /// @param bits 192 of them, which are 32 characters of 6 bits
    function _characters(uint256 bits) private pure returns (bytes32) {
        unchecked {
            // Halves part until each has 6 bits in a lane of its own: the lower one stays, the upper one moves up. A
            // number moves by n bits when 2^n - 1 times as much is added.
            bits += (bits & 0x0000000000000000ffffffffffffffffffffffff000000000000000000000000) * (2 ** 32 - 1);
            bits += (bits & 0x00000000ffffffffffff00000000000000000000ffffffffffff000000000000) * (2 ** 16 - 1);
            bits += (bits & 0x0000ffffff0000000000ffffff0000000000ffffff0000000000ffffff000000) * (2 ** 8 - 1);
            bits += (bits & 0x00fff00000fff00000fff00000fff00000fff00000fff00000fff00000fff000) * (2 ** 4 - 1);
            bits += (bits & 0x0fc00fc00fc00fc00fc00fc00fc00fc00fc00fc00fc00fc00fc00fc00fc00fc0) * (2 ** 2 - 1);
            // 0 is `A`, and characters follow each other but for four gaps: 26 is `a`, 52 `0`, 62 `-` and 63 `_`. What
            // is carried between lanes on the way is no matter: in the end each holds its character.
            uint256 gaps = 6 * _reached(bits, 26) - 75 * _reached(bits, 52) - 13 * _reached(bits, 62);
            return bytes32(bits + 65 * EACH + gaps + 49 * _reached(bits, 63));
        }
    }

    /// @dev A one in each lane that holds `least` or more; all hold less than 64.
    function _reached(uint256 lanes, uint256 least) private pure returns (uint256) {
        unchecked {
            return ((lanes + (128 - least) * EACH) >> 7) & EACH;
        }
    }
}
