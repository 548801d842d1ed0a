// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Wallet} from "../../src/local/Wallet.sol";
import {Test} from "../Forge.sol";

enum Kind {
    Secp256k1,
    Passkey,
    Contract
}

/// @dev Who signs, and how. A contract's "key" is the word that it approves.
struct Person {
    Kind kind;
    uint256 key;
    address account;
    bytes publicKey; // of a passkey
}

/// @title People with keys, and what they sign: EIP-712 and WebAuthn written out as the standards say
/// @notice Nothing here is taken from the contracts: what they check is computed a second time, in the plainest way.
abstract contract Keys is Test {
    bytes internal constant ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    string internal constant RELYING_PARTY = "localhost";
    string internal constant CLIENT_DATA_REST = ',"origin":"https://localhost","crossOrigin":false}';
    uint8 internal constant PRESENT = 0x01;
    uint8 internal constant VERIFIED = 0x05;

    function _person(Kind kind, string memory name) internal returns (Person memory person) {
        person.kind = kind;
        // Below the order of either curve.
        person.key = uint256(keccak256(bytes(name))) >> 8;
        if (kind == Kind.Secp256k1) person.account = vm.addr(person.key);
        if (kind == Kind.Contract) person.account = address(new Wallet(keccak256(abi.encode(person.key)), 0));
        if (kind == Kind.Passkey) {
            (uint256 x, uint256 y) = vm.publicKeyP256(person.key);
            person.publicKey = abi.encode(x, y);
            bytes32 tag = keccak256("points-exchange P-256 holder");
            person.account = address(uint160(uint256(keccak256(bytes.concat(tag, person.publicKey)))));
        }
        vm.label(person.account, name);
    }

    /// @param flags what an authenticator says of who is present, for passkeys
    function _sign(Person memory person, bytes32 digest, uint8 flags) internal pure returns (bytes memory) {
        if (person.kind == Kind.Contract) return abi.encodePacked(uint8(2), abi.encode(person.key));
        if (person.kind == Kind.Passkey) return _signPasskey(person, digest, flags);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(person.key, digest);
        return abi.encodePacked(uint8(0), r, uint256(s) | (uint256(v - 27) << 255));
    }

    function _signPasskey(Person memory person, bytes32 digest, uint8 flags) private pure returns (bytes memory) {
        uint32 counter = 7;
        string memory clientData =
            string.concat('{"type":"webauthn.get","challenge":"', _base64Url(digest), '"', CLIENT_DATA_REST);
        bytes memory authenticatorData = abi.encodePacked(sha256(bytes(RELYING_PARTY)), flags, counter);
        bytes32 message = sha256(abi.encodePacked(authenticatorData, sha256(bytes(clientData))));
        (bytes32 r, bytes32 s) = vm.signP256(person.key, message);
        return abi.encodePacked(uint8(1), r, s, person.publicKey, flags, counter, CLIENT_DATA_REST);
    }

    /// @dev RFC 4648, section 5, without padding, of a digest: 42 characters of 6 bits and one of the last 4.
    function _base64Url(bytes32 digest) internal pure returns (string memory) {
        bytes memory alphabet = ALPHABET;
        bytes memory text = new bytes(43);
        unchecked {
            for (uint256 place; place < 42; ++place) {
                text[place] = alphabet[uint256(digest) >> (250 - 6 * place) & 63];
            }
        }
        text[42] = alphabet[(uint256(digest) & 15) << 2];
        return string(text);
    }

    /// @param words the act's fields, by `abi.encode`
    function _digest(address verifying, string memory act, bytes memory words) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("points-exchange"),
                keccak256("1"),
                block.chainid,
                verifying
            )
        );
        bytes32 hash = keccak256(bytes.concat(keccak256(bytes(act)), words));
        return keccak256(bytes.concat(hex"1901", domain, hash));
    }
}

string constant MINT = "Mint(uint32 batch,bytes32 receiptsRoot,bytes32 entriesHash)";
string constant SEND = "Send(address holder,address to,uint96 amount,uint40 nonce,uint40 deadline)";
string constant REDEEM = "Redeem(address holder,uint96 amount,bytes32 order,uint40 nonce,uint40 deadline)";
string constant SWAP = "Swap(address holder,uint96 amount,address into,uint96 minimum,uint40 nonce,uint40 deadline)";
string constant GIVE =
    "Give(address holder,uint96 amount,address charity,uint32 campaign,uint40 nonce,uint40 deadline)";
string constant CANCEL = "Cancel(address holder,uint40 nonce,uint40 deadline)";
string constant CLAWBACK = "Clawback(uint32 batch,uint32 index,bytes32 purchase,uint96 taken)";
string constant LIMITS =
    "Limits(uint96 supplyCap,uint96 entryCap,uint96 bucket,uint96 refill,uint40 nonce,uint40 deadline)";
string constant LIFE = "Life(uint16 life,uint40 nonce,uint40 deadline)";
string constant RECOVER = "Recover(address holder,address to,uint40 nonce,uint40 deadline)";
string constant QUOTE = "Quote(address programme,uint64 bid,uint64 ask,uint40 until,uint88 cap,uint64 nonce)";
string constant PARTNER = "Partner(address programme,address partner,bool allowed,uint64 nonce)";
string constant WITHDRAW = "Withdraw(address account,address to,uint96 amount,uint64 nonce)";
string constant PAYOUT = "Payout(address charity,address payout,uint64 nonce)";
string constant MATCH = "Match(address sponsor,uint32 campaign,uint32 ratio,uint96 pool,uint40 until,uint64 nonce)";
