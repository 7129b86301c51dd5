"""Commands on formats: the formats that gitmodel can load, and the names that files may use when they are loaded."""

from __future__ import annotations

import click

from gitmodel.cli import shapes
from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.formats.plugins import describe_formats


@click.group(cls=LazyGroup)
def formats() -> None:
    """List the formats of artifacts, and trust names."""


@command("list", example="git model formats list")
@click.pass_obj
def list_formats(invocation: Invocation) -> None:
    """List the formats that gitmodel can load, and the names that this machine trusts.

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


@command("trust", example="git model formats trust numpy.mean")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--remove", is_flag=True, help="Remove trust that was given in this clone.")
@click.pass_obj
def trust(invocation: Invocation, names: tuple[str, ...], remove: bool) -> None:
    """Allow files of models to use classes and functions when they are loaded on this machine.

    gitmodel trusts the classes of scikit-learn. A model that uses a function, or a class of another library or of your
    own, is refused, and the message lists the names. Give full names: a prefix is never trusted. Trust only what
    you know: a file decides how the class or function is called. In a service, set GITMODEL_TRUST to the names,
    separated by spaces.
    """
    client = invocation.client
    left = client.distrust_names(*names) if remove else client.trust_names(*names)
    done = "does not trust" if remove else "trusts"
    invocation.output.outcome(
        f"this clone {done} {', '.join(names)} now", shapes.TRUSTED_NAMES, {"names": left}, name=" ".join(names)
    )


for _verb in (list_formats, trust):
    formats.add_command(_verb)
