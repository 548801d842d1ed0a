// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Signed} from "../../src/Signed.sol";
import {Signature} from "../../src/libraries/Signature.sol";
import {Wallet} from "../../src/local/Wallet.sol";
import {Kind, Keys, Person} from "../invariant/Keys.sol";

contract Checker is Signed {
    constructor(bytes32 rpIdHash_) Signed(rpIdHash_) {}

    function isSigned(address signer, bytes32 digest, bytes calldata signature, bool verified)
        external
        view
        returns (bool)
    {
        return _isSigned(signer, digest, signature, verified);
    }
}

/// @title Signatures of all schemes, beside plain or well-known twins
contract SignatureTest is Keys {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    Checker private immutable _checker = new Checker(sha256(bytes(RELYING_PARTY)));

    /* ECDSA */

    function testFuzz_aKeysSignatureIsItsOwn(uint256 key, bytes32 digest, bytes32 other) external view {
        key = within(key, 1, ORDER - 1);
        Person memory person = Person(Kind.Secp256k1, key, vm.addr(key), "");
        bytes memory signature = _sign(person, digest, 0);
        assertTrue(_checker.isSigned(person.account, digest, signature, true), "signed");
        assertTrue(other == digest || !_checker.isSigned(person.account, other, signature, true), "of that digest");
        assertTrue(!_checker.isSigned(address(uint160(person.account) ^ 1), digest, signature, true), "by that key");
        assertTrue(!_checker.isSigned(address(0), digest, signature, true), "nobody is no signer");
    }

    /// @dev Beside OpenZeppelin's, over words that are mostly no signatures.
    function testFuzz_anyWordsAreJudgedAsByOpenZeppelin(bytes32 digest, bytes32 r, bytes32 vs, bool low) external view {
        if (low) vs &= ~bytes32(uint256(1) << 254); // half of them with a small s
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, r, vs);
        bool valid = problem == ECDSA.RecoverError.NoError;
        bytes memory signature = abi.encodePacked(uint8(0), r, vs);
        assertEq(_checker.isSigned(signer, digest, signature, false), valid && signer != address(0), "the same");
        assertTrue(!_checker.isSigned(address(0), digest, signature, false), "nobody is no signer");
    }

    function testFuzz_theOtherSolutionIsRefused(uint256 key, bytes32 digest) external view {
        key = within(key, 1, ORDER - 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        uint256 high = ORDER - uint256(s);
        if (high >> 255 != 0) high &= ~(uint256(1) << 255);
        bytes memory signature = abi.encodePacked(uint8(0), r, high | uint256(28 - v) << 255);
        assertTrue(!_checker.isSigned(vm.addr(key), digest, signature, false), "malleated");
    }

    function testFuzz_aSignatureHasItsLength(bytes32 digest, bytes memory any) external view {
        Person memory person = Person(Kind.Secp256k1, 7, vm.addr(7), "");
        bytes memory signature = _sign(person, digest, 0);
        if (any.length == 0) any = hex"00";
        assertTrue(!_checker.isSigned(person.account, digest, bytes.concat(signature, any), false), "longer");
        assembly ("memory-safe") {
            mstore(signature, mod(mload(any), 65))
        }
        assertTrue(!_checker.isSigned(person.account, digest, signature, false), "shorter");
    }

    /* PASSKEYS */

    function testFuzz_aPasskeysAssertionIsItsOwn(uint256 key, bytes32 digest, uint8 flags) external view {
        Person memory person = _passkey(within(key, 1, type(uint248).max));
        bytes memory signature = _sign(person, digest, flags);
        bool present = flags & 1 != 0;
        assertEq(_checker.isSigned(person.account, digest, signature, false), present, "present");
        assertEq(_checker.isSigned(person.account, digest, signature, true), present && flags & 4 != 0, "verified");
        assertTrue(!_checker.isSigned(person.account, ~digest, signature, false), "of that digest");
        assertTrue(!_checker.isSigned(address(uint160(person.account) ^ 1), digest, signature, false), "by that key");
    }

    /// @dev Any bit of it: the key, the flags, the counter, the client data, the scheme.
    function testFuzz_aChangedAssertionIsNone(bytes32 digest, uint256 bit) external view {
        Person memory person = _passkey(11);
        bytes memory signature = _sign(person, digest, VERIFIED);
        bit = within(bit, 0, signature.length * 8 - 1);
        signature[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        assertTrue(!_checker.isSigned(person.account, digest, signature, true), "changed");
    }

    /// @dev What browsers put behind the challenge is theirs, as long as it was signed.
    function testFuzz_theClientDatasRestIsTheBrowsers(bytes32 digest, bytes memory rest, uint32 counter) external view {
        Person memory person = _passkey(12);
        bytes memory clientData =
            abi.encodePacked('{"type":"webauthn.get","challenge":"', _base64Url(digest), '"', rest);
        bytes memory authenticatorData = abi.encodePacked(sha256(bytes(RELYING_PARTY)), PRESENT, counter);
        bytes32 message = sha256(bytes.concat(authenticatorData, sha256(clientData)));
        (bytes32 r, bytes32 s) = vm.signP256(person.key, message);
        bytes memory signature = abi.encodePacked(uint8(1), r, s, person.publicKey, PRESENT, counter, rest);
        assertTrue(_checker.isSigned(person.account, digest, signature, false), "signed");
    }

    function testFuzz_anythingElseIsNoAssertion(address signer, bytes32 digest, bytes memory any) external view {
        assertTrue(!_checker.isSigned(signer, digest, bytes.concat(hex"01", any), false), "noise");
    }

    function _passkey(uint256 key) private pure returns (Person memory person) {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        bytes32 tag = keccak256("points-exchange P-256 holder");
        person =
            Person(Kind.Passkey, key, address(uint160(uint256(keccak256(abi.encode(tag, x, y))))), abi.encode(x, y));
    }

    /* CONTRACTS */

    function testFuzz_aContractSaysYesOrNo(bytes32 digest, bytes memory approved, bytes memory shown) external {
        Wallet wallet = new Wallet(keccak256(approved), 0);
        bool expected = keccak256(approved) == keccak256(shown);
        bytes memory signature = bytes.concat(hex"02", shown);
        assertEq(_checker.isSigned(address(wallet), digest, signature, true), expected, "as it said");
        assertTrue(_checker.isSigned(address(wallet), digest, bytes.concat(hex"02", approved), true), "approved");
    }

    function testFuzz_aHostileContractSignsNothing(bytes32 digest, bytes memory shown, uint256 trick) external {
        Wallet wallet = new Wallet(keccak256(shown), within(trick, 1, 5));
        assertTrue(!_checker.isSigned(address(wallet), digest, bytes.concat(hex"02", shown), true), "nothing");
    }

    function testFuzz_thereIsNoOtherScheme(address signer, bytes32 digest, uint8 scheme, bytes memory rest)
        external
        view
    {
        scheme = uint8(within(scheme, 3, 255));
        assertTrue(!_checker.isSigned(signer, digest, abi.encodePacked(scheme, rest), false), "unknown");
        assertTrue(!_checker.isSigned(signer, digest, "", false), "empty");
    }
}
