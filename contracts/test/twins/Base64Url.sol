// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Base64} from "solady/src/utils/Base64.sol";

import {Base64Url} from "../../src/libraries/Base64Url.sol";

/// @title A challenge's characters, in our way and in the plain one
contract Base64UrlTwin {
    function ours(bytes32 data) external pure returns (string memory) {
        (bytes32 head, bytes32 tail) = Base64Url.encode(data);
        return string(abi.encodePacked(head, bytes11(tail)));
    }

    function plain(bytes32 data) external pure returns (string memory) {
        return Base64.encode(abi.encodePacked(data), true, true);
    }
}
