"""The command that makes reading the history faster: maintenance."""

from __future__ import annotations

from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import care_shapes as shapes


@command(example="git model maintenance")
def maintenance(invocation: Invocation) -> None:
    """Make commands that read the history faster.

    The command writes git's commit-graph of the metadata branch with changed-path filters, so that `history`, `log`,
    `blame` and `--at` read only the relevant commits, and packs loose objects. Run the command from time to time on a
    registry with thousands of commits; smaller registries do not need it.
    """
    done = invocation.client.maintain()
    said = f"{done.commits} commits are indexed by path, {done.packed} loose objects were packed"
    invocation.output.outcome(said, shapes.MAINTAINED, vars(done), name=str(done.commits))
