"""Writes `bindings.py` from the contracts' ABIs: events, calldata, results and errors as plain Python.

Pure: ABIs in, source text out, the same text for the same ABIs. Only events of static types are understood, which is
all that the contracts emit; an ABI type that is not understood stops the generation rather than being left out, apart
from results of dynamic size, which no caller of the bindings needs.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from eth_utils.crypto import keccak

Abi = Sequence[Mapping[str, Any]]
Field = Mapping[str, Any]

PREFIXES = {"SettlementToken": "settlement"}
"""A contract's functions are prefixed with its name in lower case, unless it is listed here."""

BUILTIN_ERRORS = (
    {"name": "Error", "inputs": [{"name": "reason", "type": "string"}]},
    {"name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)

HEADER = '''"""Generated from the contracts' ABIs by `contracts/generate.py`; `make artifacts` writes it anew.

Events decode by fixed words; a log with an event's topic but another shape raises `UndecodableLog`. Addresses and
hashes are raw bytes. Calldata is `<contract>_<function>(...)`; a view's answer is read by
`<contract>_<view>_result(data)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from contracts import abi
from contracts.abi import UndecodableLog
'''


def bindings(abis: Mapping[str, Abi]) -> str:
    """The text of `bindings.py` for contracts by name."""
    parts = [HEADER]
    parts += _structures(abis)
    events = _distinct(abis, "event")
    parts += [_event(entry) for entry in events]
    union = "\n    | ".join(entry["name"] for entry in events)
    parts.append(f"Event = (\n    {union}\n)\n")
    table = "".join(f"    {_constant(entry['name'])}_TOPIC: {entry['name']},\n" for entry in events)
    parts.append(f"EVENTS: Final[dict[bytes, type[Event]]] = {{\n{table}}}\n")
    for contract, contract_abi in abis.items():
        prefix = PREFIXES.get(contract, contract.lower())
        functions = [entry for entry in contract_abi if entry["type"] == "function"]
        for entry in sorted(functions, key=lambda entry: str(entry["name"])):
            parts += [_call(prefix, entry), *_result(prefix, entry)]
    parts.append(_errors([*BUILTIN_ERRORS, *_distinct(abis, "error")]))
    return "\n\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _distinct(abis: Mapping[str, Abi], kind: str) -> list[Mapping[str, Any]]:
    """Events or errors of all contracts by name; one that several contracts share must be the same in each."""
    found: dict[str, Mapping[str, Any]] = {}
    for contract_abi in abis.values():
        for entry in contract_abi:
            if entry["type"] != kind:
                continue
            other = found.setdefault(entry["name"], entry)
            if _signature(other) != _signature(entry):
                raise ValueError(f"two {kind}s are named {entry['name']}")
    return [found[name] for name in sorted(found)]


def _structures(abis: Mapping[str, Abi]) -> list[str]:
    found: dict[str, str] = {}
    for contract_abi in abis.values():
        for entry in contract_abi:
            for field in (*entry.get("inputs", ()), *entry.get("outputs", ())):
                if field["type"].startswith("tuple"):
                    members = "".join(f"    {_name(part)}: {_python(part)}\n" for part in field["components"])
                    name = _structure(field)
                    text = f"class {name}(NamedTuple):\n{members}"
                    if found.setdefault(name, text) != text:
                        raise ValueError(f"two structures are named {name}")
    return [found[name] for name in sorted(found)]


def _event(entry: Mapping[str, Any]) -> str:
    name, inputs = str(entry["name"]), entry["inputs"]
    indexed = [field for field in inputs if field["indexed"]]
    plain = [field for field in inputs if not field["indexed"]]
    places = {id(field): f"topics[{place}]" for place, field in enumerate(indexed, 1)}
    places |= {id(field): f"data[{32 * place}:{32 * place + 32}]" for place, field in enumerate(plain)}
    members = "".join(f"    {_name(field)}: {_python(field)}\n" for field in inputs)
    reads = "".join(f"            {_read(field, places[id(field)])},\n" for field in inputs)
    made = f"cls(\n{reads}        )" if inputs else "cls()"
    topic = f"{_constant(name)}_TOPIC"
    return (
        f'{topic}: Final = bytes.fromhex("{keccak(text=_signature(entry)).hex()}")\n\n\n'
        f"class {name}(msgspec.Struct, frozen=True, gc=False):\n{members}\n"
        f"    @classmethod\n"
        f"    def from_log(cls, topics: Sequence[bytes], data: bytes) -> {name}:\n"
        f"        if len(topics) != {len(indexed) + 1} or len(data) != {32 * len(plain)} or topics[0] != {topic}:\n"
        f'            raise UndecodableLog("{name}", topics, data)\n'
        f"        return {made}\n"
    )


def _call(prefix: str, entry: Mapping[str, Any]) -> str:
    inputs = _named(entry["inputs"])
    arguments = ", ".join(f"{_name(field)}: {_python(field)}" for field in inputs)
    selector = keccak(text=_signature(entry))[:4].hex()
    values = ", ".join(_write(field, _name(field)) for field in inputs)
    body = f'bytes.fromhex("{selector}")' + (f" + abi.sequence({values})" if inputs else "")
    star = "*, " if inputs else ""
    return f"def {_function(prefix, entry)}({star}{arguments}) -> bytes:\n    return {body}\n"


def _result(prefix: str, entry: Mapping[str, Any]) -> list[str]:
    outputs = entry["outputs"]
    if not outputs or (len(outputs) > 1 and any(_is_dynamic(field) for field in outputs)):
        return []
    name = f"{_function(prefix, entry)}_result"
    if len(outputs) == 1 and outputs[0]["type"] == "string":
        return [f"def {name}(data: bytes) -> str:\n    return abi.returned_text(data)\n"]
    if any(_is_dynamic(field) for field in outputs):
        return []
    tuple_output = outputs[0] if outputs[0]["type"] == "tuple" else None
    fields = tuple_output["components"] if tuple_output else outputs
    reads = [_read(field, f"data[{32 * place}:{32 * place + 32}]") for place, field in enumerate(fields)]
    if tuple_output:
        kind = _structure(tuple_output)
        value = f"{kind}({', '.join(reads)})"
    elif len(reads) > 1:
        kind = f"tuple[{', '.join(_python(field) for field in outputs)}]"
        value = ", ".join(reads)
    else:
        kind, value = _python(outputs[0]), reads[0]
    return [f"def {name}(data: bytes) -> {kind}:\n    abi.result(data, {len(fields)})\n    return {value}\n"]


def _errors(entries: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for entry in entries:
        names = [field["name"] for field in entry["inputs"]]
        types = [field["type"] for field in entry["inputs"]]
        selector = keccak(text=_signature(entry))[:4].hex()
        lines.append(f'    bytes.fromhex("{selector}"): ("{entry["name"]}", {_quoted(names)}, {_quoted(types)}),\n')
    return (
        f"ERRORS: Final[dict[bytes, tuple[str, list[str], list[str]]]] = {{\n{''.join(lines)}}}\n\n\n"
        "def describe_error(data: bytes) -> str:\n"
        '    """A revert\'s reason in words; `data` may be cut short after any word."""\n'
        "    return abi.describe_error(ERRORS, data)\n"
    )


def _quoted(words: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(_canonical(field) for field in entry['inputs'])})"


def _canonical(field: Field) -> str:
    if not field["type"].startswith("tuple"):
        return str(field["type"])
    return f"({','.join(_canonical(part) for part in field['components'])}){field['type'][5:]}"


def _is_dynamic(field: Field) -> bool:
    kind = field["type"]
    if kind == "tuple":
        return any(_is_dynamic(part) for part in field["components"])
    return kind in ("bytes", "string") or kind.endswith("[]")


def _python(field: Field) -> str:
    kind = field["type"]
    if kind.endswith("[]"):
        return f"Sequence[{_python({**field, 'type': kind[:-2]})}]"
    if kind == "tuple":
        return _structure(field)
    if kind.startswith("uint"):
        return "int"
    if kind.startswith("bytes") or kind == "address":
        return "bytes"
    return {"bool": "bool", "string": "str"}[kind]


def _write(field: Field, value: str) -> str:
    kind = field["type"]
    if kind.endswith("[]"):
        return f"abi.array([{_write({**field, 'type': kind[:-2]}, 'item')} for item in {value}])"
    if kind == "tuple":
        members = (_write(part, f"{value}.{_name(part)}") for part in field["components"])
        return f"abi.structure({', '.join(members)})"
    if kind.startswith("uint"):
        return f"abi.uint({value}, {kind[4:]})"
    if kind.startswith("bytes") and kind != "bytes":
        return f"abi.fixed({value}, {kind[5:]})"
    return f"abi.{ {'address': 'address', 'bool': 'boolean', 'bytes': 'blob', 'string': 'text'}[kind] }({value})"


def _read(field: Field, word: str) -> str:
    kind = field["type"]
    if kind.startswith("uint"):
        return f"int.from_bytes({word})"
    if kind == "bool":
        return f"any({word})"
    if kind == "address":
        return f"{word}[12:]" if word.startswith("topics") else _narrowed(word, 12, 32)
    if kind.startswith("bytes") and kind != "bytes":
        size = int(kind[5:])
        return word if size == 32 else (f"{word}[:{size}]" if word.startswith("topics") else _narrowed(word, 0, size))
    raise ValueError(f"{kind} is not of static size")


def _narrowed(word: str, start: int, end: int) -> str:
    """Part of a word of `data`, as one slice."""
    place = int(word[5 : word.index(":")])
    return f"data[{place + start}:{place + end}]"


def _named(fields: Sequence[Field]) -> list[Field]:
    return [{**field, "name": field["name"] or f"argument{place}"} for place, field in enumerate(fields)]


def _name(field: Field) -> str:
    name = _snake(field["name"])
    return f"{name}_" if keyword.iskeyword(name) else name


def _structure(field: Field) -> str:
    return str(field["internalType"]).removeprefix("struct ").removesuffix("[]").split(".")[-1]


def _function(prefix: str, entry: Mapping[str, Any]) -> str:
    return f"{prefix}_{_snake(entry['name'])}"


def _constant(name: str) -> str:
    return _snake(name).upper()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
