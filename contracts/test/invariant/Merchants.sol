// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Carrier} from "./Carrier.sol";
import {CLAWBACK, LIFE, LIMITS, MINT, PARTNER, Person, QUOTE, RECOVER, WITHDRAW} from "./Keys.sol";
import {Tree} from "./Tree.sol";

/// @title What merchants do: they mint, take back, set terms, post quotes, and see to their margins
abstract contract Merchants is Carrier {
    uint256 internal constant MOST_ENTRIES = 5;

    /* POINTS */

    function mint(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        if (block.timestamp < _mintingPausedUntil[token]) return;
        uint256 count = 1 + (seed >> 8) % MOST_ENTRIES;
        uint256 room = _room(token) / count;
        uint256 entryCap = _limits(token).entryCap;
        if (room > entryCap) room = entryCap;
        if (room == 0) return;
        uint256 first = _grants.length;
        for (uint256 index; index < count; ++index) {
            _drawGrant(token, uint32(index), room, _draw(seed));
        }
        Act memory act = _mint(token, first, _issuers[seed % PROGRAMMES]);
        _do("mint", act, seed >> 128);
        _modelMint(token, first);
        _rememberNumbered(act, "", type(uint40).max);
        _took();
    }

    function _drawGrant(address token, uint32 index, uint256 room, uint256 seed) private {
        uint256 amount = seed % 16 == 0 ? room : 1 + (seed >> 8) % (seed % 4 == 0 ? room : (room / 20 + 1));
        address holder = _holders[(seed >> 128) % HOLDERS].account;
        bytes32 purchase = keccak256(abi.encode(seed));
        _grants.push(Grant(token, uint32(_batch[token] + 1), index, holder, uint96(amount), purchase, 0, 0));
    }

    /// @dev What could be minted at once.
    function _room(address token) internal view returns (uint256 room) {
        room = _level(token);
        IPoints.Limits memory limits = _limits(token);
        if (limits.bucket < room) room = limits.bucket;
        if (_supply[token] >= limits.supplyCap) return 0;
        uint256 left = limits.supplyCap - _supply[token];
        if (left < room) room = left;
    }

    /// @dev The batch of all grants from `first` on.
    function _mint(address token, uint256 first, Person memory signer) internal view returns (Act memory act) {
        uint32 batch = _grants[first].batch;
        bytes memory entries;
        bytes32[] memory leaves = new bytes32[](_grants.length - first);
        for (uint256 index; index < leaves.length; ++index) {
            Grant memory grant = _grants[first + index];
            entries = bytes.concat(entries, _entry(grant));
            leaves[index] = Tree.leaf(token, batch, index, grant.holder, grant.amount, grant.purchase);
        }
        bytes32 root = Tree.root(leaves);
        bytes memory words = abi.encode(batch, root, keccak256(entries));
        bytes memory signature = _sign(signer, _digest(token, MINT, words), VERIFIED);
        act.target = token;
        act.direct = abi.encodeCall(IPoints.mint, (batch, root, entries, signature));
        act.packed = act.direct;
    }

    function _entry(Grant memory grant) internal pure returns (bytes memory) {
        return abi.encodePacked(grant.holder, grant.amount);
    }

    function _modelMint(address token, uint256 first) private {
        uint256 total;
        uint256 batch = _grants[first].batch;
        for (uint256 place = first; place < _grants.length; ++place) {
            Grant memory grant = _grants[place];
            _earned(token, grant.holder, grant.amount);
            total += grant.amount;
            bytes32 leaf = Tree.leaf(token, batch, grant.index, grant.holder, grant.amount, grant.purchase);
            _leaves[token][batch].push(leaf);
            _entries[token][batch] = bytes.concat(_entries[token][batch], _entry(grant));
        }
        _settle(token);
        _settle(token);
        assertTrue(total <= _level(token), "a batch is within the bucket");
        _issued(token, total);
        assertTrue(_supply[token] <= _limits(token).supplyCap, "the supply is within the cap");
    }

    function clawback(uint256 seed) external action {
        seed = _draw(seed);
        for (uint256 step; step < 8 && _grants.length != 0; ++step) {
            uint256 place = (seed + step) % _grants.length;
            Grant storage grant = _grants[place];
            if (grant.taken == grant.amount) continue;
            uint256 left = grant.amount - grant.taken;
            uint96 taken = seed % 3 == 0 ? grant.amount : uint96(grant.taken + 1 + (seed >> 16) % left);
            Act memory act = _clawback(grant, taken, _entries[grant.token][grant.batch], seed);
            if (seed % 4 == 0) _doAs("clawback", _merchant(grant.token, seed), act.target, act.direct);
            else _do("clawback", act, seed >> 128);
            _takenBack(grant, taken);
            bytes memory refusal = abi.encodeWithSelector(
                IPoints.RefundOutOfBounds.selector, uint256(taken), uint256(grant.amount), uint256(taken)
            );
            // Sent again after a later refund it names that one: only an unfinished receipt's reason is not known yet.
            if (seed % 4 != 0 && taken == grant.amount) _rememberNumbered(act, refusal, type(uint40).max);
            return _took();
        }
    }

    function _merchant(address token, uint256 seed) private view returns (address) {
        uint256 place = _place[token];
        return seed % 8 == 0 ? _owners[place].account : _issuers[place].account;
    }

    /// @dev By signature, or without one for the merchant's own transaction.
    /// @param entries what is said to have been minted
    function _clawback(Grant memory grant, uint96 taken, bytes memory entries, uint256 seed)
        internal
        view
        returns (Act memory act)
    {
        bytes memory signature;
        if (seed % 4 != 0) {
            Person memory signer = seed % 4 == 1 ? _owners[_place[grant.token]] : _issuers[_place[grant.token]];
            bytes memory words = abi.encode(grant.batch, grant.index, grant.purchase, taken);
            signature = _sign(signer, _digest(grant.token, CLAWBACK, words), VERIFIED);
        }
        bytes32[] memory proof = Tree.proof(_leaves[grant.token][grant.batch], grant.index);
        act.target = grant.token;
        act.direct = abi.encodeCall(
            IPoints.clawback, (grant.batch, grant.index, grant.purchase, taken, entries, proof, signature)
        );
        act.packed = act.direct;
    }

    /* THE OWNER'S TERMS */

    function setLimits(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        IPoints.Limits memory wanted = IPoints.Limits({
            supplyCap: uint96(1_000_000 + (seed >> 32) % 200_000_000),
            entryCap: uint96(1_000 + (seed >> 64) % 2_000_000),
            bucket: uint96(100_000 + (seed >> 96) % 6_000_000),
            refill: uint96((seed >> 128) % 200)
        });
        (bool signed, uint40 nonce, uint40 deadline) = _ownersTerms(token, seed);
        bytes memory signature;
        if (signed) signature = _ownerSigns(token, LIMITS, abi.encode(wanted, nonce, deadline));
        bytes memory data = abi.encodeCall(IPoints.setLimits, (wanted, nonce, deadline, signature));
        _doAsOwner("setLimits", token, data, signed, nonce, deadline);
        _setLimits(token, wanted);
        _took();
    }

    function extendLife(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        uint16 wanted = uint16(_life[token] + 1 + (seed >> 32) % 3);
        (bool signed, uint40 nonce, uint40 deadline) = _ownersTerms(token, seed);
        bytes memory signature = signed ? _ownerSigns(token, LIFE, abi.encode(wanted, nonce, deadline)) : bytes("");
        bytes memory data = abi.encodeCall(IPoints.extendLife, (wanted, nonce, deadline, signature));
        _doAsOwner("extendLife", token, data, signed, nonce, deadline);
        _life[token] = wanted;
        _took();
    }

    function recover(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        uint256 place = (seed >> 8) % HOLDERS;
        address holder = _holders[place].account;
        address to = _holders[(place + 1 + (seed >> 16) % (HOLDERS - 1)) % HOLDERS].account;
        (bool signed, uint40 nonce, uint40 deadline) = _ownersTerms(token, seed);
        bytes memory data;
        if (signed) data = _ownerSigns(token, RECOVER, abi.encode(holder, to, nonce, deadline));
        data = abi.encodeCall(IPoints.recover, (holder, to, nonce, deadline, data));
        _doAsOwner("recover", token, data, signed, nonce, deadline);
        _recovery[token][holder] = Recovery({active: true, to: to, due: block.timestamp + 14 days});
        _took();
    }

    /// @dev Finishes a recovery whose time has come; tries, too, one whose time has not.
    function finishRecovery(uint256 seed) external action {
        seed = _draw(seed);
        for (uint256 step; step < PROGRAMMES * HOLDERS; ++step) {
            uint256 place = (seed + step) % (PROGRAMMES * HOLDERS);
            address token = tokens[place % PROGRAMMES];
            address holder = _holders[place / PROGRAMMES].account;
            Recovery memory recovery = _recovery[token][holder];
            bytes memory data = abi.encodeCall(IPoints.finishRecovery, (holder));
            if (!recovery.active) continue;
            if (block.timestamp < recovery.due) {
                bytes memory early = abi.encodeWithSelector(IPoints.RecoveryNotDue.selector, holder, recovery.due);
                _refusedAs("recovery before its time", _stranger.account, token, data, early);
                continue;
            }
            _doAs("finishRecovery", _stranger.account, token, data);
            _recovered(token, holder);
            return _took();
        }
    }

    function sweep(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        address[] memory swept = new address[](4);
        bool any;
        for (uint256 place; place < swept.length; ++place) {
            swept[place] =
            _holders[(seed >> 8) % HOLDERS + place >= HOLDERS ? place : (seed >> 8) % HOLDERS + place].account;
            if (_isDead(token, swept[place])) any = true;
        }
        _doAs("sweep", _stranger.account, token, abi.encodeCall(IPoints.sweep, (swept)));
        for (uint256 place; place < swept.length; ++place) {
            _expire(token, swept[place]);
        }
        if (any) _took();
    }

    function _ownersTerms(address token, uint256 seed) private view returns (bool, uint40, uint40) {
        uint40 nonce = _freshNonce(token, _owners[_place[token]].account, seed >> 160);
        return (seed % 2 == 0, nonce, uint40(block.timestamp + (seed >> 200) % 3 days));
    }

    function _ownerSigns(address token, string memory act, bytes memory words) private view returns (bytes memory) {
        return _sign(_owners[_place[token]], _digest(token, act, words), VERIFIED);
    }

    function _doAsOwner(
        string memory what,
        address token,
        bytes memory data,
        bool signed,
        uint40 nonce,
        uint40 deadline
    ) private {
        address owner = _owners[_place[token]].account;
        if (!signed) return _doAs(what, owner, token, data);
        _do(what, Act(token, data, data), uint256(nonce));
        _use(token, owner, nonce);
        _acted(token, owner);
        bytes memory refusal = abi.encodeWithSelector(IPoints.InvalidNonce.selector, owner, uint256(nonce));
        _rememberNumbered(Act(token, data, data), refusal, deadline);
    }

    /* THE EXCHANGE */

    function setQuote(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        uint256 bid = seed % 11 == 0 ? 1 + (seed >> 32) % 2 ** (1 + (seed >> 24) % 50) : 1e9 + (seed >> 32) % 1e12;
        uint256 ask = seed % 4 == 0 ? bid : bid + (seed >> 96) % (bid / 5 + 1);
        uint256 until = block.timestamp + 1 + (seed >> 128) % 60 days;
        uint256 cap = seed % 7 == 0 ? (seed >> 160) % 1e6 : 1e9 + (seed >> 160) % 1e12;
        IExchange.Quote memory quote = IExchange.Quote(uint64(bid), uint64(ask), uint40(until), uint88(cap));
        uint64 nonce = _accountNonce[token];
        bytes memory signature;
        if (seed % 2 == 0) signature = _exchangeSigns(token, QUOTE, abi.encode(token, quote, nonce));
        _doByOwner("setQuote", token, abi.encodeCall(IExchange.setQuote, (token, quote, nonce, signature)), seed);
        _post(token, quote);
        _took();
    }

    function setPartner(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        address partner = tokens[(seed + 1 + (seed >> 8) % 2) % PROGRAMMES];
        bool allowed = (seed >> 16) % 8 != 0;
        uint64 nonce = _accountNonce[token];
        bytes memory words = abi.encode(token, partner, allowed, nonce);
        bytes memory signature = seed % 2 == 0 ? _exchangeSigns(token, PARTNER, words) : bytes("");
        bytes memory data = abi.encodeCall(IExchange.setPartner, (token, partner, allowed, nonce, signature));
        _doByOwner("setPartner", token, data, seed);
        _consents[token][partner] = allowed;
        _took();
    }

    function deposit(uint256 seed) external action {
        seed = _draw(seed);
        address[7] memory accounts =
            [tokens[0], tokens[1], tokens[2], tokens[seed % 3], _sponsor.account, _charities[0].account, _network];
        address account = accounts[(seed >> 8) % accounts.length];
        uint96 amount = uint96(1 + (seed >> 16) % 1e11);
        settlement.mint(_stranger.account, amount);
        _doAs(
            "approve",
            _stranger.account,
            address(settlement),
            abi.encodeCall(settlement.approve, (address(exchange), amount))
        );
        _doAs("deposit", _stranger.account, address(exchange), abi.encodeCall(IExchange.deposit, (account, amount)));
        _margin[account] += amount;
        _otherwise[account] += amount;
        _took();
    }

    function announceWithdrawal(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        address to = address(uint160(0xbeef + seed % 5));
        uint96 amount = uint96(1 + (seed >> 16) % 1e10);
        uint64 nonce = _accountNonce[token];
        bytes memory words = abi.encode(token, to, amount, nonce);
        bytes memory signature = seed % 2 == 0 ? _exchangeSigns(token, WITHDRAW, words) : bytes("");
        bytes memory data = abi.encodeCall(IExchange.withdraw, (token, to, amount, nonce, signature));
        _doByOwner("announce a withdrawal", token, data, seed);
        _withdrawal[token] = Withdrawal(to, amount, block.timestamp + 7 days);
        _took();
    }

    /// @dev Completes a withdrawal whose notice is over; tries, too, one whose notice is not.
    function completeWithdrawal(uint256 seed) external action {
        seed = _draw(seed);
        for (uint256 step; step < PROGRAMMES; ++step) {
            address token = tokens[(seed + step) % PROGRAMMES];
            Withdrawal memory withdrawal = _withdrawal[token];
            bytes memory data = abi.encodeCall(IExchange.completeWithdrawal, (token));
            if (withdrawal.due == 0 || _margin[token] == 0) continue;
            if (block.timestamp < withdrawal.due) {
                bytes memory early = abi.encodeWithSelector(IExchange.NoticeNotOver.selector, token, withdrawal.due);
                _refusedAs("withdrawal before its time", _stranger.account, address(exchange), data, early);
                continue;
            }
            _doAs("completeWithdrawal", _stranger.account, address(exchange), data);
            _margin[token] -= withdrawal.amount < _margin[token] ? withdrawal.amount : _margin[token];
            delete _withdrawal[token];
            return _tookExit(token);
        }
    }

    function _exchangeSigns(address token, string memory act, bytes memory words) private view returns (bytes memory) {
        return _sign(_owners[_place[token]], _digest(address(exchange), act, words), VERIFIED);
    }

    /// @dev Signed and carried by anybody if `seed` is even, as the signature is; else by the owner's transaction.
    function _doByOwner(string memory what, address token, bytes memory data, uint256 seed) private {
        uint256 nonce = _accountNonce[token]++;
        if (seed % 2 == 1) return _doAs(what, _owners[_place[token]].account, address(exchange), data);
        Act memory act = Act(address(exchange), data, data);
        _do(what, act, seed >> 128);
        // An old quote may be refused for its end before its nonce is looked at.
        bool exact = bytes4(data) != IExchange.setQuote.selector;
        bytes memory refusal = abi.encodeWithSelector(IExchange.InvalidNonce.selector, token, nonce);
        _rememberNumbered(act, exact ? refusal : bytes(""), type(uint40).max);
    }
}
