"""What an audit leaves behind: a report that anybody can hold against the auditor.

Two audits of one block make the same report, byte for byte: keys are sorted, there are no floats, integers above 2^53
are strings, findings stand in the order of the checks and of their places. How long it took stands beside it, unsigned.
The signature is Ed25519 (RFC 8032) over the canonical bytes of `report`: it, too, is the same every time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from scripts.audit.record import CHECKS, Fact, Finding, Record
from scripts.errors import CommandFailed

FORMAT: Final = "points-audit/1"
VERDICTS: Final = {0: "proved", 1: "contradicted", 2: "unverified"}
_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_SOURCES: Final = ("scripts/audit/*.py", "contracts/*.py", "contracts/artifacts/*.json")
_EXACT: Final = 2**53
"""Up to here every reader of JSON has the same integers (RFC 8259, section 6)."""


class ReportUnusable(CommandFailed):
    """When a report cannot be read, or a key cannot be used."""


class Tampered(CommandFailed):
    """When a report is not what its auditor signed, or contradicts itself."""


class Count(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one check: facts proved, facts that a sample left out, and how many findings and doubts there are."""

    proved: int
    skipped: int
    contradictions: int
    doubts: int


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finding or a doubt. `id` is the same in every audit that finds the same in the same place."""

    id: str
    check: str
    message: str
    place: dict[str, int | str]


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed."""

    format: str
    inputs: dict[str, Any]
    checks: dict[str, Count]
    findings: list[Found]
    doubts: list[Found]
    verdict: str
    exit_code: int


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both in hexadecimal: the 32 bytes of the auditor's public key, and 64 of signature."""

    signer: str
    ed25519: str


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. `timings` are whole milliseconds."""

    report: Report
    signature: Signature
    timings: dict[str, int]


def of(record: Record) -> Report:
    """The report of what an audit has established."""
    findings, doubts = _sorted(record.findings), _sorted(record.doubts)
    checks = {
        check: Count(
            tally.proved,
            tally.skipped,
            sum(each.check == check for each in findings),
            sum(each.check == check for each in doubts),
        )
        for check, tally in record.tallies.items()
    }
    inputs: dict[str, Any] = _plain({**record.inputs, "sources": sources()})
    code = record.exit_code
    return Report(FORMAT, inputs, checks, findings, doubts, VERDICTS[code], code)


def canonical(report: object) -> bytes:
    """The bytes that are signed. Raises `TypeError` for a float."""
    return msgspec.json.encode(_plain(msgspec.to_builtins(report)), order="deterministic")


def sign(report: Report, key: Ed25519PrivateKey, timings: dict[str, int]) -> Signed:
    signer = key.public_key().public_bytes_raw().hex()
    return Signed(report, Signature(signer, key.sign(canonical(report)).hex()), timings)


def write(signed: Signed, path: Path) -> None:
    """Replaces the file in one step."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(_file(signed))
    unfinished.replace(path)


def read(path: Path) -> Signed:
    """A report as it stands in a file, not checked. Raises `ReportUnusable`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Signed)
    except OSError as error:
        raise ReportUnusable(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportUnusable(f"{path} is no report of an audit: {error}.") from error


def check(path: Path, *, signer: str | None = None) -> Signed:
    """The report, if it is signed (by `signer`, if one is named), canonical, and agrees with itself.

    Raises `ReportUnusable` or `Tampered`.
    """
    signed = read(path)
    report = signed.report
    if _file(signed) != path.read_bytes():
        raise Tampered(f"{path} is not written as reports are: something was added or moved.")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.signature.signer))
        key.verify(bytes.fromhex(signed.signature.ed25519), canonical(report))
    except (InvalidSignature, ValueError) as error:
        raise Tampered(f"{path} is not what the key {signed.signature.signer} signed.") from error
    if signer is not None and signer.lower().removeprefix("0x") != signed.signature.signer:
        raise Tampered(f"{path} is signed by {signed.signature.signer}, not by {signer}.")
    if not _agrees(report):
        raise Tampered(f"{path} contradicts itself: its ids, its counts or its verdict are not those of its findings.")
    return signed


def load_key(path: Path) -> Ed25519PrivateKey:
    """The auditor's key, made at first use, readable by its owner alone. Raises `ReportUnusable`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_key(path)
        if path.stat().st_mode & 0o077:
            raise ReportUnusable(f"{path} is readable by others: chmod 600 it, or make a new key.")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ReportUnusable(f"{path} cannot be used as a key: {error}.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReportUnusable(f"{path} is a key of another kind than Ed25519.")
    return key


def _make_key(path: Path) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(file, "wb") as opened:
        opened.write(
            Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def sources() -> str:
    """Of the auditor's own sources, and of what it compares code with."""
    return digest(_ROOT, [path for pattern in _SOURCES for path in _ROOT.glob(pattern)])


def digest(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 of the lines that `sha256sum` prints of these files in `folder`, sorted by their paths."""
    names = sorted(path.relative_to(folder).as_posix() for path in files if path.is_file())
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def identity(check: str, place: Fact, message: str) -> str:
    """Of a finding: 16 hexadecimal digits of the SHA-256 of what was found where."""
    return hashlib.sha256(canonical([check, place, message])).hexdigest()[:16]


def _sorted(findings: Iterable[Finding]) -> list[Found]:
    """Each once, by check, then by block and log, then by id."""
    order = list(CHECKS)
    found = {
        id: Found(id, each.check, each.message, _plain(each.place))
        for each in findings
        if (id := identity(each.check, dict(each.place), each.message))
    }
    return sorted(
        found.values(),
        key=lambda each: (order.index(each.check), _number(each, "block"), _number(each, "log"), each.id),
    )


def _number(found: Found, name: str) -> int:
    value = found.place.get(name, -1)
    return value if isinstance(value, int) else -1


def _agrees(report: Report) -> bool:
    both = (*report.findings, *report.doubts)
    return (
        report.format == FORMAT
        and all(each.id == identity(each.check, dict(each.place), each.message) for each in both)
        and list(report.checks) == sorted(CHECKS)
        and all(
            count.contradictions == sum(each.check == check for each in report.findings)
            and count.doubts == sum(each.check == check for each in report.doubts)
            for check, count in report.checks.items()
        )
        and report.exit_code == (1 if report.findings else 2 if report.doubts else 0)
        and report.verdict == VERDICTS[report.exit_code]
    )


def _file(signed: Signed) -> bytes:
    plain = _plain(msgspec.to_builtins(signed))
    return msgspec.json.format(msgspec.json.encode(plain, order="deterministic"), indent=1) + b"\n"


def _plain(value: Any) -> Any:
    """With integers that not every reader of JSON keeps as strings."""
    if isinstance(value, float):
        raise TypeError("a report has no floats")
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return str(value)
    return value
