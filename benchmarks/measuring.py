"""Measuring medians of wall and CPU time, and printing them with their targets."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

YES, NO = "yes", "NO"
# `make_fresh_folder` takes the first folder in which a new file costs at most CHEAP ms. It tries up to CANDIDATES
# folders, each with PROBES files.
CHEAP, CANDIDATES, PROBES = 0.05, 20, 200
WIDTHS = (66, 10, 10, 26, 7)


@dataclass(frozen=True)
class Cost:
    """The cost of an operation in milliseconds: the medians of several calls. *cpu* includes the processes of git.

    *spread* are two wall times: a tenth of the calls were faster than the first, and a tenth slower than the second.
    """

    cpu: float
    wall: float
    spread: tuple[float, float] | None = None

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu + other.cpu, self.wall + other.wall)


def cpu_seconds() -> float:
    """Return the CPU time that this process and its child processes have used, including children that have ended."""
    own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own + sum(_spent(pid) for pid in _children())


def measure_once(operation: Callable[[], Any]) -> Cost:
    """Return the cost of one call of *operation*."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    operation()
    return Cost((cpu_seconds() - cpu) * 1000, (time.perf_counter() - wall) * 1000)


def measure(operation: Callable[[], Any], *, times: int, warm: int = 1) -> Cost:
    """Return the median costs of *times* calls of *operation*, after *warm* calls that are not measured."""
    for _ in range(warm):
        operation()
    return middle([measure_once(operation) for _ in range(times)])


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the medians of *costs*, and the spread of their wall times."""
    walls = sorted(cost.wall for cost in costs)
    tenth = len(walls) // 10
    spread = (walls[tenth], walls[-1 - tenth])
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(walls), spread)


def mean(costs: Sequence[Cost]) -> Cost:
    """Return the means of *costs*. Its spread is from the lowest time to the highest in the spreads of *costs*."""
    spreads = [cost.spread for cost in costs if cost.spread]
    spread = (min(low for low, _ in spreads), max(high for _, high in spreads)) if spreads else None
    cpu, wall = (statistics.fmean(getattr(cost, name) for cost in costs) for name in ("cpu", "wall"))
    return Cost(cpu, wall, spread)


def measure_command(command: Sequence[str], environ: dict[str, str], cwd: Path, *, times: int) -> Cost:
    """Return the median costs of *times* runs of *command* in the folder *cwd*, after two runs that are not measured.

    The CPU time includes that of child processes if the command waits for their end.
    """
    return middle([run_command(command, environ, cwd) for _ in range(times + 2)][2:])


def run_command(command: Sequence[str], environ: dict[str, str], cwd: Path) -> Cost:
    """Run *command* in the folder *cwd*, and return its cost. Ends the program if the command fails."""
    cpu, wall = _cpu_of_ended_children(), time.perf_counter()
    done = subprocess.run(command, env=environ, cwd=cwd, capture_output=True, check=False)
    wall = time.perf_counter() - wall
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()}")
    return Cost((_cpu_of_ended_children() - cpu) * 1000, wall * 1000)


def _cpu_of_ended_children() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


class Table:
    """Prints a table with a line for each figure: its name, CPU time, wall time, target, and whether it is reached.

    *missed* has the names of the figures that missed their targets.
    """

    def __init__(self) -> None:
        self.missed: list[str] = []

    def section(self, title: str) -> None:
        """Print the title of a section, and the heads of the columns."""
        print(f"\n{title}")
        self._print("what", "CPU ms", "wall ms", "target", "reached")

    def cost(self, what: str, cost: Cost, *, cpu: float | None = None, wall: float | None = None) -> None:
        """Print *cost* in the line *what*.

        The target is a CPU time of at most *cpu* ms, or a wall time of at most *wall* ms. There is none if both are
        None.
        """
        judged, most, unit = (cost.cpu, cpu, "CPU") if wall is None else (cost.wall, wall, "wall")
        target, reached = ("", None) if most is None else (f"<= {most:,g} ms {unit}", judged <= most)
        self._line(what, _number(cost.cpu), _number(cost.wall), target, reached)

    def spread(self, cost: Cost, own: float | None = None) -> None:
        """Print the spread of the wall times of *cost*, and *own*, the CPU time in ms without that of a server."""
        low, high = cost.spread or (cost.wall, cost.wall)
        what = "    " + ("" if own is None else "CPU of the client alone; ") + "wall, from the fastest to the slowest"
        self._line(what, "" if own is None else _number(own), f"{_number(low)}-{_number(high)}", "", None)

    def ratio(self, what: str, first: Cost, second: Cost, at_most: float, unit: str = "CPU") -> None:
        """Print *first* divided by *second*, for CPU and for wall time.

        The target is that the ratio of the times named by *unit* ("CPU" or "wall") is at most *at_most*.
        """
        cpu, wall = first.cpu / (second.cpu or 1e-9), first.wall / (second.wall or 1e-9)
        judged = cpu if unit == "CPU" else wall
        self._line(what, f"{cpu:.2f} x", f"{wall:.2f} x", f"<= {at_most:g} x ({unit})", judged <= at_most)

    def number(self, what: str, number: float, unit: str, most: float | None = None) -> None:
        """Print *number*, a figure that is no cost, in the line *what*. It may be at most *most*, if that is given."""
        target, reached = ("", None) if most is None else (f"<= {most:g} {unit}", number <= most)
        self._line(what, "", f"{_number(number)} {unit}", target, reached)

    def value(self, what: str, value: str, target: str = "", reached: bool | None = None) -> None:
        """Print the text *value* in the line *what*.

        *target* is the text of the target. *reached* is True if the value reaches it, and None if there is no target.
        """
        self._line(what, "", value, target, reached)

    def _line(self, what: str, cpu: str, wall: str, target: str, reached: bool | None) -> None:
        if reached is False:
            self.missed.append(what)
        self._print(what, cpu, wall, target, "" if reached is None else YES if reached else NO)

    def _print(self, *cells: str) -> None:
        first, second, third, fourth, last = cells
        print(
            f"{first:{WIDTHS[0]}} {second:>{WIDTHS[1]}} {third:>{WIDTHS[2]}}  {fourth:{WIDTHS[3]}} {last}".rstrip(),
            flush=True,
        )


def make_fresh_folder(parent: Path, name: str) -> Path:
    """Create a folder *name* two levels below *parent*, in which creating a file is fast, and return it.

    On ext4, creating a file takes 0.25 ms instead of 0.02 in a block group whose inodes were freed in the last minutes,
    such as by an earlier benchmark that deleted its registries. `chattr +T` puts each folder into another group, but
    ext4 prefers groups with few folders, in which folders were just deleted. So this function tries up to CANDIDATES
    folders with PROBES files each, and creates *name* in the first in which a file costs at most CHEAP ms, or in the
    fastest.
    """
    with suppress(OSError):
        subprocess.run(["chattr", "+T", str(parent)], capture_output=True, check=False)
    costs: dict[Path, float] = {}
    while len(costs) < CANDIDATES and min(costs.values(), default=CHEAP) >= CHEAP:
        folder = Path(tempfile.mkdtemp(dir=parent))
        costs[folder] = _cost_of_a_file(folder)
    fresh = min(costs, key=costs.__getitem__) / name
    fresh.mkdir()
    return fresh


def _cost_of_a_file(folder: Path) -> float:
    """Create PROBES empty files in a new folder in *folder*, and return the mean time for a file in ms."""
    probes = folder / "probes"
    probes.mkdir()
    begin = time.perf_counter()
    for number in range(PROBES):
        (probes / str(number)).touch()
    return (time.perf_counter() - begin) * 1000 / PROBES


def describe_machine(folder: Path) -> str:
    """Return the processor, memory, file system of *folder*, system, Python and git, because figures depend on them."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    git = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout.strip()
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=False
    ).stdout.strip()
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()}, {kind or '?'}\n"
        f"Python {platform.python_version()}, {git}, load before the run {load}"
    )


def peak_memory(code: str, environ: dict[str, str], *arguments: str) -> float:
    """Run *code* in a Python process with *arguments*, and return the peak of its memory in MB."""
    # `getrusage` would count the memory of this process at the fork, if that is more than the peak of the child.
    after = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    done = subprocess.run(
        [sys.executable, "-c", code + after, *arguments], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout.split()[-1]) / 1024


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _children() -> list[str]:
    found: list[str] = []
    for task in Path("/proc/self/task").glob("*/children"):
        found += task.read_text().split()
    return found


def _spent(pid: str) -> float:
    # The first number in `schedstat` is the CPU time in nanoseconds. `stat` has it only in steps of 10 ms.
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
