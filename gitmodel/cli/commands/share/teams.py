"""Commands on remotes: clone, remote, pull, push."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import share_shapes as shapes
from gitmodel.domain.urls import shown_url
from gitmodel.domain.views.cell_text import count
from gitmodel.errors import Refused

if TYPE_CHECKING:
    from gitmodel.client.values import Pulled, Pushed
    from gitmodel.domain.schema.refs import StageRef


@command(example="git model clone https://example.com/team/models.git models")
@click.argument("url")
@click.argument("folder", required=False, metavar="[DIR]")
def clone(invocation: Invocation, url: str, folder: str | None) -> None:
    """Clone a repository and its registry.

    Does the same as git clone and then git model pull: fetches the branch and the stage tags. If the metadata branch is
    the default branch of the remote, only the files at its top are checked out; `git sparse-checkout disable` checks
    out all.
    """
    from gitmodel.client import Client, administration

    made = administration.clone(url, Path(folder) if folder else None, environ=os.environ)
    with Client(made, repo=made) as client:
        view = administration.describe_remote(client.repository)
        models = administration.count_models(client.writer)
        untrusted = [named for named in client.list_stores() if not named.trusted]
    said = f"cloned into {made}: {models} {'model' if models == 1 else 'models'}"
    invocation.output.outcome(said, shapes.REMOTE, vars(view), name=str(made))
    for named in untrusted:
        invocation.output.note(f"its artifacts are in {shown_url(named.url)}: git model store trust {named.name}")


@command(example="git model remote")
@click.argument("name", required=False, metavar="[REMOTE]")
def remote(invocation: Invocation, name: str | None) -> None:
    """Show the remote that pull and push use.

    The remote is REMOTE, or else git config gitmodel.remote, or else origin, or else the only remote. The command does
    not contact the remote: the counts come from the last fetch.
    """
    from gitmodel.client import administration

    view = administration.describe_remote(invocation.client.repository, name or "")
    lines = [
        ("Remote", view.name),
        ("URL", view.url),
        ("Last seen", view.seen[:10] or "never"),
        ("To push", count(view.ahead, "commit")),
        ("To pull", count(view.behind, "commit")),
    ]
    invocation.output.single(shapes.REMOTE, vars(view), name=view.name, lines=lines)


@command(example="git model pull")
@click.argument("name", required=False, metavar="[REMOTE]")
@click.option("--rewound", is_flag=True, help="Accept a remote that was rewound or deleted; keep the local records.")
@click.option(
    "--artifacts", is_flag=True, help="Fetch the artifacts of versions in a stage or alias, and of the latest."
)
@click.option("-j", "--jobs", type=click.IntRange(1, 64), default=8, metavar="N", help="Number of parallel downloads.")
def pull(invocation: Invocation, name: str | None, rewound: bool, artifacts: bool, jobs: int) -> None:
    """Fetch the remote's registry and replay your changes on it.

    Your unpushed changes are made again on top of the changes of the remote. If the number of your version is taken,
    the version gets the next number. If both sides changed the same thing, the remote's value is used, and the output
    says so. Artifacts are downloaded when they are read; --artifacts downloads them now.
    """
    from gitmodel.client import administration

    done = invocation.client.pull(name or "", rewound=rewound)
    _warn_of_pull(invocation, done, administration.had_before(done.before))
    fetched = 0
    if artifacts:
        with invocation.output.progress("fetching") as progress:
            fetched = invocation.client.pull_artifacts(jobs=jobs, progress=progress)
    merged = [merge.commit for merge in done.merged]
    tip, moved = done.tip or None, _names(done.moved)
    fields = shapes.PULLED.of(done, commit=tip, artifacts=fetched, moved=moved, merged=merged)
    came = [count(done.commits, "commit")] if done.commits else []
    came += [count(len(done.moved), "tag")] if done.moved else []
    nothing = f"nothing new from {done.remote}" if done.tip else _no_registry(done.remote)
    said = [f"pulled {', '.join(came)} from {done.remote}" if came else nothing]
    said += _replayed_lines(done)
    said += [f"fetched {count(fetched, 'artifact')}"] if fetched else []
    invocation.output.outcome("\n".join(said), shapes.PULLED, fields, name=done.tip or "")


@command(example="git model push")
@click.argument("name", required=False, metavar="[REMOTE]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    metavar="SECONDS",
    help="How long to retry while others push.",
)
@options.jobs
@click.option(
    "--code", is_flag=True, help="Push the code of your versions too, even commits that are on no branch of the remote."
)
def push(invocation: Invocation, name: str | None, timeout: float, jobs: int, code: bool) -> None:
    """Push your changes to the remote.

    The command uploads the artifacts to the shared store, and then pushes the branch and the stage tags, all or none.
    If others have pushed, the command pulls first. The remote also keeps the code commits of versions if one of its
    branches has ever contained these commits. Your pre-push hook, such as that of Git LFS, runs for the code commits.
    Exit code 4: everything was pushed, but the pull left out some of your changes, which are listed. 5: the registry
    was not pushed, because `git model check` refuses a record that you changed by hand, such as gitmodel.toml. 6: a
    rule of the host, or with --code your hook, refused the push. 7: the remote or an artifact store cannot be reached.
    """
    from gitmodel.client import administration

    with invocation.output.progress("uploading") as progress:
        push = partial(invocation.client.push, name or "", timeout=timeout, jobs=jobs, progress=progress, code=code)
        done, dropped = administration.done_or_left_out(push)
    for pulled in done.pulled:
        _warn_of_pull(invocation, pulled)
    fields = shapes.PUSHED.of(
        done,
        commit=done.tip or None,
        renumbered=[text for pulled in done.pulled for text in pulled.renumbered],
        conflicts=[text for pulled in done.pulled for text in pulled.conflicts],
        moved=_names(done.moved),
        code=len(done.code.pushed),
        unpublished=done.code.unpublished,
    )
    said = [line for pulled in done.pulled for line in _replayed_lines(pulled)]
    if done.commits or done.moved:
        what = [count(done.commits, "commit")]
        what += [count(done.artifacts, "artifact")] if done.artifacts else []
        what += [count(len(done.moved), "tag")] if done.moved else []
        said.append(f"pushed {', '.join(what)} to {done.remote}")
    elif dropped is None:
        said.append(f"{done.remote} has everything" if done.tip else _no_registry(done.remote))
    else:
        said.append(f"pushed nothing to {done.remote}")
    invocation.output.outcome("\n".join(said), shapes.PUSHED, fields, name=done.tip or "")
    _warn_of_code(invocation, done)
    if dropped is not None:
        raise dropped.brief
    if code and done.code.fault:
        raise Refused(
            "the code of these versions was not pushed",
            hint="solve the problem in the warning above, then run the command again",
        )


def _warn_of_code(invocation: Invocation, done: Pushed) -> None:
    if done.code.fault:
        invocation.output.warn(
            f"others cannot rely on the code of these versions: {done.code.fault}",
            "`git config gitmodel.pushCode none` stops pushing code",
        )
    missing = done.code.unpublished
    if missing and done.commits:
        ids = ", ".join(commit[:10] for commit in missing[:3]) + (", ..." if len(missing) > 3 else "")
        invocation.output.note(
            f"{count(len(missing), 'code commit')} of your versions {'is' if len(missing) == 1 else 'are'} not on a "
            f"branch of the remote ({ids}): push the branch, then `git model push` again; "
            "`git model push --code` pushes them without a branch, as snapshots of uncommitted changes need it"
        )


def _warn_of_pull(invocation: Invocation, done: Pulled, hint: str = "") -> None:
    """Warn of local changes that the pull *done* left out, and of credentials and moved stage tags that it found.

    *hint* is the advice about changes that were left out.
    """
    for place, conflict in enumerate(done.conflicts, 1):
        invocation.output.warn(conflict, hint if place == len(done.conflicts) else "")
    for merge in done.merged:
        invocation.output.warn(str(merge), "run `git model apply --push` to set the tags again")
    if done.credentials:
        from gitmodel.cli.commands.care.checks import warn_of_credentials

        warn_of_credentials(invocation, done.credentials)
    for name in done.set_back:
        invocation.output.warn(
            f"somebody moved the tag {name} at {done.remote} away from what the branch records",
            "ask who did it; `git model apply --push` puts what is recorded in force again",
        )


def _replayed_lines(done: Pulled) -> list[str]:
    said = [f"{text}: the number was taken" for text in done.renumbered]
    return [f"replayed {count(done.replayed, 'commit')} of yours on {done.remote}", *said] if done.replayed else said


def _no_registry(remote: str) -> str:
    return f"there is no registry yet, neither here nor at {remote}"


def _names(found: list[StageRef]) -> list[str]:
    return [f"{ref.model}@{ref.stage}" for ref in found]
