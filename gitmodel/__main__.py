"""`git model`, `git-model`, `gitmodel`, `python -m gitmodel` are this one program."""

from __future__ import annotations

import gc


def main(prog_name: str | None = None) -> None:
    """Run the program on the arguments of the process, and exit."""
    gc.disable()  # collecting garbage during the imports takes 4 ms; `Invocation.client` enables it again
    from gitmodel.cli import main

    main(prog_name)


if __name__ == "__main__":
    main(prog_name="gitmodel")
