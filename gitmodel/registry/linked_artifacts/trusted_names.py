"""The names of classes and functions that this machine trusts: artifacts that need them can be loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.names import is_full_name
from gitmodel.errors import NotFound, UsageError
from gitmodel.git.settings.configuration import add_value, read_values, remove_value

SETTING = "gitmodel.trustedName"
VARIABLE = "GITMODEL_TRUST"


def trusted_names(repository: Repository, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the full names that this machine trusts, from git's configuration and the variable `GITMODEL_TRUST`."""
    return tuple(sorted({*read_values(repository.git, SETTING), *environ.get(VARIABLE, "").replace(",", " ").split()}))


def suggested_names(repository: Repository) -> tuple[str, ...]:
    """Return the names that the registry suggests to trust (`[formats] trust`). Raises Invalid if they are damaged."""
    rules = repository.read(lambda snapshot: snapshot.registry().require("formats").formats)
    return rules.trust if rules is not None else ()


def trust_names(repository: Repository, names: Iterable[str]) -> None:
    """Let this clone load files that use the classes and functions *names*.

    Raises UsageError if one of *names* is not a full name, but for example a prefix.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if not is_full_name(name):
            raise UsageError(
                f"{name!a} is not the full name of a class or function",
                hint="give each by its module and name, such as sklearn.metrics._scorer._Scorer; "
                "a prefix or pattern is never trusted",
            )
    have = read_values(repository.git, SETTING, local=True)
    for name in wanted:
        if name not in have:
            add_value(repository.git, SETTING, name)


def distrust_names(repository: Repository, names: Iterable[str]) -> None:
    """Remove *names* from the trusted names of this clone; if this clone does not trust one of them, raise NotFound."""
    wanted = list(dict.fromkeys(names))
    have = read_values(repository.git, SETTING, local=True)
    for name in wanted:
        if name not in have:
            raise NotFound(
                f"{name!a} was not trusted in this clone", hint="`git model formats list` shows the trusted names"
            )
    for name in wanted:
        remove_value(repository.git, SETTING, name)
