// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The cheat codes that the suite needs
interface Vm {
    function envString(string calldata name) external view returns (string memory);
    function deployCode(string calldata artifact) external returns (address);
    function getCode(string calldata artifact) external view returns (bytes memory);
    function prank(address sender) external;
    function snapshotState() external returns (uint256);
    function revertToState(uint256 snapshot) external returns (bool);
    function etch(address target, bytes calldata code) external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

struct Roles {
    address owner;
    address issuer;
}

struct Limits {
    uint96 supplyCap;
    uint96 entryCap;
    uint96 bucket;
    uint96 refill;
}

struct Terms {
    uint16 life;
    uint96 verifiedAbove;
}

interface Factory {
    function create(bytes32, bytes32, Roles calldata, Limits calldata, Terms calldata, bytes32)
        external
        returns (address programme);
}

interface Exchange {
    function factory() external view returns (Factory);
}

interface Points {
    function mint(uint32 batch, bytes32 receiptsRoot, bytes calldata entries, bytes calldata signature) external;
    function totalSupply() external view returns (uint256);
    function balanceOf(address account) external view returns (uint256);
    function allowance(address holder, address spender) external view returns (uint256);
    function transfer(address to, uint256 value) external returns (bool);
    function approve(address spender, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// @title A programme as the committed artifacts make it, for suites that want to inherit from the token they judge
/// @notice Every call is passed on to the deployed token, in the name of whoever called here. Three holders have
/// points, which this contract, as the issuer that signs everything, minted.
contract Token {
    // As slither-prop calls them, and with its default addresses.
    address private constant OWNER = 0x627306090abaB3A6e1400e9345bC60c78a8BEf57;
    address private constant USER = 0xf17f52151EbEF6C7334FAD080c5704D77216b732;
    address private constant ATTACKER = 0xC5fdf4076b8F3A5357c5E395ab970B5B54098Fef;
    address private constant ISSUER = address(0x155e12);

    Points private immutable _points;

    constructor() {
        vm.etch(ISSUER, type(SignsEverything).runtimeCode);
        bytes memory arguments = abi.encode(address(1), address(this), uint16(0), bytes32(0));
        address exchange = _create(bytes.concat(vm.getCode("artifacts/Exchange.json"), arguments));
        Limits memory limits = Limits({supplyCap: 1e9, entryCap: 1e9, bucket: 1e9, refill: 0});
        _points = Points(
            Exchange(exchange).factory()
                .create("Points", "PTS", Roles(address(this), ISSUER), limits, Terms(365, type(uint96).max), 0)
        );
        bytes memory entries = abi.encodePacked(OWNER, uint96(10_000), USER, uint96(20_000), ATTACKER, uint96(30_000));
        _points.mint(1, 0, entries, hex"02"); // signed by a contract
    }

    function totalSupply() public view returns (uint256) {
        return _points.totalSupply();
    }

    function balanceOf(address account) public view returns (uint256) {
        return _points.balanceOf(account);
    }

    function allowance(address holder, address spender) public view returns (uint256) {
        return _points.allowance(holder, spender);
    }

    function transfer(address to, uint256 value) public returns (bool) {
        vm.prank(msg.sender);
        return _points.transfer(to, value);
    }

    function approve(address spender, uint256 value) public returns (bool) {
        vm.prank(msg.sender);
        return _points.approve(spender, value);
    }

    function transferFrom(address from, address to, uint256 value) public returns (bool) {
        vm.prank(msg.sender);
        return _points.transferFrom(from, to, value);
    }

    function _create(bytes memory code) private returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 0x20), mload(code))
        }
        require(made != address(0), "the artifact cannot be deployed");
    }
}

/// @title An issuer that is a contract (ERC-1271)
contract SignsEverything {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}
