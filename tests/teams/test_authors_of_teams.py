"""Authors and last changes of models and versions that two people create, rename, delete, push and pull."""

import random

import pytest

from gitmodel.errors import GitModelError

CHANGES = 40


def change_once(client, choice, step):
    """Make one change, selected by the random generator *choice*, in the clone of *client*. Ignores a refusal.

    *step* makes the names of new and renamed models unique.
    """
    model = choice.choice(client.list_models() or [client.register_model(f"first{step}")])
    versions = list(model.versions)
    changes = [
        lambda: client.register_model(f"model{step}"),
        model.create_version,
        lambda: model.rename(f"renamed{step}"),
        lambda: model.update(description=str(step)),
        lambda: model.delete(force=True),
        client.pull,
        lambda: (client.pull(), client.push()),
    ]
    if versions:
        version = choice.choice(versions)
        changes += [
            lambda: version.set_stage(choice.choice(["staging", "production"])),
            lambda: version.add_alias(choice.choice(["champion", "challenger"])),
            lambda: version.delete(force=True),
        ]
    try:
        choice.choices(changes, [2, 6, 1, 1, 0.5, 2, 3, 2, 1, 1][: len(changes)])[0]()
    except GitModelError:
        return


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.soak) if seed > 1 else seed for seed in range(40)]
)
def test_the_index_has_the_same_authors_as_a_reading_of_the_whole_history(team, seed):
    """The index is updated at random moments; without it, gitmodel reads the whole history."""
    choice = random.Random(seed)
    ada, ben = team.clone("ada"), team.clone("ben")
    ada.register_model("base")
    ada.push()
    ben.pull()
    for step in range(CHANGES):
        client = choice.choice([ada, ben])
        change_once(client, choice, step)
        if choice.random() < 0.4:
            client.authorships()
    for client in (ada, ben):
        found = client.authorships()
        assert found
        for index in client.repository.own_folder.glob("index-*.sqlite"):
            index.unlink()
        assert client.authorships() == found
