"""The program that `git model`, `git-model`, `gitmodel` and `python -m gitmodel` run."""

from __future__ import annotations

import gc


def main(prog_name: str | None = None) -> None:
    """Run the program with the arguments of this process, then exit. Messages call the program *prog_name*."""
    gc.disable()  # the garbage collector would take 4 ms of the imports; `Invocation.client` enables it
    from gitmodel.cli import main

    main(prog_name)


if __name__ == "__main__":
    main(prog_name="gitmodel")
