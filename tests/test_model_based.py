"""Random operations of two clients on one registry. After each operation, the registry must have the expected state.

`Expected` computes this state in plain Python, with dictionaries of versions, stages and names.
"""

import itertools
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
from editing import run
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gitmodel import Client, Conflict, NotFound, Refused, UsageError

EXCLUSIVE = ("staging", "production")
STAGES = st.sampled_from(["staging", "production", "archived", "none"])
WORDS = st.sampled_from(["champion", "best", "canary"])
NAMES = st.sampled_from(["iris", "flowers", "plants"])
PICKS = st.integers(0, 10**6)
CLIENTS = st.integers(0, 1)


@dataclass
class Expected:
    """The expected state of one model of the registry."""

    last: int = 0
    deleted: set = field(default_factory=set)
    held: dict = field(default_factory=dict)
    archived: set = field(default_factory=set)
    aliases: dict = field(default_factory=dict)
    named: dict = field(default_factory=dict)
    # For each stage, the numbers of the versions that were in it, oldest first. None: the stage was empty.
    events: dict = field(default_factory=lambda: {stage: [None] for stage in EXCLUSIVE})
    metadata: dict = field(default_factory=dict)

    @property
    def numbers(self):
        return [number for number in range(1, self.last + 1) if number not in self.deleted]

    def leave(self, number):
        self.held = {stage: holder for stage, holder in self.held.items() if holder != number}
        self.archived.discard(number)

    def enter(self, number, stage):
        if self.held.get(stage) == number and stage in EXCLUSIVE:
            return
        self.leave(number)
        if stage == "archived":
            self.archived.add(number)
        elif stage in EXCLUSIVE:
            if stage in self.held:
                self.archived.add(self.held[stage])
            self.held[stage] = number

    def note_changes(self):
        """Append the new holder of each changed stage to its list in `events`. Called after each commit."""
        for stage, events in self.events.items():
            if self.held.get(stage) != events[-1]:
                events.append(self.held.get(stage))

    def previous(self, stage):
        """Return the version that a rollback of *stage* must restore, or None if the rollback must be refused."""
        held = newer = self.held.get(stage)
        for number in reversed(self.events[stage]):
            if number not in (None, held):
                if number not in self.deleted:
                    return number
                # A rollback skips a deleted version only if the stage is empty now, or was empty after this version.
                if None not in (held, newer):
                    return None
            newer = number
        return None

    def stage_of(self, number):
        held = [stage for stage, holder in self.held.items() if holder == number]
        return held[0] if held else "archived" if number in self.archived else None

    def empties(self, number, stage):
        """Return True if moving version *number* to *stage* empties a later stage. Without `leave`, this is refused."""
        held = self.stage_of(number)
        return {stage, held} <= set(EXCLUSIVE) and EXCLUSIVE.index(stage) < EXCLUSIVE.index(held)

    def in_use(self, number):
        return number in self.held.values() or number in self.aliases.values()

    def delete(self, number):
        self.leave(number)
        self.aliases = {alias: holder for alias, holder in self.aliases.items() if holder != number}
        self.deleted.add(number)


def raises_if(refused, error, message=None):
    """Return a context manager that fails unless its block raises *error*; one without effect if not *refused*."""
    return pytest.raises(error, match=message) if refused else nullcontext()


