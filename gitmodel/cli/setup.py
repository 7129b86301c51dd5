"""Commands that set things up: init, config, completion."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitmodel.cli import shapes
from gitmodel.cli.grammar import Invocation, command
from gitmodel.errors import UsageError
from gitmodel.registry import setup
from gitmodel.registry.setup import Beginning, Setting

if TYPE_CHECKING:
    from gitmodel.client import Client

SHELLS = ("bash", "zsh", "fish")


@command(example="git model init --store file:///tmp/models")
@click.option(
    "--store", default="", metavar="URL", help="Where artifacts are kept, for everybody: a folder or file: URL."
)
@click.option("--new", is_flag=True, help="Do not ask remotes for a registry to adopt.")
@click.option("--from", "source", default="", metavar="URL", help="Adopt the registry at URL, and pull and push there.")
@click.pass_obj
def init(invocation: Invocation, store: str, new: bool, source: str) -> None:
    """Begin a registry in this repository, or adopt the remote's.

    The first command that writes does this as well. With --store the store's URL is recorded in gitmodel.toml.
    """
    client = invocation.client
    joined = _join(client, source, new) if source else ""
    done = setup.begin(client.repository, store=_url(store), new=new)
    done = replace(done, adopted=joined or done.adopted)
    fields = {
        "registry": str(client.repository.common_dir),
        "branch": client.repository.branch,
        "store": client.store.url,
        "begun": done.begun,
        "adopted": done.adopted or None,
    }
    branch = client.repository.branch.removeprefix("refs/heads/")
    said = [_told(done, branch), f"artifacts are kept in {client.store.url}"]
    said.append("next: git model register NAME" if done.begun else "next: git model list")
    invocation.output.outcome("\n".join(said), shapes.REGISTRY, fields, name=client.repository.branch)


@command(example="git model config store file:///tmp/models")
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.pass_obj
def config(invocation: Invocation, key: str | None, value: str | None) -> None:
    """Show the settings in effect, or set one.

    The settings are repo (the repository that holds the registry), branch, store, remote and executor (what runs the
    steps of pipelines). KEY shows one, KEY VALUE sets it with git config gitmodel.KEY, for this clone: repo in the
    repository you stand in, the others in that of the registry. `git config --unset gitmodel.KEY` takes it back.
    """
    if key is not None and value is not None:
        _set(invocation, key, value)
        return
    client = invocation.client
    found = setup.settings(client.repository, os.environ, repo=invocation.repo or "")
    chosen = [setting for setting in found if key in (None, setting.key)]
    if not chosen:
        keys = ", ".join(setting.key for setting in found)
        raise UsageError(f"there is no setting {key!a}", hint=f"the settings are {keys}")
    if key is not None and invocation.output.format == "table":
        invocation.output.outcome(chosen[0].value, shapes.SETTING, _fields(chosen[0]), name=chosen[0].value)
        return
    invocation.output.listing(
        chosen,
        shapes.SETTING,
        fields=_fields,
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
@click.pass_obj
def completion(invocation: Invocation, shell: str) -> None:
    """Print the completion script of a shell.

    It completes commands, options, models and versions after `git model`, `git-model` and `gitmodel`. For bash and
    zsh put the line of the example into ~/.bashrc or ~/.zshrc; for fish: git model completion fish | source
    """
    from gitmodel.cli.shells import SCRIPTS

    invocation.output.text(SCRIPTS[shell])


def _join(client: Client, url: str, new: bool) -> str:
    """Take the registry at *url*; returns the remote's name."""
    from gitmodel.teams import joining

    if new:
        raise UsageError("--from and --new exclude each other", hint="leave one of them out")
    name = joining.connect(client.repository, url)
    return name if client.pull(name).tip else ""


def _set(invocation: Invocation, key: str, value: str) -> None:
    from gitmodel.client import Client

    if key == "executor":
        from gitmodel.pipelines.executors import choose_executor

        choose_executor(value)
    # where the registry is found is said by the repository one stands in
    client = Client(repo=".") if key == "repo" else invocation.client
    try:
        now = setup.change_setting(client.repository, key, _url(value) if key == "store" else value)
    finally:
        client.close()
    fields = {"key": key, "value": now, "source": f"git config gitmodel.{key}"}
    invocation.output.outcome(f"{key} is {now} now", shapes.SETTING, fields, name=now)


def _told(done: Beginning, branch: str) -> str:
    if done.begun:
        return f"began a registry on the branch {branch}"
    return f"adopted the registry of {done.adopted}" if done.adopted else f"there is a registry on the branch {branch}"


def _fields(setting: Setting) -> dict[str, str]:
    return {"key": setting.key, "value": setting.value, "source": setting.source}


def _url(text: str) -> str:
    """A folder that was given as a path, as a URL; what is a URL already, as it is."""
    return Path(text).resolve().as_uri() if text and ":" not in text else text
