"""Commands on formats: the formats that gitmodel can load, and the names that files may use when they are loaded."""

from __future__ import annotations

import click

from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.shapes import care_shapes as shapes
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.plugins import describe_formats


@click.group(cls=LazyGroup)
def formats() -> None:
    """List the formats of artifacts, and trust names."""


@command("list", group=formats, example="git model formats list")
def list_formats(invocation: Invocation) -> None:
    """List the formats that gitmodel can load, and the trusted names.

    A format that can run code loads only with `trusted=True` in Python.
    """
    names = invocation.client.trusted_names()
    invocation.output.listing(
        describe_formats(),
        shapes.FORMAT,
        fields=lambda found: {**found._asdict(), "trusted_names": names if found.name == "skops" else ()},
        name=lambda found: found.name,
        columns=(
            ("FORMAT", lambda found: found.name),
            ("FILES", lambda found: " ".join(found.extensions)),
            ("PACKAGE", lambda found: found.package),
            ("", lambda found: found.error or ("needs trusted=True" if found.unsafe else "")),
            ("TRUSTED NAMES", lambda found: " ".join(names) if found.name == "skops" else ""),
        ),
        empty="",
    )


@command("trust", group=formats, example="git model formats trust numpy.mean")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--remove", is_flag=True, help="Remove trust that was given in this clone.")
def trust(invocation: Invocation, names: tuple[str, ...], remove: bool) -> None:
    """Allow files of models to use classes and functions on this machine.

    gitmodel trusts the classes of scikit-learn. gitmodel refuses a model that uses a function, or a class of another
    library or of your own, and the message lists the names. Give full names: a prefix is never trusted. Trust only
    classes and functions that you know: the file of the model decides how they are called. In a service, set
    GITMODEL_TRUST to the names, separated by spaces.

    Without NAME, the command lists the names that the registry suggests (`trust` under `[formats]` in gitmodel.toml)
    and asks at the terminal whether this machine trusts them. Names that are suggested later are not trusted.
    """
    client = invocation.client
    if not names:
        names = _accept_suggested(invocation, remove)
    left = client.distrust_names(*names) if remove else client.trust_names(*names)
    done = f"{'does not trust' if remove else 'trusts'} {', '.join(names)} now"
    if not names:
        done = "trusts every name that the registry suggests" if client.suggested_names() else ""
    told = f"this clone {done}" if done else "the registry suggests no names to trust"
    invocation.output.outcome(told, shapes.TRUSTED_NAMES, {"names": left}, name=" ".join(names))


def _accept_suggested(invocation: Invocation, remove: bool) -> tuple[str, ...]:
    """Ask the user to trust the names that the registry suggests. Return those that this machine does not trust yet.

    Raises UsageError if --remove (*remove*) is given or there is no terminal, KeyboardInterrupt if the user declines.
    """
    if remove:
        raise UsageError("--remove needs the names to remove", hint="`git model formats list` shows the trusted names")
    client = invocation.client
    known = client.trusted_names()
    names = tuple(name for name in client.suggested_names() if name not in known)
    answer = not names or invocation.output.confirm(f"The registry suggests to trust {', '.join(names)}. Trust them?")
    if answer is None:
        raise UsageError(
            f"the registry suggests to trust {', '.join(names)}, and there is no terminal to ask",
            hint=f"if you know each of them: git model formats trust {' '.join(names)}",
        )
    if not answer:
        invocation.output.note("nothing was changed")
        raise KeyboardInterrupt
    return names
