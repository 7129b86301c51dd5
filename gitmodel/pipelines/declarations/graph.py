"""The graph of steps that a call of a pipeline builds: the inputs and parameters of each step, and their order."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.schema.names import with_article
from gitmodel.domain.secrets.credentials import refuse_credentials
from gitmodel.domain.secrets.secret_values import AS_SECRET, RunSecrets, Secret, collecting_secrets
from gitmodel.errors import UsageError
from gitmodel.pipelines.declarations.config import ExternalArtifact
from gitmodel.pipelines.declarations.nested_inputs import Shape, is_input, take_apart, types_of_inputs
from gitmodel.pipelines.declarations.steps import Output, Step, adding_calls, admits_text


@dataclass
class Node:
    """One call of a step in a pipeline.

    *inputs* has the arguments that are outputs of other steps, or artifacts. *values* has the other arguments as the
    step gets them, and *parameters* has the same arguments as the record of the run stores them. For an argument with
    inputs in lists, tuples or dicts, *shapes* has the structure of the argument, and each part is a separate input or
    value. *after* has the steps that must run first, although the step takes none of their outputs. *outputs* has the
    names of the outputs. *known* has the secrets of the whole run.
    """

    name: str
    step: Step[Any, Any]
    inputs: dict[str, Output | ExternalArtifact] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    after: tuple[Any, ...] = ()
    outputs: tuple[str, ...] = ()
    known: RunSecrets = field(default_factory=RunSecrets)

    def recorded_parameters(self) -> dict[str, Any]:
        """The parameters as the record of the run stores them, with the values of secrets hidden."""
        return self.known.values().hide_parameters(self.parameters)

    @property
    def input_types(self) -> dict[str, Any]:
        """The annotated type of each input."""
        return types_of_inputs(self.step, self.shapes)


class Graph:
    """The steps of one call of a pipeline, in the order of their calls."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.known = RunSecrets()

    def add(self, step: Step[Any, Any], arguments: dict[str, Any], after: Iterable[Any]) -> str:
        """Add a call of *step* with *arguments*, and return the name of the call in the graph.

        *after* has the steps that must run before this step. Raises UsageError for a parameter that no record can hold.
        """
        name, count = step.name, 1
        while name in self.nodes:
            count += 1
            name = f"{step.name}_{count}"
        node = Node(name, step, after=tuple(after), outputs=tuple(step.output_names(name)), known=self.known)
        for parameter, value in arguments.items():
            named = isinstance(value, str) and not admits_text(step.input_types.get(parameter, Any))
            external = ExternalArtifact.parse(value) if named else None
            shape, parts = take_apart(name, parameter, external or value)
            if not isinstance(shape, str):
                node.shapes[parameter] = shape
            for place, part in parts.items():
                if is_input(part):
                    node.inputs[place] = part
                    continue
                if part is not None and not (isinstance(part, Secret) and place.isidentifier()):
                    node.parameters[place] = read_parameter(f"step {name}", place, part)
                else:
                    node.parameters[place] = part
                node.values[place] = part if isinstance(part, Secret) else copy.deepcopy(part)
        self.known.secrets += [value for value in node.parameters.values() if isinstance(value, Secret)]
        self.known.given += [value for value in node.parameters.values() if not isinstance(value, Secret)]
        self.nodes[name] = node
        return name

    def refuse_credentials(self) -> None:
        """Raise Refused for a parameter of a step that looks like a credential and is not a Secret."""
        for node in self.nodes.values():
            refuse_credentials(node.recorded_parameters(), f"step {node.name}", AS_SECRET)

    def output_name(self, output: Output) -> str | None:
        """Return the name under which *output* is stored; None if its step has no such output."""
        names = self.nodes[output.node].outputs
        return names[output.index] if 0 <= output.index < len(names) else None

    def needs(self) -> dict[str, set[str]]:
        """Return, for each step, the steps that must run before it.

        Raises UsageError for an unknown step in `after`, and for steps that wait for each other.
        """
        needs: dict[str, set[str]] = {}
        for node in self.nodes.values():
            before = {value.node for value in node.inputs.values() if isinstance(value, Output)}
            needs[node.name] = before | {self._named(node.name, wanted) for wanted in node.after}
        for name, before in needs.items():
            unknown = sorted(before - set(self.nodes))
            if unknown:
                raise UsageError(
                    f"step {name} takes an output of {unknown[0]}, which is not in this pipeline",
                    hint="call that step in the same pipeline",
                )
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise UsageError(f"these steps wait for each other: {circle}", hint="remove one `after`") from None
        return needs

    def _named(self, name: str, wanted: Any) -> str:
        if isinstance(wanted, tuple) and wanted and isinstance(wanted[0], Output):
            wanted = wanted[0]
        if isinstance(wanted, Output):
            return wanted.node
        found = str(getattr(wanted, "name", wanted))
        if found not in self.nodes:
            known = ", ".join(self.nodes)
            raise UsageError(
                f"step {name} is to run after {found!a}, which is not a step of this pipeline",
                hint=f"the steps are {known}",
            )
        return found


@contextmanager
def building() -> Iterator[Graph]:
    """Yield an empty graph. If the block calls a step, add the call to this graph instead of running the step."""
    graph = Graph()
    with adding_calls(graph.add), collecting_secrets(graph.known.secrets):
        yield graph


def read_parameter(owner: str, name: str, value: Any) -> Any:
    """Return *value* as a record stores it. Raises UsageError for a value that no record can hold.

    The message of the error shows *name*, the name of the parameter, and *owner*, such as "step train".
    """
    if hasattr(type(value), "dtype") and getattr(value, "ndim", None):
        raise UsageError(
            f"{name} of {owner} is {with_article(type(value).__name__)}, which cannot be a parameter",
            hint="pass a list, or make it the output of a step",
        )
    return read_values({name: value}, f"the parameter {name} of {owner}").get(name)
