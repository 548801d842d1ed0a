// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBundle} from "../../src/interfaces/IBundle.sol";
import {IExchange} from "../../src/interfaces/IExchange.sol";
import {IPoints} from "../../src/interfaces/IPoints.sol";
import {Vm} from "../Forge.sol";
import {CANCEL, GIVE, Person, REDEEM, SEND, SWAP} from "./Keys.sol";
import {World} from "./World.sol";

/// @title How acts are signed, written down and carried to the contracts, and what is remembered of them
/// @notice One act goes by one of four ways: the ABI's function, the packed form, and either of them in a bundle.
abstract contract Carrier is World {
    /// @dev One call in both forms; where there is no packed form they are the same.
    struct Act {
        address target;
        bytes direct;
        bytes packed;
    }

    /// @dev What every intent says. `holder` is a place in `_holders`.
    struct Intent {
        address token;
        uint96 amount;
        uint8 holder;
        uint40 nonce;
        uint40 deadline;
    }

    enum Spend {
        None,
        Send,
        Redeem,
        Swap,
        Give,
        Cancel
    }

    /// @dev An act that took effect: an intent as what was signed, any other as its calldata.
    struct Past {
        Spend spend;
        Intent intent;
        address counterparty;
        uint96 detail; // a swap's minimum, a gift's campaign
        bytes32 order;
        address target;
        bytes data;
        bytes refusal; // why it would be refused; empty if for one of several reasons
        uint40 deadline;
    }

    uint256 internal constant WAYS = 4;
    uint32 internal constant CALL_GAS = 2_000_000;

    Past[] internal _past;
    mapping(bytes4 action => uint256) public calls;
    mapping(bytes4 action => uint256) public effects;
    /// All calls of actions so far, and those that had an effect or proved a refusal.
    uint256 public tried;
    uint256 public done;
    /// How often each exit was taken while swaps or minting were paused.
    mapping(bytes4 action => uint256) public whilePaused;
    /// Balances told by the `Transfer` events alone.
    mapping(address token => mapping(address holder => uint256)) internal _logged;
    mapping(address token => uint256) internal _loggedSupply;
    uint256 private _draws;

    error Refused(string act, bytes reason);

    /// @dev Every action of a handler: counted, and its events read.
    modifier action() {
        ++calls[msg.sig];
        ++tried;
        vm.recordLogs();
        _;
        _readLogs();
    }

    function _took() internal {
        ++effects[msg.sig];
        ++done;
    }

    function _tookExit(address token) internal {
        _took();
        bool paused = block.timestamp < _swapsPausedUntil || block.timestamp < _mintingPausedUntil[token];
        if (paused) ++whilePaused[msg.sig];
    }

    /// @dev Numbers that depend on the action's seed and on nothing that forge mutates.
    function _draw(uint256 seed) internal returns (uint256) {
        return uint256(keccak256(abi.encode(seed, ++_draws)));
    }

    /* EVENTS */

    function _readLogs() internal {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 place; place < logs.length; ++place) {
            Vm.Log memory log = logs[place];
            if (log.topics[0] != keccak256("Transfer(address,address,uint256)")) continue;
            if (log.emitter == address(settlement)) continue;
            address from = address(uint160(uint256(log.topics[1])));
            address to = address(uint160(uint256(log.topics[2])));
            uint256 amount = abi.decode(log.data, (uint256));
            if (from == address(0)) _loggedSupply[log.emitter] += amount;
            else _logged[log.emitter][from] -= amount;
            if (to == address(0)) _loggedSupply[log.emitter] -= amount;
            else _logged[log.emitter][to] += amount;
        }
    }

    /// @dev Forgets what a refused call emitted: forge records also what was undone.
    /// @return reported what `Failed` said last, hashed
    function _dropLogs() internal returns (bytes32 reported) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 place; place < logs.length; ++place) {
            if (logs[place].topics[0] == IBundle.Failed.selector) reported = keccak256(logs[place].data);
        }
    }

    /* CARRYING */

    /// @return succeeded whether the act took effect; @return reason why not, as far as it is told that way
    function _carry(Act memory act, uint256 way) internal returns (bool succeeded, bytes memory reason) {
        way %= WAYS;
        if (way == 0) return act.target.call(act.direct);
        if (way == 1) return act.target.call(act.packed);
        Act[] memory one = new Act[](1);
        one[0] = act;
        return (_bundled(one, way == 3) == 0, "");
    }

    function _bundled(Act[] memory acts, bool packed) internal returns (uint256 failures) {
        if (!packed) {
            IBundle.Call[] memory list = new IBundle.Call[](acts.length);
            for (uint256 place; place < acts.length; ++place) {
                list[place] = IBundle.Call(acts[place].target, CALL_GAS, acts[place].direct);
            }
            return bundle.execute(list);
        }
        address[] memory targets = new address[](acts.length);
        bytes memory stream;
        for (uint256 place; place < acts.length; ++place) {
            targets[place] = acts[place].target;
            bytes memory data = acts[place].packed;
            stream = bytes.concat(stream, abi.encodePacked(uint8(place), uint24(CALL_GAS), uint24(data.length)), data);
        }
        return bundle.executePacked(targets, stream);
    }

    /// @dev An act that must take effect.
    function _do(string memory what, Act memory act, uint256 way) internal {
        (bool succeeded, bytes memory reason) = _carry(act, way);
        if (!succeeded) revert Refused(what, reason);
    }

    /// @dev By somebody's own transaction; it must take effect.
    function _doAs(string memory what, address sender, address target, bytes memory data) internal {
        vm.prank(sender);
        (bool succeeded, bytes memory reason) = target.call(data);
        if (!succeeded) revert Refused(what, reason);
    }

    /// @dev An act that must not take effect, for exactly this reason, whichever way it comes.
    function _refused(string memory what, Act memory act, uint256 way, bytes memory expected) internal {
        (bool succeeded, bytes memory reason) = _carry(act, way);
        assertTrue(!succeeded, what);
        bytes32 reported = _dropLogs();
        if (way % WAYS < 2) _same(what, reason, expected);
        else assertEq(reported, _asReported(expected), what);
    }

    function _refusedAs(string memory what, address sender, address target, bytes memory data, bytes memory expected)
        internal
    {
        vm.prank(sender);
        (bool succeeded, bytes memory reason) = target.call(data);
        assertTrue(!succeeded, what);
        _dropLogs();
        _same(what, reason, expected);
    }

    function _same(string memory what, bytes memory reason, bytes memory expected) private pure {
        if (keccak256(reason) != keccak256(expected)) revert Refused(what, reason);
    }

    /// @dev What `Failed` carries of a reason: its selector and its first two words.
    function _asReported(bytes memory reason) private pure returns (bytes32) {
        bytes32[3] memory parts;
        for (uint256 place; place < reason.length && place < 68; ++place) {
            (uint256 part, uint256 offset) = place < 4 ? (0, place) : ((place - 4) / 32 + 1, (place - 4) % 32);
            parts[part] |= bytes32(reason[place]) >> (8 * offset);
        }
        return keccak256(abi.encode(parts[0], parts[1], parts[2]));
    }

    /* INTENTS */

    function _head(uint8 kind, Intent memory intent) private view returns (bytes memory) {
        address holder = _holders[intent.holder].account;
        return abi.encodePacked(kind, holder, intent.amount, intent.nonce, intent.deadline);
    }

    /// @dev The signature of `signer` with the assurance that the amount needs.
    function _signedBy(Person memory signer, Intent memory intent, string memory act, bytes memory words)
        private
        view
        returns (bytes memory)
    {
        uint8 flags = intent.amount > _verifiedAbove[intent.token] ? VERIFIED : PRESENT;
        return _sign(signer, _digest(intent.token, act, words), flags);
    }

    function _sendSignature(Person memory signer, Intent memory i, address to) internal view returns (bytes memory) {
        address holder = _holders[i.holder].account;
        return _signedBy(signer, i, SEND, abi.encode(holder, to, i.amount, i.nonce, i.deadline));
    }

    function _sendAct(Intent memory i, address to, bytes memory signature) internal view returns (Act memory act) {
        address holder = _holders[i.holder].account;
        act.target = i.token;
        act.direct = abi.encodeCall(IPoints.send, (holder, to, i.amount, i.nonce, i.deadline, signature));
        act.packed = abi.encodePacked(IPoints.executePacked.selector, _head(0, i), to, signature);
    }

    function _send(Intent memory i, address to) internal view returns (Act memory) {
        return _sendAct(i, to, _sendSignature(_holders[i.holder], i, to));
    }

    function _redeem(Intent memory i, bytes32 order) internal view returns (Act memory act) {
        Person memory holder = _holders[i.holder];
        bytes memory words = abi.encode(holder.account, i.amount, order, i.nonce, i.deadline);
        bytes memory signature = _signedBy(holder, i, REDEEM, words);
        act.target = i.token;
        act.direct = abi.encodeCall(IPoints.redeem, (holder.account, i.amount, order, i.nonce, i.deadline, signature));
        act.packed = abi.encodePacked(IPoints.executePacked.selector, _head(1, i), order, signature);
    }

    function _swap(Intent memory i, address into, uint96 minimum, Person memory signer)
        internal
        view
        returns (Act memory act)
    {
        address holder = _holders[i.holder].account;
        bytes memory words = abi.encode(holder, i.amount, into, minimum, i.nonce, i.deadline);
        bytes memory signature = _signedBy(signer, i, SWAP, words);
        act.target = address(exchange);
        act.direct =
            abi.encodeCall(IExchange.swap, (i.token, holder, i.amount, into, minimum, i.nonce, i.deadline, signature));
        act.packed = abi.encodePacked(IExchange.executePacked.selector, i.token, _head(2, i), into, minimum, signature);
    }

    function _give(Intent memory i, address charity, uint32 campaign, Person memory signer)
        internal
        view
        returns (Act memory act)
    {
        address holder = _holders[i.holder].account;
        bytes memory words = abi.encode(holder, i.amount, charity, campaign, i.nonce, i.deadline);
        bytes memory signature = _signedBy(signer, i, GIVE, words);
        act.target = address(exchange);
        act.direct = abi.encodeCall(
            IExchange.give, (i.token, holder, i.amount, charity, campaign, i.nonce, i.deadline, signature)
        );
        act.packed =
            abi.encodePacked(IExchange.executePacked.selector, i.token, _head(3, i), charity, campaign, signature);
    }

    function _cancel(Intent memory i) internal view returns (Act memory act) {
        Person memory holder = _holders[i.holder];
        bytes32 digest = _digest(i.token, CANCEL, abi.encode(holder.account, i.nonce, i.deadline));
        act.target = i.token;
        act.direct =
            abi.encodeCall(IPoints.cancel, (holder.account, i.nonce, i.deadline, _sign(holder, digest, PRESENT)));
        act.packed = act.direct;
    }

    /* MEMORY */

    function _remember(Spend spend, Intent memory intent, address counterparty, uint256 detail) internal {
        _use(intent.token, _holders[intent.holder].account, intent.nonce);
        Past storage past = _past.push();
        (past.spend, past.intent) = (spend, intent);
        if (spend == Spend.Redeem) past.order = bytes32(detail);
        else (past.counterparty, past.detail) = (counterparty, uint96(detail));
    }

    /// @dev A signed act that its own number protects: of an owner, a charity, a sponsor. One of four is remembered.
    function _rememberNumbered(Act memory act, bytes memory refusal, uint256 deadline) internal {
        if (_draws % 4 != 0) return;
        Past storage past = _past.push();
        (past.target, past.data, past.refusal, past.deadline) = (act.target, act.direct, refusal, uint40(deadline));
    }

    /// @dev The very same bytes: signatures are deterministic.
    function _again(Past memory past) internal view returns (Act memory) {
        Intent memory intent = past.intent;
        if (past.spend == Spend.None) return Act(past.target, past.data, past.data);
        if (past.spend == Spend.Cancel) return _cancel(intent);
        if (past.spend == Spend.Send) return _send(intent, past.counterparty);
        if (past.spend == Spend.Redeem) return _redeem(intent, past.order);
        Person memory holder = _holders[intent.holder];
        if (past.spend == Spend.Swap) return _swap(intent, past.counterparty, past.detail, holder);
        return _give(intent, past.counterparty, uint32(past.detail), holder);
    }
}
