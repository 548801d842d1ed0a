"""Finds the browser that the tests of passkeys drive, and installs Debian's where that can be done.

Chromium and its driver have to be of one version, so they come from one place: the machine's packages. `$CHROMIUM` and
`$CHROMEDRIVER` name others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from scripts.errors import CommandFailed

PACKAGES = ("chromium", "chromium-driver")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class BrowserMissing(CommandFailed):
    """Raised when the machine has no Chromium, or no driver for it."""


@dataclass(frozen=True, slots=True)
class Browser:
    chromium: str
    driver: str


def find() -> Browser:
    """The browser that the environment names, or else the machine's."""
    named = os.environ.get("CHROMIUM")
    chromium = next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)
    driver = shutil.which(os.environ.get("CHROMEDRIVER") or "chromedriver")
    if chromium is None or driver is None:
        missing = named or "Chromium" if chromium is None else "Chromium's driver"
        command = f"apt-get install {' '.join(PACKAGES)}"
        raise BrowserMissing(f"{missing} is missing: `{command}`, or name both by $CHROMIUM and $CHROMEDRIVER.")
    return Browser(chromium, driver)


def install() -> None:
    """Debian's packages, if a browser is missing and this user may install one; else says what to install."""
    try:
        find()
    except BrowserMissing as missing:
        apt = shutil.which("apt-get")
        if apt is None or os.geteuid() != 0:
            sys.stdout.write(f"{missing} Until then the browser's tests are skipped.\n")
            return
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *PACKAGES]):
            subprocess.run(  # noqa: S603
                [apt, *command], check=True, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        find()


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m scripts.browser install")
    install()
