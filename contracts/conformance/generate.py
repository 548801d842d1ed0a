"""Writes slither's ERC-20 properties beside `Token.sol`, for `make erc20`. Run by the provers' Python.

`slither-prop` itself takes projects of truffle and bare files for the native compiler only; these are the functions
that it calls.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from slither.tools.properties.addresses.address import Addresses
from slither.tools.properties.properties.erc20 import ERC20_PROPERTIES
from slither.tools.properties.properties.properties import property_to_solidity
from slither.tools.properties.solidity.generate_properties import (
    generate_solidity_interface,
    generate_solidity_properties,
    generate_test_contract,
)

SCENARIOS = ("Transferable", "NotMintableNotBurnable")
"""Those that a token promises to those who hold it: by the calls of ERC-20 alone, nothing is minted or burned."""


def main(folder: Path) -> None:
    """Prints the generated contracts with their properties' names."""
    token = SimpleNamespace(
        name="Token", source_mapping=SimpleNamespace(filename=SimpleNamespace(short="suite/Token.sol"))
    )
    generate_solidity_interface(folder, Addresses())
    properties = {}
    for scenario in SCENARIOS:
        chosen = ERC20_PROPERTIES[scenario].properties
        text = "\n".join(property_to_solidity(one) for one in chosen)
        file = generate_solidity_properties(token, scenario, text, folder)
        _, name = generate_test_contract(token, scenario, folder, file, "")
        properties[name] = {one.name: one.description for one in chosen}
    print(json.dumps(properties))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
