"""A browser is found where it is named or installed, and what is missing is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from scripts.browser import Browser, BrowserMissing, find, install


def _program(folder: Path, name: str, *lines: str) -> str:
    program = folder / name
    program.write_text("\n".join(("#!/bin/sh", *lines, "")))
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH, empty; no browser is named in the environment."""
    for name in ("CHROMIUM", "CHROMEDRIVER"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    return path


def test_the_machines_browser_is_found(programs: Path) -> None:
    driver, chrome = _program(programs, "chromedriver"), _program(programs, "google-chrome")
    assert find() == Browser(chrome, driver)
    chromium = _program(programs, "chromium")
    assert find() == Browser(chromium, driver)


def test_a_named_browser_goes_before_it(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chromium", "chromedriver"):
        _program(programs, name)
    monkeypatch.setenv("CHROMIUM", _program(tmp_path, "mine"))
    monkeypatch.setenv("CHROMEDRIVER", _program(tmp_path, "its-driver"))
    assert find() == Browser(str(tmp_path / "mine"), str(tmp_path / "its-driver"))


def test_what_is_missing_is_said(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrowserMissing, match=r"Chromium is missing: `apt-get install chromium chromium-driver`"):
        find()
    _program(programs, "chromium")
    with pytest.raises(BrowserMissing, match="Chromium's driver is missing"):
        find()
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(BrowserMissing, match="/nowhere/chromium is missing"):
        find()


def test_root_gets_the_packages(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch = shutil.which("touch", path=os.defpath)
    chmod = shutil.which("chmod", path=os.defpath)
    made = f"{programs}/chromium {programs}/chromedriver"
    log = programs / "log"
    _program(
        programs, "apt-get", f'echo "$@" >> {log}', f'[ "$1" = update ] || {touch} {made}', f"{chmod} +x {programs}/*"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    install()
    assert find() == Browser(f"{programs}/chromium", f"{programs}/chromedriver")
    update, packages = log.read_text().splitlines()
    assert update.startswith("update")
    assert packages.endswith("chromium chromium-driver")
    install()
    assert len(log.read_text().splitlines()) == 2


def test_anybody_else_is_told_what_to_install(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _program(programs, "apt-get", "exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    install()
    assert "apt-get install chromium chromium-driver" in capsys.readouterr().out
