"""A registry on which several people work: their clones and shared store, and checks of the registry's consistency."""

import json
import os
import subprocess
import sys
from pathlib import Path

from transcripts import ask

from gitmodel import Client
from gitmodel.branch.opening import open_repository
from gitmodel.registry.health import checking
from gitmodel.stores.opening import open_store

BRANCH = "refs/heads/gitmodel"


class Team:
    """A bare remote at *url*, and people who each have their own clone and name."""

    def __init__(self, folder, url, store, opened):
        self.folder = folder
        self.url = url
        self.store = store
        self.opened = opened

    def clone(self, name, *, url=None):
        """Create a clone for the person *name* that has not fetched the registry yet. Return its client.

        *url* is the URL of its remote (default: the remote of the team).
        """
        path = self.folder / name
        subprocess.run(["git", "init", "-q", str(path)], check=True)
        subprocess.run(["git", "-C", str(path), "remote", "add", "origin", url or self.url], check=True)
        return self.open(name)

    def open(self, name):
        client = Client(self.folder / name, store=self.store, environ=self.environ(name))
        self.opened.callback(client.close)
        return client

    def by_url(self, name, url, **access):
        """Return a client of the registry at *url* for the person *name*, who has no clone, with a cache of its own.

        *access* are more arguments of `Client`.
        """
        (self.folder / "nowhere").mkdir(exist_ok=True)
        environ = {**self.environ(name), "XDG_CACHE_HOME": str(self.folder / f"cache-{name}")}
        client = Client(self.folder / "nowhere", repo=url, environ=environ, **access)
        self.opened.callback(client.close)
        return client

    def environ(self, name):
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", name), ("EMAIL", f"{name}@example.com"))
        }
        return {**os.environ, **who}


def begin(team):
    client = team.clone("ada")
    iris = client.register_model("iris", license="MIT")
    for number in (1, 2, 3):
        iris.create_version(data={"train": source(team, f"data {number}")}, metadata={"accuracy": number / 10})
    iris.get_version(2).set_stage("production")
    client.push()
    team.clone("bob").pull()


def source(team, content):
    path = team.folder / "source.txt"
    path.write_text(content, encoding="utf-8")
    return path


def refs(path):
    """Return the metadata branch and the stage tags of a repository, with their object ids."""
    command = ["git", "-C", str(path), "for-each-ref", "--format=%(refname) %(objectname)", BRANCH, "refs/tags/model"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ") for line in said.splitlines())


def assert_sound(path, *, store=""):
    """Fail unless `git fsck` and `check` find no fault and each stage tag at *path* agrees with the branch.

    If the URL *store* is given, each artifact must be in this store.
    """
    done = subprocess.run(
        ["git", "fsck", "--strict", "--no-progress", "--no-dangling"], cwd=path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    repository = open_repository(Path(path), environ=os.environ)
    try:
        assert checking.check(repository) == []
        tip = repository.tip()
        kept = open_store(store, default_root=repository.common_dir / "gitmodel" / "store")
        snapshot = repository.snapshot_at(tip)
        for ref in repository.tags.all():
            wanted = repository.tags.recorded_at(tip, ref)
            assert wanted is not None, f"the branch has no record for the tag {ref}"
            assert wanted.id == repository.tags.id(ref), f"{ref} is not at the commit that the branch says"
        for model in snapshot.model_names():
            for number in snapshot.numbers(model):
                for link in snapshot.version(model, number).artifacts:
                    assert not store or kept.holds(link.digest)
    finally:
        repository.close()


def run_apart(folder, *words, **environ):
    """Run a gitmodel command in a new process, with *environ* as additional environment variables.

    Returns its exit code, stdout and stderr.
    """
    command = [sys.executable, "-m", "gitmodel", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environ})
    return done.returncode, done.stdout, done.stderr


def held(client, model="iris"):
    """Return the number of the version in force for each stage of *model* that is not empty."""
    return {state.name: state.in_force for state in client.get_model(model).stages if state.in_force is not None}


def states(model):
    """Return for each stage of *model* the numbers of the recorded version and of the version in force."""
    return {state.name: (state.recorded, state.in_force) for state in model.stages}


def refused_until_confirmed(here, capsys, words):
    """Run the command *words* in the clone *here*: it must be refused, and must succeed with --renumbered.

    Returns the stderr of the refused and of the successful run.
    """
    before = all_refs(here)
    code, out, refusal = ask(capsys, "-C", here, *words)
    assert (code, out) == (6, "")
    assert "--renumbered" in refusal
    assert "warning" not in refusal
    assert all_refs(here) == before
    code, _, err = ask(capsys, "-C", here, *words, "--format", "json")
    assert (code, json.loads(err)["error"]["exit_code"]) == (6, 6)
    code, _, err = ask(capsys, "-C", here, *words, "--renumbered")
    assert code == 0, err
    assert all_refs(here) != before
    return refusal, err


def all_refs(folder):
    said = subprocess.run(["git", "-C", str(folder), "for-each-ref"], check=True, capture_output=True, text=True)
    return said.stdout.splitlines()
