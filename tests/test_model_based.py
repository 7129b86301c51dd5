"""Random operations of two clients on one registry. After each operation, the registry must have the expected state.

`Expected` computes this state in plain Python, with dictionaries of versions, stages and names.
"""

import itertools
import subprocess
from dataclasses import dataclass, field

import pytest
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


class Registry(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clients = []
        self.models = {}
        self.gone = {}  # former name of a model -> its new name, or None if the model was deleted

    @initialize()
    def begin(self):
        folder = next(FOLDERS)
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        self.clients = [Client(folder), Client(folder)]
        self.folder = folder

    def teardown(self):
        for client in self.clients:
            client.close()

    def pick(self, number):
        """Return a model and a version of it, chosen by the random *number*, or (None, None) if there is no version."""
        pairs = [(name, version) for name, model in sorted(self.models.items()) for version in model.numbers]
        return pairs[number % len(pairs)] if pairs else (None, None)

    def handle(self, client, model, version):
        return self.clients[client].get_model(model).get_version(version)

    @rule(client=CLIENTS, name=NAMES)
    def register(self, client, name):
        if name in self.models or name in self.gone:
            with pytest.raises(Conflict):
                self.clients[client].register_model(name)
        else:
            self.clients[client].register_model(name)
            self.models[name] = Expected()

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, name=st.none() | st.sampled_from(["1.0", "1.1", "rc"]))
    def create(self, client, pick, name):
        model = sorted(self.models)[pick % len(self.models)]
        expected = self.models[model]
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
        handle = self.handle(client, model, version)
        if self.models[model].empties(version, stage) and not leave:
            with pytest.raises(Refused, match="would leave production empty"):
                handle.set_stage(stage)
            return
        handle.set_stage(stage, leave=leave)
        self.models[model].enter(version, stage)

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, stage=st.sampled_from(EXCLUSIVE))
    def demote(self, client, pick, stage):
        model = sorted(self.models)[pick % len(self.models)]
        handle = self.clients[client].get_model(model)
        if stage in self.models[model].held:
            handle.demote(stage)
            del self.models[model].held[stage]
        else:
            with pytest.raises(NotFound):
                handle.demote(stage)

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, stage=st.sampled_from(EXCLUSIVE), leave=st.booleans())
    def roll_back(self, client, pick, stage, leave):
        model = sorted(self.models)[pick % len(self.models)]
        expected = self.models[model]
        handle = self.clients[client].get_model(model)
        other = expected.previous(stage)
        if other is None:
            with pytest.raises(NotFound):
                handle.rollback(stage)
            return
        if expected.empties(other, stage) and not leave:
            with pytest.raises(Refused, match="would leave production empty"):
                handle.rollback(stage)
            return
        assert handle.rollback(stage, leave=leave).number == other
        expected.enter(other, stage)

    @rule(client=CLIENTS, pick=PICKS, alias=WORDS)
    def give_alias(self, client, pick, alias):
        model, version = self.pick(pick)
        if model:
            self.handle(client, model, version).add_alias(alias)
            self.models[model].aliases[alias] = version

    @precondition(lambda self: self.models)
    @rule(client=CLIENTS, pick=PICKS, alias=WORDS)
    def take_alias(self, client, pick, alias):
        model = sorted(self.models)[pick % len(self.models)]
        handle = self.clients[client].get_model(model)
        if self.models[model].aliases.pop(alias, None) is None:
            with pytest.raises(NotFound):
                handle.remove_alias(alias)
        else:
            handle.remove_alias(alias)

    @rule(client=CLIENTS, pick=PICKS, force=st.booleans())
    def delete_version(self, client, pick, force):
        model, version = self.pick(pick)
        if not model:
            return
        handle = self.handle(client, model, version)
        if self.models[model].in_use(version) and not force:
            with pytest.raises(Refused):
                handle.delete()
        else:
            handle.delete(force=force)
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
        model = sorted(self.models)[pick % len(self.models)]
        handle = self.clients[client].get_model(model)
        if name in self.models or name in self.gone:
            with pytest.raises(Conflict):
                handle.rename(name)
            return
        handle.rename(name)
        self.models[name] = self.models.pop(model)
        self.gone[model] = name

    @precondition(lambda self: len(self.models) > 1)
    @rule(client=CLIENTS, pick=PICKS)
    def delete_model(self, client, pick):
        model = sorted(self.models)[pick % len(self.models)]
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
        model = sorted(self.models)[pick % len(self.models)]
        expected = self.models[model]
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

        if fail:
            with pytest.raises(UsageError):
                change()
        else:
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
        listed = subprocess.run(
            ["git", "tag"], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout.split()
        if tags and listed:
            subprocess.run(["git", "tag", "-d", *listed], cwd=self.folder, capture_output=True, check=True)
        if self.models or self.gone:
            self.clients[0].apply()
        else:
            with pytest.raises(NotFound, match="there is no registry yet"):
                self.clients[0].apply()

    @rule(command=st.sampled_from([["pack-refs", "--all"], ["gc", "-q"]]))
    def keep_house(self, command):
        subprocess.run(["git", *command], cwd=self.folder, check=True)

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


def run(tmp_path, examples, steps):
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


def test_random_operations_of_two_clients_lead_to_the_expected_registry(tmp_path):
    run(tmp_path, examples=8, steps=20)


@pytest.mark.soak
def test_many_random_operations_of_two_clients_lead_to_the_expected_registry(tmp_path):
    run(tmp_path, examples=200, steps=60)
