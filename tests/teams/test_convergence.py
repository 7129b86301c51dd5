"""Two clones make random changes, pull and push.

At the end, both clones have the same registry, with each version that one of them created and did not delete.
"""

import random
import subprocess

import pytest
from teamwork import assert_sound, refs

from gitmodel.errors import GitModelError, Invalid
from gitmodel.teams.sync.pushing import LeftOut

FEW, MANY = range(4), range(4, 200)


class Story:
    """A random sequence of changes, and the versions that must exist at its end."""

    def __init__(self, seed, clients):
        self.random = random.Random(seed)
        self.clients = clients
        self.count = 0
        self.lines = []
        # sets of version ids: created, created by the current change, and deleted (alone or with their model)
        self.made = set()
        self.making = set()
        self.deleted = set()

    def do(self, client):
        verb = self.random.choice(VERBS)
        try:
            self.making = set()
            said = verb(self, client)
            self.made |= self.making
        except Invalid:
            raise
        except GitModelError as error:
            said = f"refused: {error.message}"
        self.lines.append(f"{self.clients.index(client)} {verb.__name__}: {said}")

    def model(self, client):
        found = client.list_models()
        return self.random.choice(list(found)) if found else None

    def version(self, client):
        model = self.model(client)
        found = model.list_versions() if model else None
        return self.random.choice(found) if found else None


def register(story, client):
    name = story.random.choice(["iris", "churn", "Churn", "fraud", f"m{story.random.randrange(4)}"])
    return client.register_model(name, title=f"by {story.clients.index(client)}")


def create(story, client):
    model = story.model(client)
    if model is None:
        return "no model"
    story.count += 1
    name = story.random.choice([None, None, f"v{story.random.randrange(6)}.0", f"V{story.random.randrange(6)}.0"])
    version = model.create_version(name, metadata={"id": story.count})
    story.making.add(story.count)
    return version


def log(story, client):
    version = story.version(client)
    key = story.random.choice("abc")
    return version and version.log_metadata({key: story.random.random()})


def promote(story, client):
    version = story.version(client)
    stage = story.random.choice(["staging", "production", "archived", "none"])
    return version and version.set_stage(stage, reason=story.random.choice(["", "because"]))


def alias(story, client):
    version = story.version(client)
    return version and version.add_alias(story.random.choice(["best", "Best", "v1.0"]))


def demote(story, client):
    model = story.model(client)
    return model and model.demote(story.random.choice(["staging", "production"]))


def rollback(story, client):
    model = story.model(client)
    return model and model.rollback("production")


def delete(story, client):
    version = story.version(client)
    if version is None:
        return None
    id = version.metadata.get("id")
    version.delete(reason="not needed", force=story.random.random() < 0.5)
    story.deleted.add(id)
    return id


def delete_model(story, client):
    model = story.model(client)
    if model is None or story.random.random() < 0.7:
        return None
    ids = {version.metadata.get("id") for version in model.list_versions()}
    client.delete_model(model.name, force=True)
    story.deleted |= ids
    return model


def rename(story, client):
    model = story.model(client)
    if model is None or story.random.random() < 0.5:
        return None
    return client.update_model(model.name, new_name=f"{model.name[:8]}-{story.random.randrange(100)}")


def describe(story, client):
    model = story.model(client)
    word = story.random.choice(["small", "big"])
    return model and client.update_model(model.name, audience=word, add_tags=[word])


def several(story, client):
    with client.transaction("Several") as change:
        return [create(story, change), create(story, change), promote(story, change)]


def pull(story, client):
    done = client.pull()
    return f"{done.renumbered} {done.conflicts}"


def push(story, client):
    try:
        done = client.push()
    except LeftOut as error:
        done = error.done
    return f"{done.commits} {[(pulled.renumbered, pulled.conflicts) for pulled in done.pulled]}"


VERBS = [
    register, *[create] * 5, *[log] * 3, *[promote] * 5, *[alias] * 2, demote, rollback, delete, delete_model, rename,
    describe, several, *[pull] * 2, *[push] * 3,
]  # fmt: skip


def added_versions(bare):
    """Return the paths of the version files that the commits on the branch of the remote added (first parents only)."""
    command = ["git", "-C", str(bare), "log", "--first-parent", "--no-renames", "--diff-filter=A", "--name-only"]
    said = subprocess.run(
        [*command, "--format=%x01%H", "refs/heads/gitmodel"], check=True, capture_output=True, text=True
    ).stdout
    return [line for line in said.splitlines() if "/versions/" in line]


@pytest.mark.parametrize("seed", [*FEW, *(pytest.param(seed, marks=pytest.mark.soak, id=str(seed)) for seed in MANY)])
def test_two_clones_with_random_changes_get_the_same_registry_and_lose_no_version(team, bare, git, seed, soak):
    git(bare, "config", "receive.denyNonFastForwards", "true")
    clients = [team.clone("ada"), team.clone("bob")]
    clients[0].register_model("iris")
    clients[0].push()
    clients[1].pull()
    story = Story(seed, clients)
    try:
        for _ in range(40 if not soak else 60):
            story.do(story.random.choice(clients))
        for client in (*clients, *clients):
            story.lines.append(push(story, client))
        for client in clients:
            assert not client.pull().conflicts
            assert refs(client.repository.common_dir) == refs(bare)
        assert_sound(bare)
        there = [version.metadata.get("id") for model in clients[0].list_models() for version in model.list_versions()]
        assert len(there) == len(set(there)), "two versions are the same version"
        # If the other clone deleted a model, a pull leaves out local versions of this model and reports it. Then
        # versions may be missing.
        if not any("is gone at the remote" in str(line) for line in story.lines):
            assert story.made - set(there) <= story.deleted, "a version was lost"
        added = added_versions(bare)
        assert len(added) == len(set(added)), "a version number was used twice"
    except BaseException:
        print("\n".join(map(str, story.lines)))
        raise
