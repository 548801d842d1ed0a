// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Holders} from "./Holders.sol";
import {Kind, Person, WITHDRAW} from "./Keys.sol";
import {Merchants} from "./Merchants.sol";
import {Network} from "./Network.sol";

/// @title What must not work: every attempt is refused for its own reason, whichever way it comes
/// @notice That a refused call changed nothing is what the invariants say afterwards: ledgers equal the model.
abstract contract Hostile is Holders, Merchants, Network {
    /// @dev Any act that took effect, again, in any order and by any way.
    function replay(uint256 seed) external action {
        seed = _draw(seed);
        if (_past.length == 0) return;
        Past memory past = _past[seed % _past.length];
        Act memory act = _again(past);
        (bytes memory refusal, uint256 deadline) = (past.refusal, past.deadline);
        if (past.spend != Spend.None) {
            address holder = _holders[past.intent.holder].account;
            refusal = abi.encodeWithSelector(IPoints.InvalidNonce.selector, holder, uint256(past.intent.nonce));
            deadline = past.intent.deadline;
        } else if (bytes4(act.direct) == IPoints.mint.selector) {
            refusal = _mintsRefusal(act);
        }
        if (block.timestamp > deadline) refusal = abi.encodeWithSelector(IPoints.IntentExpired.selector, deadline);
        _took();
        bool trades = past.spend == Spend.Swap || past.spend == Spend.Give;
        if (refusal.length != 0 && !trades) return _refused("a replay", act, seed >> 8, refusal);
        (bool succeeded,) = _carry(act, seed >> 8);
        assertTrue(!succeeded, "a replay");
        _dropLogs();
        if (!trades) return;
        // The exchange may have reasons of its own before it asks the token; so the token is asked, too, as if by it.
        bytes memory passedOn = _passedOn(act.packed);
        _refusedAs("a trade's replay at the token", address(exchange), past.intent.token, passedOn, refusal);
    }

    function _mintsRefusal(Act memory act) private view returns (bytes memory) {
        uint256 until = _mintingPausedUntil[act.target];
        if (block.timestamp < until) return abi.encodeWithSelector(IPoints.Paused.selector, until);
        (bytes memory data, uint256 batch) = (act.direct, 0);
        assembly ("memory-safe") {
            batch := mload(add(data, 0x24))
        }
        return abi.encodeWithSelector(IPoints.BatchOutOfOrder.selector, _batch[act.target] + 1, batch);
    }

    /// @dev Somebody else's signature, one for other words, for another programme, or without the assurance needed.
    function forgeSignature(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, address token, uint256 place) = _findRich(seed);
        if (!found) return;
        Person memory holder = _holders[place];
        Intent memory intent = _intent(token, place, _someOf(token, place, seed >> 40), seed >> 64);
        address to = _stranger.account;
        uint256 kind = (seed >> 8) % 4;
        bytes memory signature;
        if (kind == 0 || holder.kind == Kind.Contract) {
            // A contract approves its own word for whatever it is shown, and nobody else's.
            Person memory forger =
                holder.kind == Kind.Contract ? Person(Kind.Contract, seed, address(0), "") : _stranger;
            signature = _sendSignature(forger, intent, to);
        } else if (kind == 1) {
            signature = _sendSignature(holder, intent, holder.account);
        } else if (kind == 2) {
            intent.token = tokens[(_place[token] + 1) % PROGRAMMES];
            signature = _sendSignature(holder, intent, to);
            intent.token = token;
        } else {
            intent.amount += 1;
            signature = _sendSignature(holder, intent, to);
            intent.amount -= 1;
        }
        bytes memory refusal = abi.encodeWithSelector(IPoints.InvalidSignature.selector, holder.account);
        _refused("a forged send", _sendAct(intent, to, signature), seed >> 128, refusal);
        _took();
    }

    /// @dev A passkey that did not say who was present, for more than the programme lets pass without.
    function spendUnverified(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[1 + seed % 2]; // the programmes that ask
        uint256 place = 6 + (seed >> 8) % 2; // the holders with passkeys
        uint256 held = _alive(token, _holders[place].account);
        if (held <= _verifiedAbove[token]) return;
        Intent memory intent = _intent(token, place, held, seed >> 64);
        address to = _stranger.account;
        uint96 threshold = _verifiedAbove[token];
        _verifiedAbove[token] = type(uint96).max; // signs as if presence were enough
        bytes memory signature = _sendSignature(_holders[place], intent, to);
        _verifiedAbove[token] = threshold;
        bytes memory refusal = abi.encodeWithSelector(IPoints.InvalidSignature.selector, _holders[place].account);
        _refused("an unverified send", _sendAct(intent, to, signature), seed >> 128, refusal);
        _took();
    }

    /// @dev A stranger's swap or gift of somebody's points.
    function forgeTrade(uint256 seed) external action {
        seed = _draw(seed);
        (bool found, Trade memory trade) = _findTrade(seed);
        if (!found || _holders[trade.holder].kind == Kind.Contract) return;
        Intent memory intent = _intent(trade.from, trade.holder, trade.amount, seed >> 64);
        bool swaps = seed % 2 == 0 || trade.price.value == 0;
        Act memory act =
            swaps ? _swap(intent, trade.into, 0, _stranger) : _give(intent, _charities[0].account, 0, _stranger);
        bytes memory refusal = abi.encodeWithSelector(IPoints.InvalidSignature.selector, _holders[trade.holder].account);
        _refused("a forged trade", act, seed >> 128, refusal);
        _took();
    }

    /// @dev One more than the holder has; what has expired is nothing.
    function overspend(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        uint256 place = (seed >> 8) % HOLDERS;
        address holder = _holders[place].account;
        uint256 held = _alive(token, holder);
        Intent memory intent = _intent(token, place, held + 1, seed >> 64);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, holder, held, held + 1);
        Act memory act = seed >> 16 & 1 == 0 ? _send(intent, _stranger.account) : _redeem(intent, bytes32(seed));
        _refused("more than there is", act, seed >> 128, refusal);
        _took();
    }

    /// @dev One more point than the bucket or the cap leaves, or a batch that the issuer did not sign.
    function overmint(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        if (block.timestamp < _mintingPausedUntil[token]) return;
        IPoints.Limits memory limits = _limits(token);
        uint256 held = _level(token) < limits.bucket ? _level(token) : limits.bucket;
        uint256 amount = (seed >> 8) % 3 == 0 ? limits.entryCap + 1 : held + 1;
        bool forged = (seed >> 8) % 3 == 1;
        bytes memory refusal = abi.encodeWithSelector(IPoints.BucketExceeded.selector, held, amount);
        if (amount > limits.entryCap) {
            refusal = abi.encodeWithSelector(IPoints.EntryOutOfBounds.selector, 0, amount);
        }
        Person memory signer = _issuers[_place[token]];
        if (forged) {
            signer = _stranger;
            refusal = abi.encodeWithSelector(IPoints.InvalidSignature.selector, _issuers[_place[token]].account);
        }
        _grants.push(
            Grant(token, uint32(_batch[token] + 1), 0, _holders[0].account, uint96(amount), bytes32(seed), 0, 0)
        );
        Act memory act = _mint(token, _grants.length - 1, signer);
        _grants.pop();
        _refused("more than may be issued", act, seed >> 128, refusal);
        _took();
    }

    /// @dev More than the receipt granted, what was taken already, or what was minted to another, for another amount
    /// or for another purchase.
    function overclaw(uint256 seed) external action {
        seed = _draw(seed);
        if (_grants.length == 0) return;
        Grant memory grant = _grants[seed % _grants.length];
        bytes memory entries = _entries[grant.token][grant.batch];
        uint256 kind = (seed >> 8) % 5;
        uint96 taken = kind == 1 ? grant.taken : grant.amount + 1;
        bytes memory refusal = abi.encodeWithSelector(
            IPoints.RefundOutOfBounds.selector, uint256(grant.taken), uint256(grant.amount), uint256(taken)
        );
        if (kind > 1) {
            refusal =
                abi.encodeWithSelector(IPoints.UnknownReceipt.selector, uint256(grant.batch), uint256(grant.index));
        }
        if (kind == 2) grant.amount += 1;
        if (kind == 3) grant.holder = _stranger.account;
        if (kind == 4) grant.purchase = keccak256(abi.encode(grant.purchase));
        bytes memory entry = _entry(grant);
        for (uint256 place; place < entry.length; ++place) {
            entries[grant.index * 32 + place] = entry[place];
        }
        Act memory act = _clawback(grant, taken, entries, 1 + (seed >> 16) % 3);
        _refused("more than was granted", act, seed >> 128, refusal);
        _took();
    }

    /// @dev Entrances that are not for strangers.
    function trespass(uint256 seed) external action {
        seed = _draw(seed);
        address token = tokens[seed % PROGRAMMES];
        address stranger = _stranger.account;
        address holder = _holders[(seed >> 8) % HOLDERS].account;
        uint256 amount = 1 + (seed >> 32) % 1e6;
        bytes memory only = abi.encodeWithSelector(IPoints.OnlyExchange.selector, stranger);
        bytes memory data = abi.encodeCall(IPoints.creditAgainstMargin, (stranger, uint96(amount)));
        _refusedAs("credit without margin", stranger, token, data, only);

        Intent memory intent = _intent(token, (seed >> 8) % HOLDERS, amount, seed >> 64);
        data = _swap(intent, tokens[(seed + 1) % PROGRAMMES], 0, _holders[intent.holder]).packed;
        _refusedAs("a swap's burn alone", stranger, token, _passedOn(data), only);

        data = abi.encodeCall(IERC20.transferFrom, (holder, stranger, amount));
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, stranger, 0, amount);
        _refusedAs("no allowance", stranger, token, data, refusal);

        data = abi.encodeCall(IPoints.pause, ());
        refusal = abi.encodeWithSelector(IPoints.OnlyGuardian.selector, stranger);
        _refusedAs("a stranger's pause", stranger, seed >> 16 & 1 == 0 ? token : address(exchange), data, refusal);
        _misdirect(seed);
        _took();
    }

    /// @dev A stranger withdraws; a charity withdraws elsewhere than it is paid out; a merchant more than once.
    function _misdirect(uint256 seed) private {
        address token = tokens[seed % PROGRAMMES];
        bytes memory data = abi.encodeCall(IExchange.withdraw, (token, _stranger.account, 1, _accountNonce[token], ""));
        bytes memory refusal =
            abi.encodeWithSelector(IExchange.InvalidSignature.selector, _owners[seed % PROGRAMMES].account);
        _refusedAs("a stranger's withdrawal", _stranger.account, address(exchange), data, refusal);

        Person memory charity = _charities[(seed >> 24) % CHARITIES];
        uint64 nonce = _accountNonce[charity.account];
        bytes memory words = abi.encode(charity.account, _stranger.account, uint96(1), nonce);
        bytes memory signature = _sign(charity, _digest(address(exchange), WITHDRAW, words), VERIFIED);
        data = abi.encodeCall(IExchange.withdraw, (charity.account, _stranger.account, 1, nonce, signature));
        refusal = abi.encodeWithSelector(IExchange.NotPayout.selector, charity.account, _stranger.account);
        _refused("paid out elsewhere", Act(address(exchange), data, data), seed >> 128, refusal);
    }

    function _passedOn(bytes memory packed) private pure returns (bytes memory intent) {
        intent = new bytes(packed.length - 20);
        for (uint256 place; place < intent.length; ++place) {
            intent[place] = packed[place < 4 ? place : place + 20];
        }
        bytes4 selector = IPoints.executePacked.selector;
        for (uint256 place; place < 4; ++place) {
            intent[place] = selector[place];
        }
    }

    /// @dev Several acts at once, good ones and bad ones: each does what it would have done alone.
    function bundleUp(uint256 seed) external action {
        seed = _draw(seed);
        uint256 count = 2 + seed % 5;
        Act[] memory acts = new Act[](count);
        uint256 bad;
        uint256 good;
        for (uint256 place; place < count; ++place) {
            uint256 drawn = _draw(seed);
            (bool found, address token, uint256 holder) = _findRich(drawn);
            if (!found) return;
            if (drawn >> 250 == 0 || (drawn >> 16) % 3 == 0) {
                acts[place] = _badAct(token, holder, drawn);
                ++bad;
                continue;
            }
            address to = _holders[(drawn >> 32) % HOLDERS].account;
            Intent memory intent = _intent(token, holder, _someOf(token, holder, drawn >> 40), drawn >> 64);
            acts[place] = _send(intent, to);
            _modelSend(intent, to);
            _remember(Spend.Send, intent, to, 0);
            ++good;
        }
        uint256 failures = _bundled(acts, seed >> 128 & 1 == 0);
        assertEq(failures, bad, "the bundle reports what failed");
        if (good != 0 && bad != 0) _took();
    }

    function _badAct(address token, uint256 holder, uint256 seed) private view returns (Act memory act) {
        uint256 kind = (seed >> 24) % 4;
        if (kind == 0 && _past.length != 0) return _again(_past[seed % _past.length]);
        if (kind == 1) {
            act.target = address(uint160(uint256(keccak256(abi.encode(seed))))); // no contract
            act.direct = act.packed = "nothing";
            return act;
        }
        Intent memory intent = _intent(token, holder, 1 + _alive(token, _holders[holder].account), seed >> 64);
        if (kind == 2) return _send(intent, _stranger.account); // too much
        intent.amount = 1;
        Person memory forger =
            _holders[holder].kind == Kind.Contract ? Person(Kind.Contract, seed, address(0), "") : _stranger;
        return _sendAct(intent, _stranger.account, _sendSignature(forger, intent, _stranger.account));
    }
}
