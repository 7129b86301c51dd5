"""Building the demo: creating a repository, and making each event of the story happen at its time, by its author."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from gitmodel.client import Client
from gitmodel.demo import story
from gitmodel.demo.story import Event
from gitmodel.errors import UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.repositories.new_repositories import commit_files, init
from gitmodel.pipelines.execution.running import RunFailed
from gitmodel.pipelines.pipeline_modules import pipeline_of_script

PROJECT = Path(__file__).with_name("project")


class Demo(Frozen):
    """The demo in *folder*: its branch and store, its number of *versions* by model, of *runs* and open *proposals*."""

    folder: Path
    branch: str
    store: str
    versions: Mapping[str, int]
    runs: int
    proposals: int


def build(folder: Path, *, environ: Mapping[str, str], tell: Callable[[str], object]) -> Demo:
    """Create a repository in *folder*, and make the events of the story happen there.

    Calls *tell* with a line for each event. Names, numbers, values, dates and reasons are the same in each demo. The
    ids of commits and runs differ, because a part of each id is random. Raises UsageError if *folder* is not empty.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder", hint="name a new folder: git model init --demo DIR")
    folder.mkdir(parents=True, exist_ok=True)
    builder = _Builder(folder, environ)
    init(folder, builder.environ_of(story.events()[0]))
    for event in story.events():
        tell(f"{event.when[:10]}  {event.who.name:12}  {builder.make(event)}")
    with builder.client(story.events()[-1]) as client:
        versions = {model.name: model.view.count for model in client.list_models()}
        runs, proposals = len(client.list_runs()), len(client.list_proposals())
        return Demo(folder, client.repository.branch, client.store.url, versions, runs, proposals)


class _Builder:
    """Makes the events of the story happen in *folder*."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        # The settings of the user are left out, because they would name another registry, branch or store.
        self._environ = {name: value for name, value in environ.items() if not name.startswith("GITMODEL_")}

    def environ_of(self, event: Event) -> dict[str, str]:
        """Return an environment in which git uses the author and the time of *event*."""
        values = {"NAME": event.who.name, "EMAIL": event.who.email, "DATE": event.when}
        of_git = {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in values.items()}
        return {**self._environ, **of_git}

    def client(self, event: Event) -> Client:
        """Return a client for *event*, with a store in the repository. Ignores the store in the user's settings."""
        store = (self._folder / ".git" / "gitmodel" / "store").as_uri()
        return Client(self._folder, repo=self._folder, store=store, environ=self.environ_of(event))

    def make(self, event: Event) -> str:
        """Make *event* happen, and return a line that describes the event."""
        if isinstance(event.deed, story.Commit):
            return self._commit(event, event.deed)
        with self.client(event) as client:
            return self._write(client, event)

    def _commit(self, event: Event, deed: story.Commit) -> str:
        scripts = [file for file in PROJECT.iterdir() if file.is_file()] if deed.scripts else []
        texts = {file.name: file.read_text(encoding="utf-8") for file in scripts}
        for name, text in {**texts, **deed.files}.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        commit_files(self._folder, deed.subject, self.environ_of(event))
        return f"commits: {deed.subject}"

    def _write(self, client: Client, event: Event) -> str:
        match event.deed:
            case story.Register(model, card):
                client.register_model(model, **card)
                return f"registers {model}: {card['title']}"
            case story.Train() as deed:
                return self._train(client, deed)
            case story.Describe(version, description, tags, note):
                chosen = client.get_version(version)
                chosen.update(description=description, add_tags=tags)
                if note:
                    with tempfile.TemporaryDirectory(prefix="gitmodel-demo-") as folder:
                        file = Path(folder, "review.txt")
                        file.write_text(note, encoding="utf-8")
                        chosen.attach("review", file)
                return f"describes {version}: {description}"
            case story.Promote(version, stage, reason, force):
                client.promote(version, stage, reason=reason, force=force)
                return f"promotes {version} to {stage}{', although a gate fails' if force else ''}: {reason}"
            case story.RollBack(model, stage, reason):
                done = client.rollback(model, stage, reason=reason)
                return f"rolls {model} {stage} back to {done.version}: {reason}"
            case story.SetAlias(version, alias, reason):
                client.set_alias(version, alias, reason=reason)
                return f"names {version} {alias}: {reason}"
            case story.SetGate(stage, name, expression, message, reason):
                client.add_gate(stage, name, expression, message=message, replace=True, reason=reason)
                return f"requires {expression} for {stage}: {reason}"
            case story.Propose(version, stage, reason):
                client.propose((version, stage), reason=reason)
                return f"proposes {version} for {stage}: {reason}"
            case other:
                raise AssertionError(f"no way to make {other}")

    def _train(self, client: Client, deed: story.Train) -> str:
        pipeline = pipeline_of_script(str(self._folder / f"{deed.model}.py"))
        given = {**pipeline.read_parameters(self._folder / f"{deed.model}.toml"), **deed.parameters}
        try:
            with _silent_steps():
                done = pipeline.run(client=client, executor="in-order", listener=lambda *_: None, **given)
        except RunFailed as error:
            if not deed.fails:
                raise
            return f"fails to train {deed.model}: {error.message}"
        assert done is not None
        version = client.get_version(done.versions[0])
        return f"trains {version.reference}: accuracy {version.metadata['accuracy']}"


@contextmanager
def _silent_steps() -> Iterator[None]:
    """Hide what steps print in the block. `git model runs logs` shows this output."""
    log = logging.getLogger("gitmodel.pipelines")
    before, log.disabled = log.disabled, True
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        log.disabled = before
