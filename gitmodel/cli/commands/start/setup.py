"""Commands for setting up: init, config, completion."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import start_shapes as shapes
from gitmodel.client import administration
from gitmodel.errors import UsageError
from gitmodel.hosts.codeowners import HOSTS, SITES

if TYPE_CHECKING:
    from gitmodel.client import Client
    from gitmodel.client.values import Beginning
    from gitmodel.hosts.workflows import HostSetUp

SHELLS = ("bash", "zsh", "fish")
# Commands to try in the folder of the demo, each with a description of its output.
_DEMO_COMMANDS = (
    ("git model list", "what is in production"),
    ("git model history demand production", "since when, by whom and why"),
    ("git model lineage triage@production", "what it was made from"),
    ("git model proposals", "what waits for a decision"),
    ("git model run churn.py --params churn.toml", "train the next version"),
    ("git model ui", "all of this in the browser"),
    ("git model site ../pages", "the same pages in a folder"),
)


@command(example="git model init --store file:///tmp/models")
@click.option(
    "--store",
    default="",
    metavar="URL",
    help="Artifact store of the registry: a folder or a URL, such as s3://bucket/prefix.",
)
@click.option("--new", is_flag=True, help="Do not ask remotes for a registry to adopt.")
@click.option("--from", "source", default="", metavar="URL", help="Adopt the registry at URL, and pull and push there.")
@click.option("--ci", type=click.Choice(HOSTS), help="Commit the workflow files and CODEOWNERS of a git host.")
@click.option("--owner", "owners", multiple=True, metavar="ACCOUNT", help="With --ci: owner of the registry.")
@click.option(
    "--install",
    default="",
    metavar="SPEC",
    help="With --ci: package that the jobs install, a commit or a version with hashes.",
)
@click.option(
    "--site",
    type=click.Choice(SITES),
    is_flag=False,
    flag_value=SITES[1],
    help="With --ci: add a job that builds the pages and keeps them as its artifact (the default), or publishes them.",
)
@click.option("--force", is_flag=True, help="With --ci: replace files that were changed by hand.")
@click.option("--demo", default="", metavar="DIR", help="Create a registry with a history in the new folder DIR.")
def init(
    invocation: Invocation,
    store: str,
    new: bool,
    source: str,
    ci: str | None,
    owners: tuple[str, ...],
    install: str,
    site: str | None,
    force: bool,
    demo: str,
) -> None:
    """Create a registry here, or adopt the one of the remote.

    Without this command, the first command that writes creates the registry. --store records the URL of the artifact
    store in gitmodel.toml. --ci commits CI jobs and CODEOWNERS to the metadata branch and prints the settings to enable
    at the git host. The jobs check and plan pull requests, and run apply after a merge. SPEC is the package that pip
    installs in these jobs: "git+https://HOST/OWNER/gitmodel@COMMIT" or "gitmodel==VERSION --hash=sha256:DIGEST". Run
    --ci again when models or owners change; --owner, --install and --site are remembered for each host.

    --site adds a job that builds the pages after apply and keeps them as an artifact, for everybody who can read the
    repository (on GitLab: the artifacts of its jobs). --site publish puts the pages on GitHub Pages or GitLab Pages. On
    GitHub, everybody can then read the pages, also those of a private repository, unless GitHub Enterprise Cloud
    restricts this. On GitLab, the settings of the project say who can read the pages. --site none removes the job.

    --demo creates a repository in DIR, trains three models in it, and promotes their versions with the dates of nine
    months: a registry to look at and to try commands on.
    """
    if demo:
        given = {"--store": store, "--new": new, "--from": source, "--ci": ci, "--owner": owners, "--install": install,
                 "--site": site, "--force": force, "--repo": invocation.repo}  # fmt: skip
        if others := [name for name, value in given.items() if value]:
            raise UsageError(f"--demo and {others[0]} cannot be combined", hint="leave one of them out")
        _make_demo(invocation, Path(demo))
        return
    if (owners or install or site or force) and ci is None:
        raise UsageError(
            "--owner, --install, --site and --force go with --ci",
            hint="for example: git model init --ci github --owner @me",
        )
    client = invocation.client
    if ci is not None:
        from gitmodel.hosts import workflows

        if source:  # checked here, so that a wrong option raises its error before a slow fetch
            workflows.check_given(owners, install)
        wanted = workflows.HostFiles(ci, owners, install, site or "", force)
    joined = administration.adopt(client, source, new=new) if source else ""
    if ci is not None:
        workflows.check(client.repository, wanted, ask=not new)
    done = administration.begin(client.repository, store=url_of(store), new=new)
    done = replace(done, adopted=joined or done.adopted)
    fields: dict[str, Any] = {
        "registry": client.repository.url or str(client.repository.common_dir),
        "branch": client.repository.branch,
        "store": client.store.url if client.store_url or not client.repository.url else None,
        "begun": done.begun,
        "adopted": done.adopted or None,
        "written": [],
    }
    branch = client.repository.branch_name
    kept = f"artifacts are kept in {fields['store']}" if fields["store"] else "no artifact store is named yet: --store"
    said = [_begun_text(done, branch), kept]
    if ci is not None:
        made = workflows.set_up(client.repository, wanted)
        fields["written"] = [*made.written, *made.changed]
        said = [said[0], *_host_lines(made, "" if client.repository.url else branch)]
        for owner in made.unknown:
            invocation.output.warn(f"owner of {owner} is not an account of a host", "CODEOWNERS leaves it out")
    else:
        said.append(f"next: {_next_command(client, begun=done.begun, store=store)}")
    invocation.output.outcome("\n".join(said), shapes.REGISTRY, fields, name=client.repository.branch)


def _make_demo(invocation: Invocation, folder: Path) -> None:
    from gitmodel.demo.building import build

    made = build(folder, environ=os.environ, tell=invocation.output.note)
    fields = {
        "registry": str(made.folder / ".git"),
        "branch": made.branch,
        "store": made.store,
        "begun": True,
        "adopted": None,
        "written": [],
    }
    said = [
        f"created a registry in {folder}: {len(made.versions)} models, {sum(made.versions.values())} versions, "
        f"{made.runs} runs, {made.proposals} open proposals",
        "next:",
        f"  cd {shlex.quote(str(folder))}",
        *(f"  {line:42}  # {reason}" for line, reason in _DEMO_COMMANDS),
    ]
    invocation.output.outcome("\n".join(said), shapes.REGISTRY, fields, name=str(folder))


def _next_command(client: Client, *, begun: bool, store: str) -> str:
    """Return the command that the user should type next.

    If `init` created the registry just now (*begun*), the command registers a model. If the new default *store* lacks
    artifacts that are in this clone, it copies them. Otherwise it lists the models.
    """
    if begun:
        return "git model register NAME"
    if store and administration.lacks_artifacts(client):
        return "git model store copy --from clone --to default"
    return "git model list"


@command(example="git model config store file:///tmp/models")
@click.argument("key", required=False)
@click.argument("value", required=False)
def config(invocation: Invocation, key: str | None, value: str | None) -> None:
    """Show the effective settings, or set one.

    The settings are repo (the repository that holds the registry), branch, store, remote and executor (where the steps
    of pipelines run). KEY shows one setting. KEY VALUE sets it for this clone with git config gitmodel.KEY: repo in the
    current repository, the others in the registry's repository. `git config --unset gitmodel.KEY` removes it.
    """
    if key is not None and value is not None:
        _set(invocation, key, value)
        return
    client = invocation.client
    found = administration.settings(client.repository, os.environ, repo=invocation.repo or "")
    chosen = [setting for setting in found if key in (None, setting.key)]
    if not chosen:
        keys = ", ".join(setting.key for setting in found)
        raise UsageError(f"there is no setting {key!a}", hint=f"the settings are {keys}")
    if key is not None and invocation.output.format == "table":
        invocation.output.outcome(chosen[0].value, shapes.SETTING, shapes.SETTING.of(chosen[0]), name=chosen[0].value)
        return
    invocation.output.listing(
        chosen,
        shapes.SETTING,
        name=lambda setting: setting.value,
        columns=(
            ("SETTING", lambda setting: setting.key),
            ("VALUE", lambda setting: setting.value),
            ("SET BY", lambda setting: setting.source),
        ),
        empty="",
    )


@command(example='eval "$(git model completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
def completion(invocation: Invocation, shell: str) -> None:
    """Print the completion script of a shell.

    The script completes commands, options, models, versions and stages after `git model`, `git-model` and `gitmodel`.
    For bash and zsh, add the line of the example to ~/.bashrc or ~/.zshrc; for fish: git model completion fish | source
    """
    from gitmodel.cli.shells import SCRIPTS

    invocation.output.text(SCRIPTS[shell])


def _set(invocation: Invocation, key: str, value: str) -> None:
    if key == "executor":
        from gitmodel.pipelines.workers.executors import choose_executor

        choose_executor(value)
    if key == "repo":  # written to the current repository: the value says where the registry of this repository is
        folder = invocation.folder
        now = administration.choose_registry(Path(folder), value, environ=os.environ, named=folder != ".")
    else:
        value = url_of(value) if key == "store" else value
        now = administration.change_setting(invocation.client.repository, key, value)
    fields = {"key": key, "value": now, "source": f"git config gitmodel.{key}"}
    invocation.output.outcome(f"{key} is {now} now", shapes.SETTING, fields, name=now)


def _begun_text(done: Beginning, branch: str) -> str:
    if done.begun:
        return f"began a registry on the branch {branch}"
    return f"adopted the registry of {done.adopted}" if done.adopted else f"there is a registry on the branch {branch}"


def _host_lines(made: HostSetUp, branch: str) -> list[str]:
    """Return the lines to print about the files that `init --ci` wrote.

    *branch* is the metadata branch with the files; "" if the command pushed them to a server.
    """
    said = [f"created {path}" for path in made.written] + [f"changed {path}" for path in made.changed]
    if not said:
        return ["the files for the host are up to date"]
    said += [f"see them with: git show {branch}"] if branch else []
    said += ["", made.advice, "", "next: git model push" if branch else "they are on the server already"]
    return "\n".join(said).split("\n")


def url_of(text: str) -> str:
    """Return the file: URL of the folder *text*, which is a path; return *text* unchanged if it is a URL."""
    return Path(text).resolve().as_uri() if text and ":" not in text else text
