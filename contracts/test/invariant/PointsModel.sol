// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Keys} from "./Keys.sol";

/// @title What every programme's ledger should say, told from what was done and not from the contracts
/// @notice A balance falls in four places here, each named by its authority: `_spent` (the holder's signature,
/// transaction or allowance), `_expire`, `_takenBack` (a proven clawback), `_recovered` (14 days after the announcement).
/// As the ledgers must equal the model after every call, nothing else can lower one.
abstract contract PointsModel is Keys {
    struct Recovery {
        bool active;
        address to;
        uint256 due;
    }

    struct Bucket {
        IPoints.Limits limits;
        IPoints.Limits loosened;
        uint256 loosenedAt;
        uint256 level;
        uint256 at;
    }

    /// One receipt, and what was taken back of it.
    struct Grant {
        address token;
        uint32 batch;
        uint32 index;
        address holder;
        uint96 amount;
        bytes32 purchase;
        uint96 taken;
        uint256 burned;
    }

    mapping(address token => mapping(address holder => uint256)) internal _raw;
    mapping(address token => mapping(address holder => uint256)) internal _day;
    mapping(address token => mapping(address holder => mapping(address spender => uint256))) internal _allowed;
    mapping(address token => mapping(address holder => Recovery)) internal _recovery;
    mapping(address token => mapping(address holder => uint256)) internal _base;
    mapping(address token => mapping(address holder => mapping(uint256 nonce => bool))) internal _used;
    mapping(address token => uint256) internal _supply;
    mapping(address token => uint256) internal _life;
    mapping(address token => uint256) internal _batch; // the last one
    mapping(address token => uint256) internal _mintingPausedUntil;
    mapping(address token => Bucket) internal _bucket;
    mapping(address token => mapping(uint256 batch => bytes32[])) internal _leaves;
    mapping(address token => mapping(uint256 batch => bytes)) internal _entries;
    Grant[] internal _grants;

    function _today() internal view returns (uint256) {
        return block.timestamp / 1 days;
    }

    /* BALANCES */

    function _isDead(address token, address holder) internal view returns (bool) {
        return _raw[token][holder] != 0 && _day[token][holder] + _life[token] < _today();
    }

    function _alive(address token, address holder) internal view returns (uint256) {
        return _isDead(token, holder) ? 0 : _raw[token][holder];
    }

    function _expire(address token, address holder) internal {
        if (!_isDead(token, holder)) return;
        _supply[token] -= _raw[token][holder];
        _raw[token][holder] = 0;
    }

    function _received(address token, address holder, uint256 amount) internal {
        _expire(token, holder);
        if (_raw[token][holder] == 0) _day[token][holder] = _today();
        _raw[token][holder] += amount;
    }

    function _earned(address token, address holder, uint256 amount) internal {
        _expire(token, holder);
        _day[token][holder] = _today();
        _raw[token][holder] += amount;
        _supply[token] += amount;
    }

    /// @dev By the holder, or whoever it allowed to: the latter is no activity of the holder's.
    function _spent(address token, address holder, uint256 amount, bool byHolder) internal {
        _expire(token, holder);
        _raw[token][holder] -= amount;
        if (byHolder) _acted(token, holder);
    }

    function _burned(address token, uint256 amount) internal {
        _supply[token] -= amount;
    }

    function _acted(address token, address holder) internal {
        _expire(token, holder);
        _day[token][holder] = _today();
        _recovery[token][holder].active = false;
    }

    function _takenBack(Grant storage grant, uint96 taken) internal {
        _expire(grant.token, grant.holder);
        uint256 wanted = taken - grant.taken;
        uint256 held = _raw[grant.token][grant.holder];
        uint256 burned = wanted < held ? wanted : held;
        _raw[grant.token][grant.holder] -= burned;
        _supply[grant.token] -= burned;
        grant.taken = taken;
        grant.burned += burned;
    }

    function _recovered(address token, address holder) internal {
        Recovery storage recovery = _recovery[token][holder];
        _expire(token, holder);
        uint256 amount = _raw[token][holder];
        _raw[token][holder] = 0;
        recovery.active = false;
        _received(token, recovery.to, amount);
    }

    /* NONCES */

    function _isFresh(address token, address holder, uint256 nonce) internal view returns (bool) {
        uint256 base = _base[token][holder];
        bool reachable = nonce >= base && nonce <= base + 65_536 + 95 && nonce < 2 ** 40 - 128;
        return reachable && !_used[token][holder][nonce];
    }

    /// @dev Everything below a window of 96 that ends with the furthest nonce is void.
    function _use(address token, address holder, uint256 nonce) internal {
        _used[token][holder][nonce] = true;
        if (nonce > _base[token][holder] + 95) _base[token][holder] = nonce - 95;
    }

    /// @dev A nonce that can be used: mostly within the window, sometimes beyond, seldom as far as can be.
    function _freshNonce(address token, address holder, uint256 seed) internal view returns (uint40) {
        uint256 base = _base[token][holder];
        if (seed % 16 == 0) return uint40(base + 65_536 + 95 - seed % 5);
        if (seed % 4 == 0) return uint40(base + 96 + (seed >> 8) % 64);
        uint256 nonce = base + (seed >> 8) % 96;
        while (_used[token][holder][nonce]) ++nonce;
        return uint40(nonce);
    }

    /* ISSUANCE */

    /// @dev What the bucket holds, by the limits that were last brought into force.
    function _level(address token) internal view returns (uint256) {
        Bucket storage bucket = _bucket[token];
        uint256 filled = bucket.level + uint256(bucket.limits.refill) * (block.timestamp - bucket.at);
        return filled < bucket.limits.bucket ? filled : bucket.limits.bucket;
    }

    function _isLooser(address token) internal view returns (bool) {
        uint256 at = _bucket[token].loosenedAt;
        return at != 0 && block.timestamp >= at;
    }

    function _limits(address token) internal view returns (IPoints.Limits memory) {
        return _isLooser(token) ? _bucket[token].loosened : _bucket[token].limits;
    }

    function _settle(address token) internal {
        Bucket storage bucket = _bucket[token];
        (bucket.level, bucket.at) = (_level(token), block.timestamp);
        if (_isLooser(token)) (bucket.limits, bucket.loosenedAt) = (bucket.loosened, 0);
    }

    function _setLimits(address token, IPoints.Limits memory wanted) internal {
        _settle(token);
        _settle(token);
        Bucket storage bucket = _bucket[token];
        IPoints.Limits memory now_ = bucket.limits;
        if (wanted.supplyCap < now_.supplyCap) now_.supplyCap = wanted.supplyCap;
        if (wanted.entryCap < now_.entryCap) now_.entryCap = wanted.entryCap;
        if (wanted.bucket < now_.bucket) now_.bucket = wanted.bucket;
        if (wanted.refill < now_.refill) now_.refill = wanted.refill;
        bucket.limits = now_;
        bucket.loosenedAt = 0;
        if (keccak256(abi.encode(now_)) == keccak256(abi.encode(wanted))) return;
        bucket.loosened = wanted;
        bucket.loosenedAt = block.timestamp + 48 hours;
    }

    function _issued(address token, uint256 total) internal {
        _bucket[token].level -= total;
        ++_batch[token];
    }
}
