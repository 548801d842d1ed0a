// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Base64Url} from "../../src/libraries/Base64Url.sol";
import {Keys} from "../invariant/Keys.sol";

/// @title A challenge's characters, all lanes at once and one by one
contract Base64UrlTest is Keys {
    function test_everyCharacterAtEveryPlace() external pure {
        for (uint256 place; place < 42; ++place) {
            for (uint256 sextet; sextet < 64; ++sextet) {
                _compare(bytes32(sextet << (250 - 6 * place)));
                _compare(~bytes32(sextet << (250 - 6 * place)));
            }
        }
    }

    function testFuzz_theCharactersAreThoseOfAPlainEncoder(bytes32 data) external pure {
        _compare(data);
    }

    function _compare(bytes32 data) private pure {
        (bytes32 head, bytes32 tail) = Base64Url.encode(data);
        assertEq(abi.encodePacked(head, bytes11(tail)), bytes(_base64Url(data)), "the characters");
    }
}
