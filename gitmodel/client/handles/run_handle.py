"""The handle of a run, which gives the values of its record, and its outputs, which can be loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.names_of_other_tools import shows_our_form
from gitmodel.domain.schema.records import Code, StepRecord
from gitmodel.registry.recorded_runs.run_details import with_details
from gitmodel.registry.recorded_runs.runs import RunView

if TYPE_CHECKING:
    from gitmodel.client.handles.run_outputs import Outputs


@shows_our_form
class Run(RunView):
    """A handle of a run: its status, parameters, steps, outputs, and the packages that were installed.

    Calling a pipeline returns a `Run`, and so does `Client.get_run`. `Client.list_runs` returns a `Run` for each run.

    >>> run = client.get_run("20261123T101112Z-train-7f3a")                          # doctest: +SKIP
    >>> run.outputs["accuracy"].load()                                               # doctest: +SKIP
    0.97
    """

    _other_names: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("artifact_versions", "artifacts"), 'write outputs["NAME"].load()'),
        "data": "write parameters and metadata",
        "info": "write id, status and started",
        "logs": "write client.get_logs(run.id), or get_logs(run.id, STEP) for one step",
        **dict.fromkeys(
            ("model_version", "version"), "write client.get_version(run.versions[0]); versions has their references"
        ),
    }

    _opened: OpenRegistry | None = field(default=None, repr=False, compare=False)

    @classmethod
    def _of(cls, view: RunView, opened: OpenRegistry) -> Run:
        """Return a handle of the run with the values *view*, in the open registry *opened*."""
        return cls(**vars(view), _opened=opened)

    @cached_property
    def steps(self) -> tuple[StepRecord, ...]:
        """The steps in the order in which they ran: name, status, seconds, parameters, digests of inputs and outputs.

        A run of a script has one step. A run that is not recorded has none.
        """
        if self.record is None:
            return ()
        return with_details(self.record, lambda: self._registry.access.default()).steps

    @property
    def code(self) -> Code | None:
        """The code at the start of the run: its commit and uncommitted changes. None for a run that is not recorded."""
        return self.record.code if self.record else None

    @cached_property
    def outputs(self) -> Outputs:
        """The outputs of the run by name, or by STEP.NAME if several steps have an output with this name.

        A run that failed has the outputs that were stored before the failure. Looking up an unknown name raises
        NotFound.
        """
        from gitmodel.client.handles import run_outputs  # imported here: showing runs needs no other handles

        return run_outputs.outputs_of(self, self.steps, self._registry)

    @property
    def packages(self) -> dict[str, str]:
        """The versions of the packages that were installed for the run, by name; empty for a run that is not recorded.

        Raises NotFound if the store does not have the list of packages.
        """
        from gitmodel.lineage.comparing import read_packages

        return read_packages(self._registry.access.everywhere(), self.record) if self.record is not None else {}

    @property
    def _registry(self) -> OpenRegistry:
        assert self._opened is not None
        return self._opened
