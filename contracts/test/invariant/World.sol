// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBundle} from "../../src/interfaces/IBundle.sol";
import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IFactory} from "../../src/interfaces/IFactory.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {SettlementToken} from "../../src/local/SettlementToken.sol";
import {ExchangeModel} from "./ExchangeModel.sol";
import {Kind, Person} from "./Keys.sol";

/// @title Three programmes, their merchants and holders, two charities, a sponsor, the operator and the guardian
abstract contract World is ExchangeModel {
    uint256 internal constant START = 1_900_000_000;
    uint16 internal constant MAX_FEE_BPS = 100;
    uint256 internal constant PROGRAMMES = 3;
    uint256 internal constant HOLDERS = 8;
    uint256 internal constant CHARITIES = 2;

    IExchange public immutable exchange;
    IBundle public immutable bundle;
    SettlementToken public immutable settlement;

    address[PROGRAMMES] public tokens;
    Person[PROGRAMMES] internal _owners;
    Person[PROGRAMMES] internal _issuers;
    Person[HOLDERS] internal _holders;
    Person[CHARITIES] internal _charities;
    Person internal _sponsor;
    Person internal _stranger;
    address internal immutable _operator;
    address internal immutable _guardian;
    address internal immutable _network; // where the fee goes, at times
    /// Whose points, and whose margins, there can be.
    address[] internal _everyone;
    mapping(address token => uint256) internal _place;
    mapping(address token => uint96) internal _verifiedAbove;

    constructor() {
        vm.warp(START);
        (_operator, _guardian, _network) = (address(0x0b), address(0x6a), address(0xfe));
        settlement = new SettlementToken();
        bytes memory terms = abi.encode(settlement, _operator, MAX_FEE_BPS, sha256(bytes(RELYING_PARTY)));
        IExchange deployed = IExchange(vm.deployCode("artifacts/Exchange.json", terms));
        exchange = deployed;
        bundle = IBundle(vm.deployCode("artifacts/Bundle.json", ""));
        assertTrue(deployed.hasPasskeys(), "this chain checks passkeys");
        vm.prank(_operator);
        deployed.setGuardian(_guardian);

        _createPeople();
        uint16[PROGRAMMES] memory lives = [30, 90, 400];
        uint96[PROGRAMMES] memory verifiedAbove = [type(uint96).max, 20_000, 0];
        for (uint256 place; place < PROGRAMMES; ++place) {
            _createProgramme(IFactory(deployed.factory()), place, lives[place], verifiedAbove[place]);
        }
        for (uint256 place; place < CHARITIES; ++place) {
            vm.prank(_operator);
            deployed.registerCharity(_charities[place].account, "charity");
        }
    }

    function _createPeople() private {
        string[HOLDERS] memory names = ["anna", "bert", "cleo", "dora", "emil", "finn", "gwen", "hugo"];
        for (uint256 place; place < HOLDERS; ++place) {
            Kind kind = place < 5 ? Kind.Secp256k1 : place == 5 ? Kind.Contract : Kind.Passkey;
            _holders[place] = _person(kind, names[place]);
            _everyone.push(_holders[place].account);
        }
        // A merchant's cold key can be of any kind, too.
        _owners[0] = _person(Kind.Secp256k1, "grocer");
        _owners[1] = _person(Kind.Contract, "baker");
        _owners[2] = _person(Kind.Passkey, "airline");
        for (uint256 place; place < PROGRAMMES; ++place) {
            _everyone.push(_owners[place].account);
        }
        _issuers[0] = _person(Kind.Secp256k1, "grocer's tills");
        _issuers[1] = _person(Kind.Secp256k1, "baker's tills");
        _issuers[2] = _person(Kind.Passkey, "airline's desks");
        _charities[0] = _person(Kind.Secp256k1, "forest");
        _charities[1] = _person(Kind.Passkey, "lifeboats");
        _sponsor = _person(Kind.Secp256k1, "sponsor");
        _stranger = _person(Kind.Secp256k1, "stranger");
    }

    function _createProgramme(IFactory factory, uint256 place, uint16 life, uint96 verifiedAbove) private {
        IPoints.Limits memory limits =
            IPoints.Limits({supplyCap: 100_000_000, entryCap: 1_000_000, bucket: 3_000_000, refill: 50});
        address token = factory.create(
            "points",
            "PTS",
            IPoints.Roles(_owners[place].account, _issuers[place].account),
            limits,
            IPoints.Terms(life, verifiedAbove),
            bytes32(place)
        );
        tokens[place] = token;
        _place[token] = place;
        _life[token] = life;
        _verifiedAbove[token] = verifiedAbove;
        _bucket[token].limits = limits;
        _bucket[token].level = limits.bucket;
        _bucket[token].at = block.timestamp;
    }

    function _points(address token) internal pure returns (IPoints) {
        return IPoints(token);
    }

    function everyone() external view returns (address[] memory) {
        return _everyone;
    }
}
