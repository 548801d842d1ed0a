"""Reports: the same bytes for the same findings, whatever is changed is noticed, and two of them can be compared."""

from __future__ import annotations

import io
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from scripts.audit import display, report
from scripts.audit.options import Step
from scripts.audit.record import CHECKS, Record
from tests.conftest import ROOT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def record(*, findings: int = 2, backwards: bool = False) -> Record:
    made = Record()
    made.inputs.update(chain_id=31337, anchor={"number": 9, "hash": "0x" + "ab" * 32}, margin=2**60)
    made.proved("swaps", 7)
    made.skipped("state", 3)
    for number in reversed(range(findings)) if backwards else range(findings):
        made.found("swaps", f"paid {number} too much", block=5, log=number, transaction="0x" + "cd" * 32)
        made.found("code", "the code is another", address=f"0x{number:040x}", balance=2**70)
    made.doubted("state", "the node has no state of this block", block=9)
    return made


def written(path: Path, of: Record, milliseconds: int = 5) -> bytes:
    report.write(report.sign(report.of(of), KEY, {"total": milliseconds}), path)
    return path.read_bytes()


def test_the_same_findings_make_the_same_bytes_in_whatever_order_they_were_found(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", record())
    other = written(tmp_path / "other.json", record(backwards=True))
    assert one == other


def test_only_the_timings_of_two_reports_differ_and_they_are_not_signed(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    written(one, record(), 5)
    written(other, record(), 7_000)
    assert one.read_bytes() != other.read_bytes()
    assert one.read_bytes().replace(b'"total": 5', b'"total": 7000') == other.read_bytes()
    assert report.read(one).signature == report.read(other).signature


def test_what_is_signed_is_sorted_without_floats_and_exact_for_every_reader() -> None:
    told = report.canonical(report.of(record()))
    decoded = msgspec.json.decode(told)
    assert list(decoded) == sorted(decoded)
    assert decoded["inputs"]["margin"] == str(2**60)
    assert decoded["findings"][0]["place"]["balance"] == str(2**70)
    assert (
        b" " not in told.replace(b"the code is another", b"").replace(b"the node has no state of this block", b"")[:80]
    )
    with pytest.raises(TypeError, match="floats"):
        report.canonical({"share": 0.5})


def test_a_report_that_its_auditor_signed_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    written(path, record())
    signer = KEY.public_key().public_bytes_raw().hex()
    assert report.check(path, signer=signer).report == report.of(record())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"proved": 7', b'"proved": 8'),
        (b"paid 1 too much", b"paid 2 too much"),
        (b'"verdict": "contradicted"', b'"verdict": "proved"'),
        (b'"exit_code": 1', b'"exit_code": 0'),
        (b'"number": 9', b'"number": 10'),
        (b'"skipped": 3', b'"skipped": 03'),
        (b'"exit_code": 1,', b'"exit_code": 0,"exit_code": 1,'),
        (b'"exit_code": 1', b'"exit_code": 1, "note": "all is well"'),
    ],
)
def test_whatever_is_changed_in_a_report_is_noticed(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "report.json"
    told = written(path, record())
    assert old in told
    path.write_bytes(told.replace(old, new, 1))
    with pytest.raises((report.Tampered, report.ReportUnusable)):
        report.check(path)


def test_a_report_signed_by_somebody_else_is_not_taken_for_the_auditors(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    report.write(report.sign(report.of(record()), Ed25519PrivateKey.generate(), {}), path)
    assert report.check(path).report.exit_code == 1  # somebody signed it
    with pytest.raises(report.Tampered, match="not by"):
        report.check(path, signer=KEY.public_key().public_bytes_raw().hex())


def test_a_signed_report_that_hides_its_findings_contradicts_itself(tmp_path: Path) -> None:
    whole = report.of(record())
    for lie in (
        msgspec.structs.replace(whole, findings=whole.findings[1:]),
        msgspec.structs.replace(whole, findings=[], exit_code=2, verdict="unverified"),
        msgspec.structs.replace(whole, verdict="proved", exit_code=0),
        msgspec.structs.replace(whole, checks={name: whole.checks[name] for name in list(CHECKS)[1:]}),
    ):
        path = tmp_path / "report.json"
        report.write(report.sign(lie, KEY, {}), path)
        with pytest.raises(report.Tampered, match="contradicts itself"):
            report.check(path)


def test_the_auditors_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "auditor.key"
    made = report.load_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert report.load_key(path).private_bytes_raw() == made.private_bytes_raw()
    path.chmod(0o644)
    with pytest.raises(report.ReportUnusable, match="readable by others"):
        report.load_key(path)
    path.chmod(0o600)
    path.write_text("nothing")
    with pytest.raises(report.ReportUnusable, match="cannot be used"):
        report.load_key(path)


def test_the_sources_digest_is_what_sha256sum_says() -> None:
    command = "ls scripts/audit/*.py contracts/*.py contracts/artifacts/*.json | LC_ALL=C sort | xargs sha256sum"
    said = subprocess.run(["sh", "-c", f"{command} | sha256sum"], check=True, capture_output=True, text=True, cwd=ROOT)
    assert said.stdout.split()[0] == report.sources() == report.of(Record()).inputs["sources"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_its_terminal_and_a_long_list_is_cut(width: int) -> None:
    made = record(findings=40)
    made.proved("history", 1_234_567_890)
    out = io.StringIO()
    display.show(report.of(made), Console(file=out, width=width), Path("report.json"))
    told = out.getvalue()
    table = [line for line in told.splitlines() if line.startswith(("┏", "┃", "│", "└"))]
    assert {len(line) <= width for line in table} == {True}
    assert all(any(line.startswith(f"│ {check}") for line in table) for check in CHECKS)
    assert "and 74 more, see report.json" in told
    assert "Contradicted: 80 contradictions in 2 checks" in told


def test_what_was_not_checked_is_never_said_to_be_proved() -> None:
    made = Record()
    made.proved("history", 5)
    told = display.verdict(report.of(made))
    assert "5 facts" in told
    assert "Not checked: mirror (takes --database)" in told
    assert "open" not in told
    made.inputs["open_promises"] = 2
    assert "2 promises are open: not minted, and not due." in display.verdict(report.of(made))


def test_progress_that_is_piped_is_plain_lines() -> None:
    out = io.StringIO()
    with display.progress(Console(file=out)) as told:
        for done in range(0, 101, 10):
            told(Step("blocks", done, 100, logs=3 * done))
        told(Step("proofs", 1, 1))
    assert out.getvalue() == "blocks: 0 of 100\nblocks: 100 of 100, 300 logs\nproofs: 1 of 1\n"
