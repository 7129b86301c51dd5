"""Fixtures for the trust tests: a registry with a model, other processes, and consistency checks."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import actors
import pytest

from gitmodel.branch.opening import open_repository
from gitmodel.registry.health import checking, doctor
from gitmodel.registry.lists import model_views
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import models
from gitmodel.registry.writing.direct import Direct
from gitmodel.stores.opening import open_store


class Registry:
    """A registry in this process: its folder, repository, writer and store."""

    def __init__(self, path: Path):
        self.path = path
        self.repository, self.writer, self.store = actors.open_registry(path)

    def register(self, **given):
        return actors.register((self.repository, self.writer, self.store), **given)

    def promote(self, ref, stage="production", **given):
        return actors.promote((self.repository, self.writer, self.store), ref=ref, stage=stage, **given)

    def source(self, model, link):
        return self.store

    def close(self):
        self.repository.close()


@pytest.fixture
def soak(request):
    """True if the long version of the test is requested (`--soak`)."""
    return request.config.getoption("--soak")


@pytest.fixture
def open_at():
    """A function that opens the registry at a path. The fixture closes these registries when the test ends."""
    with ExitStack() as opened:

        def open_(path):
            registry = Registry(path)
            opened.callback(registry.close)
            return registry

        yield open_


@pytest.fixture
def registry(code_repo, open_at):
    """A registry in an ordinary repository, with the model iris and no version."""
    made = open_at(code_repo)
    models.register_model(made.writer, "iris", {})
    return made


@pytest.fixture
def start(code_repo):
    """A function that starts actors, which use the registry. The fixture ends the actors when the test ends."""
    with ExitStack() as running:

        def start_(count=1, path=code_repo, **given):
            started = [actors.Actor(path, **given) for _ in range(count)]
            for actor in started:
                running.callback(actor.close)
            return started

        yield start_


@pytest.fixture
def assert_whole():
    """A function that fails unless `git fsck`, `check` and `doctor` find no fault in the registry at the given path.

    With `repair=True`, the function lets `doctor` repair the effects of a crash before it examines the registry: locks,
    leftovers, and a pending promotion.
    """

    def assert_(path, *, repair=False):
        done = subprocess.run(
            ["git", "fsck", "--strict", "--no-progress", "--no-dangling"], cwd=path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
        repository = open_repository(path, environ=os.environ)
        try:
            store = open_store("", default_root=repository.common_dir / "gitmodel" / "store")
            assert checking.check(repository) == []
            if repair:
                doctor.repair(repository, store)
            assert doctor.examine(repository, store) == []
            assert not list((repository.common_dir / "gitmodel" / "writers").glob("*"))
            for model in model_views.list_models(Direct(repository))[0]:
                for state in stages.list_stages(Direct(repository), model.name):
                    assert not state.pending, state
        finally:
            repository.close()

    return assert_
