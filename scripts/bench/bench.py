"""What a section is given: how often and how large to measure, and where to tell of its progress."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console


@dataclass(frozen=True, slots=True)
class Bench:
    """`scale` is 1 for the sizes that the goals are about, less for a quick look."""

    console: Console
    rounds: int
    scale: float = 1.0
    begun: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Progress: a line with the time since the start."""
        self.console.print(f"[dim]{time.monotonic() - self.begun:5.0f} s  {text}[/dim]", highlight=False)

    def scaled(self, count: int) -> int:
        return max(1, round(count * self.scale))
