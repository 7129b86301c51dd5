"""Storing the source of the notebook cells that this process has executed, if it is a kernel of Jupyter or IPython."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Mapping

from gitmodel.domain.schema.registry_rules.registry_record import RunRules
from gitmodel.domain.secrets.notebook_cells import Cell, cells_without_secrets, to_notebook
from gitmodel.domain.secrets.secret_values import SecretValues
from gitmodel.errors import GitModelError
from gitmodel.stores.interface import ArtifactStore

log = logging.getLogger("gitmodel.runs")

_OFF = ("false", "no", "off", "0", "")  # the values of a setting that git reads as false


def store_cells(config: Mapping[str, str], rules: RunRules, store: ArtifactStore, secrets: SecretValues) -> str | None:
    """Store the cells that this process has executed so far in *store*, and return the digest of the stored object.

    The values of *secrets* are replaced in the cells. Stores nothing and returns None in a script, and if *rules* or
    `gitmodel.recordCells` in *config* exclude cells. If the store cannot be written, logs a warning and returns None,
    so that the run is recorded without the cells.
    """
    if not rules.record_cells or config.get("gitmodel.recordcells", "true").lower() in _OFF:
        return None
    cells = executed_cells()
    if not cells:
        return None
    try:
        return store.put_stream(io.BytesIO(to_notebook(cells_without_secrets(cells, secrets))))[0]
    except (GitModelError, OSError) as error:
        log.warning("the cells of the notebook are not recorded: %s", error)
        return None


def executed_cells() -> list[Cell]:
    """Return the cells that this process has executed, oldest first, and the current cell; [] outside of IPython."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_shell() if get_shell is not None else None
    history = getattr(shell, "history_manager", None)
    if history is None:
        return []
    return [Cell(number, source) for _, number, source in history.get_range(raw=True) if source.strip()]