class Registry(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clients = []
        self.models = {}
        self.gone = {}  # former name of a model -> its new name, or None if the model was deleted

    @initialize()
    def begin(self):
        folder = next(FOLDERS)
        run(folder.parent, "init", "-q", folder)
        self.clients = [Client(folder), Client(folder)]
        self.folder = folder

    def teardown(self):
        for client in self.clients:
            client.close()

    def pick(self, number):
        """Return a model and a version of it, chosen by the random *number*, or (None, None) if there is no version."""
        pairs = [(name, version) for name, model in sorted(self.models.items()) for version in model.numbers]
        return pairs[number % len(pairs)] if pairs else (None, None)

    def pick_model(self, number):
        """Return the name and the expected state of a model, chosen by the random *number*."""
        name = sorted(self.models)[number % len(self.models)]
        return name, self.models[name]

    def handle(self, client, model, version):
        return self.clients[client].get_model(model).get_version(version)

    @rule(client=CLIENTS, name=NAMES)
    def register(self, client, name):
        taken = name in self.models or name in self.gone
        with raises_if(taken, Conflict):
            self.clients[client].register_model(name)
        if not taken:
            self.models[name] = Expected()

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, name=st.none() | st.sampled_from(["1.0", "1.1", "rc"]))
    def create(self, client, pick, name):
        model, expected = self.pick_model(pick)
        handle = self.clients[client].get_model(model)
        if name in expected.named:
            with pytest.raises(Conflict):
                handle.create_version(name)
            return
        expected.last += 1
        assert handle.create_version(name).number == expected.last
        if name:
            expected.named[name] = expected.last

    @rule(client=CLIENTS, pick=PICKS, stage=STAGES, leave=st.booleans())
    def promote(self, client, pick, stage, leave):
        model, version = self.pick(pick)
        if not model:
            return
        refused = self.models[model].empties(version, stage) and not leave
        with raises_if(refused, Refused, "would leave production empty"):
            self.handle(client, model, version).set_stage(stage, leave=leave)
        if not refused:
            self.models[model].enter(version, stage)

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, stage=st.sampled_from(EXCLUSIVE))
    def demote(self, client, pick, stage):
        model, expected = self.pick_model(pick)
        with raises_if(stage not in expected.held, NotFound):
            self.clients[client].get_model(model).demote(stage)
        expected.held.pop(stage, None)

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, stage=st.sampled_from(EXCLUSIVE), leave=st.booleans())
    def roll_back(self, client, pick, stage, leave):
        model, expected = self.pick_model(pick)
        previous = expected.previous(stage)
        refused = previous is not None and expected.empties(previous, stage) and not leave
        with raises_if(previous is None, NotFound), raises_if(refused, Refused, "would leave production empty"):
            assert self.clients[client].get_model(model).rollback(stage, leave=leave).number == previous
            expected.enter(previous, stage)

    @rule(client=CLIENTS, pick=PICKS, alias=WORDS)
    def add_alias(self, client, pick, alias):
        model, version = self.pick(pick)
        if model:
            self.handle(client, model, version).add_alias(alias)
            self.models[model].aliases[alias] = version

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, alias=WORDS)
    def remove_alias(self, client, pick, alias):
        model, expected = self.pick_model(pick)
        with raises_if(expected.aliases.pop(alias, None) is None, NotFound):
            self.clients[client].get_model(model).remove_alias(alias)

    @rule(client=CLIENTS, pick=PICKS, force=st.booleans())
    def delete_version(self, client, pick, force):
        model, version = self.pick(pick)
        if not model:
            return
        with raises_if(self.models[model].in_use(version) and not force, Refused):
            self.handle(client, model, version).delete(force=force)
            self.models[model].delete(version)

    @rule(client=CLIENTS, pick=PICKS, value=st.integers(0, 9))
    def log_metadata(self, client, pick, value):
        model, version = self.pick(pick)
        if model:
            self.handle(client, model, version).log_metadata(value=value)
            self.models[model].metadata[version] = value

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, name=NAMES)
    def rename(self, client, pick, name):
        model, _ = self.pick_model(pick)
        with raises_if(name in self.models or name in self.gone, Conflict):
            self.clients[client].get_model(model).rename(name)
            self.models[name] = self.models.pop(model)
            self.gone[model] = name

    @precondition(lambda self: len(self.models) > 1)
    @rule(client=CLIENTS, pick=PICKS)
    def delete_model(self, client, pick):
        model, _ = self.pick_model(pick)
        self.clients[client].delete_model(model, force=True)
        del self.models[model]
        self.gone[model] = None

    @precondition(lambda self: self.models)
    @rule(
        client=CLIENTS,
        pick=PICKS,
        stages=st.lists(st.sampled_from(EXCLUSIVE), min_size=1, max_size=3),
        fail=st.booleans(),
    )
    def change_several_at_once(self, client, pick, stages, fail):
        """Create and promote a version for each of *stages* in one transaction of *client*. *pick* chooses the model.

        Meanwhile, the other client creates a version. If *fail* is true, the transaction ends with an error.
        """
        model, expected = self.pick_model(pick)
        mine, other = self.clients[client], self.clients[1 - client]
        made = []

        def change():
            with mine.transaction("Several at once") as batch:
                for stage in stages:
                    version = batch.get_model(model).create_version()
                    version.set_stage(stage)
                    made.append((version.number, stage))
                    if len(made) == 1:
                        made.append((other.get_model(model).create_version().number, None))
                if fail:
                    batch.get_model(model).get_version(made[0][0]).set_stage("nonsense")

        with raises_if(fail, UsageError):
            change()
        assert [number for number, _ in made] == list(range(expected.last + 1, expected.last + len(made) + 1))
        committed = [(number, stage) for number, stage in made if stage is None or not fail]
        lost = {number for number, stage in made if stage and fail}
        expected.last += len(made)
        expected.deleted |= lost
        for number, stage in committed:
            if stage:
                expected.enter(number, stage)

    @rule(tags=st.booleans())
    def lose_tags_and_apply(self, tags):
        listed = run(self.folder, "tag").split()
        if tags and listed:
            run(self.folder, "tag", "-d", *listed)
        with raises_if(not self.models and not self.gone, NotFound, "there is no registry yet"):
            self.clients[0].apply()

    @rule(command=st.sampled_from([["pack-refs", "--all"], ["gc", "-q"]]))
    def run_git_maintenance(self, command):
        run(self.folder, *command)

    @invariant()
    def both_clients_agree_with_the_model(self):
        for expected in self.models.values():
            expected.note_changes()
        for client in self.clients:
            assert [model.name for model in client.list_models()] == sorted(self.models)
            for name, expected in self.models.items():
                handle = client.get_model(name)
                states = {state.name: (state.recorded, state.in_force, state.forged) for state in handle.stages}
                places = {**expected.held, **expected.aliases}
                assert states == {place: (number, number, "") for place, number in places.items()}
                views = [version.view for version in handle.list_versions()]
                assert [view.record.number for view in views] == expected.numbers
                for view in views:
                    number = view.record.number
                    assert view.stage == expected.stage_of(number)
                    assert set(view.aliases) == {
                        alias for alias, holder in expected.aliases.items() if holder == number
                    }
                    assert view.record.metadata.get("value") == expected.metadata.get(number)
                if expected.numbers:
                    assert handle.get_version().number == expected.numbers[-1]
                for place, number in places.items():
                    assert handle.get_version(place).number == number
                for word, number in expected.named.items():
                    if number not in expected.deleted:
                        assert handle.get_version(word).number == number
            for former, name in self.gone.items():
                while name in self.gone:
                    name = self.gone[name]
                if name is None:
                    with pytest.raises(NotFound):
                        client.get_model(former)
                else:
                    assert client.get_model(former).name == name


FOLDERS = iter(())


@pytest.mark.parametrize(("examples", "steps"), [(8, 20), pytest.param(200, 60, marks=pytest.mark.soak)])
def test_random_operations_of_two_clients_lead_to_the_expected_registry(tmp_path, examples, steps):
    global FOLDERS
    FOLDERS = (tmp_path / str(number) for number in itertools.count())
    Registry.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    Registry.TestCase("runTest").runTest()
