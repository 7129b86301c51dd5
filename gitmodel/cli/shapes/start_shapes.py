"""The fields of JSON and TSV output about settings, hooks, errors and warnings."""

from __future__ import annotations

from gitmodel.cli.shapes.shape import shape

SETTING = shape(
    "setting",
    "A setting in effect. Printed by `config`.",
    key="text: the name of the setting",
    value="text: the value of the setting",
    source="text: the file, variable or default that sets the value",
)
REGISTRY = shape(
    "registry",
    "The registry of this repository. Printed by `init`.",
    registry="text: the git directory that contains the registry, or the URL of the registry",
    branch="text: the full name of the metadata branch",
    store="text: the URL of the artifact store, or null",
    begun="true if this command created the registry",
    adopted="text: the remote from which the registry was fetched, or null",
    written="list of text: the files that `--ci` created or changed",
)
HOOK = shape(
    "hook",
    "A git hook of a repository. Printed by `hook install`, `hook uninstall`.",
    hook="text: the name of the hook, `pre-receive` or `pre-push`",
    path="text: the file of the hook",
    installed="true if the hook is installed",
    changed="true if this command wrote or removed the hook",
)
ERROR = shape(
    "error",
    'The failure of a command: `{"error": {...}}` on stderr.',
    message="text: the error",
    hint="text: how to solve the problem, or empty",
    exit_code="number: the exit code of the command",
    kind="text: the name of the error class in `gitmodel.errors`, or `Unexpected`",
    gates="list of objects: the gates that a version fails (`gate`, `expression`, `message`, `values` by their names, "
    "`finding`); empty for other errors",
)
WARNING = shape(
    "warning",
    'A problem that does not stop the command: `{"warning": {...}}` on stderr.',
    message="text: the problem",
    hint="text: how to solve the problem, or empty",
)
