// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title Many signed calls in one transaction
/// @notice Holds nothing and has no rights: every call it carries is authorised by its own signature.
interface IBundle {
    /// @param gas most gas that the call may use; it is guaranteed that much or the bundle reverts
    struct Call {
        address target;
        uint32 gas;
        bytes data;
    }

    /// @notice Call number `index` failed and changed nothing. `error` is the selector of its reason and `first`,
    /// `second` are the reason's first two words; all zero when there was none (out of gas). A call to an address
    /// without code fails with the reason `NotAContract`.
    event Failed(uint256 indexed index, bytes4 error, bytes32 first, bytes32 second);

    /// @notice The transaction's gas limit is too low for the gas promised to call `index` (EIP-150).
    error NotEnoughGas(uint256 index);
    /// @notice Call `index` names an address without code. Reported by `Failed`, never thrown: it harms no other call.
    error NotAContract(uint256 index, address target);

    /// @notice Packed call `index` is longer than what is left.
    error MalformedCall(uint256 index);

    /// @return failures how many calls failed
    function execute(Call[] calldata calls) external returns (uint256 failures);

    /// @notice `execute` with a third of the calldata. `calls` is one call after the other, without padding:
    ///
    ///     place of the target in `targets`, u8 | gas, u24 | length of the data, u24 | data
    ///
    /// A place that `targets` does not have and a call that is cut short (`MalformedCall`) revert the bundle.
    function executePacked(address[] calldata targets, bytes calldata calls) external returns (uint256 failures);
}
