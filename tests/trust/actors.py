"""Processes beside the test that use its registry: `Actor` starts such a process, which runs this file.

The test sends the process a request as one line of JSON, `{"do": VERB, ...}`. The process answers with one line of
JSON. An answer with the key "error" means that the request failed.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path


class Actor:
    """A separate process that has opened the registry at *path*."""

    def __init__(self, path, *, group=False):
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=group,
        )

    def send(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """Wait for the answer to the oldest request that has no answer yet, and return this answer."""
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"the actor ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, do, **arguments):
        self.send(do, **arguments)
        return self.answer()

    def close(self):
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
        self.process.wait()


def open_registry(path):
    from gitmodel.branch.opening import open_repository
    from gitmodel.registry.writing.direct import Direct
    from gitmodel.stores.opening import open_store

    repository = open_repository(Path(path), environ=os.environ)
    store = open_store("", default_root=repository.common_dir / "gitmodel" / "store")
    return repository, Direct(repository), store


def register(registry, *, model="iris", content=None):
    """Store an artifact with the text *content* (default: random), then create a version with a link to it."""
    from gitmodel.domain.schema.records import ArtifactLink
    from gitmodel.registry.records import versions
    from gitmodel.stores.artifacts.storing import put_path

    _, writer, store = registry
    with tempfile.NamedTemporaryFile("w") as source:
        source.write(content or os.urandom(20).hex())
        source.flush()
        stored = put_path(store, Path(source.name))
    link = ArtifactLink(name="weights", kind="model", digest=stored.digest, size=stored.size)
    number = versions.make_version(writer, model, versions.Draft(), artifacts=[link], code=None, runs=()).ref.number
    return {"number": number, "digest": stored.digest}


def promote(registry, *, ref="iris@1", stage="production", reason=""):
    from gitmodel.domain.changes.planned_change import Justification
    from gitmodel.domain.schema.references import VersionRef
    from gitmodel.registry.promotion import stages

    done = stages.promote(registry[1], VersionRef.parse(ref), stage, why=Justification(reason))
    return {"version": done.version, "previous": done.previous, "archived": done.archived, "changed": done.changed}


def demote(registry, *, model="iris", stage="production", reason=""):
    from gitmodel.registry.promotion import stages

    return {"previous": stages.demote(registry[1], model, stage, reason=reason).previous}


def look(registry, *, model="iris"):
    """Read all versions, models and stages once. The key "wrong" of the answer lists the inconsistencies found."""
    from gitmodel.domain.schema.references import VersionRef
    from gitmodel.errors import NotFound
    from gitmodel.registry.health import checking
    from gitmodel.registry.lists import model_views, version_lists
    from gitmodel.registry.records import finding

    repository, writer, store = registry
    wrong, seen = [], 0
    views, damaged = version_lists.list_versions(writer, model)
    wrong += [f"damaged: {error.message}" for error in damaged]
    for view in views:
        seen += 1
        wrong += [f"{view} without {link.digest}" for link in view.record.artifacts if not store.holds(link.digest)]
    wrong += [f"damaged: {error.message}" for error in model_views.list_models(writer)[1]]
    holders = [str(view) for view in views if view.stage == "production"]
    if len(holders) > 1:
        wrong.append(f"two in production: {holders}")
    try:
        finding.find(writer, VersionRef.parse(f"{model}@production"))
    except NotFound as error:
        if "no version" not in error.message and "not in force yet" not in error.message:
            wrong.append(error.message)
    wrong += [str(problem) for problem in checking.check(repository)]
    return {"wrong": wrong, "seen": seen}


VERBS = {"register": register, "promote": promote, "demote": demote, "look": look}


def main(path):
    from gitmodel.errors import GitModelError

    registry = open_registry(path)
    for line in sys.stdin:
        request = json.loads(line)
        verb, times = VERBS[request.pop("do")], request.pop("times", 1)
        for _ in range(times):
            try:
                answer = verb(registry, **request)
            except GitModelError as error:
                answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
            print(json.dumps(answer), flush=True)
    registry[0].close()


if __name__ == "__main__":
    main(sys.argv[1])
