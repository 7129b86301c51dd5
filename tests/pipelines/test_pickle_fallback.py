"""gitmodel pickles a value that no other format can save only if the step or the registry allows it."""

import logging
from typing import Annotated

import numpy
import pytest
from project import DEMO, pipeline_of

from gitmodel import Invalid, Refused, RunFailed, UsageError, pipeline, step
from gitmodel.domain.schema.records import format_of
from gitmodel.domain.schema.registry_rules.registry_record import FormatRules, RegistryRecord
from gitmodel.formats import materializers


class Weights:
    def __init__(self, numbers):
        self.numbers = numbers


def run(client, one):
    return pipeline_of(one, model_config=DEMO).run(client=client)


def fit_step(**options):
    @step(**options)
    def fit() -> tuple[Annotated[object, "clf"], Annotated[int, "score"]]:
        return Weights([1.5]), 7

    return fit


@pytest.mark.parametrize("allowed_by", ["the step", "the registry"])
def test_a_value_without_a_format_is_pickled_where_it_is_allowed(client, set_rules, caplog, allowed_by):
    if allowed_by == "the registry":
        set_rules(formats=FormatRules(pickle=True))
    with caplog.at_level(logging.WARNING):
        run(client, fit_step(pickle=True) if allowed_by == "the step" else fit_step())
    told = [record.getMessage() for record in caplog.records if "pickle" in record.getMessage()]
    assert told == ["clf is stored as pickle, because no other format keeps it: it loads only with trusted=True"]
    version = client.get_version("demo@1")
    assert [(one.name, one.format) for one in version.artifacts] == [("clf", "pickle"), ("score", "json")]
    with pytest.raises(Refused, match="clf of demo@1 is a pickle file: loading it can run any code"):
        version.get_artifact("clf").load()
    assert version.get_artifact("clf").load(trusted=True).numbers == [1.5]


def test_a_value_is_not_pickled_if_the_step_forbids_it_although_the_registry_allows_it(client, set_rules):
    set_rules(formats=FormatRules(pickle=True))
    with pytest.raises(RunFailed, match=r"clf is a .*Weights, which gitmodel cannot save") as caught:
        run(client, fit_step(pickle=False))
    assert "write @step(pickle=True) to allow pickle for it" in caught.value.hint


def test_a_pickled_value_is_an_input_of_the_next_step_and_is_reused(client, set_rules):
    fit = fit_step(pickle=True)

    @step
    def use(clf) -> Annotated[float, "first"]:
        return clf.numbers[0]

    @pipeline(model_config=DEMO)
    def two():
        clf, _ = fit()
        use(clf)

    two.run(client=client)
    assert [one.status for one in two.run(client=client).steps] == ["cached", "cached"]
    assert client.get_version("demo@2").get_artifact("first").load() == 1.5


def test_a_cached_pickle_is_not_reused_if_the_registry_no_longer_allows_it(client, set_rules):
    fit = fit_step()
    set_rules(formats=FormatRules(pickle=True))
    run(client, fit)
    set_rules()
    with pytest.raises(RunFailed, match=r"clf is a .*Weights, which gitmodel cannot save"):
        run(client, fit)


def test_a_value_that_would_change_in_its_format_is_pickled(tmp_path):
    value = numpy.array([Weights([1.5]), None], dtype=object)
    with pytest.raises(UsageError) as caught:
        materializers.save(value, tmp_path / "x", "output x", "", allow_pickle="write @step(pickle=True)")
    assert "write @step(pickle=True)" in caught.value.hint
    assert materializers.save(value, tmp_path / "x", "output x", "", pickle=True)[0] == "pickle"


def test_a_value_whose_format_needs_a_missing_package_is_refused_and_not_pickled(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skops.io", None)
    from sklearn.linear_model import LinearRegression

    with pytest.raises(UsageError, match="needs the package skops") as caught:
        materializers.save(LinearRegression(), tmp_path / "x", "output clf", "", pickle=True)
    assert caught.value.hint.startswith("pip install")


def test_a_value_that_cannot_be_pickled_either_is_refused_with_both_reasons(tmp_path):
    class Stubborn:
        def __reduce__(self):
            raise TypeError("a lock cannot be pickled")

    with pytest.raises(UsageError, match=r"which gitmodel cannot save; .*a lock cannot be pickled"):
        materializers.save(Stubborn(), tmp_path / "x", "output x", "", pickle=True)


def test_an_object_is_pickled_where_the_registry_allows_it(client, set_rules):
    client.register_model("demo")
    with pytest.raises(UsageError, match=r"clf is a .*Weights, which gitmodel cannot save"):
        client.get_model("demo").create_version(model_objects={"clf": Weights([2])})
    set_rules(formats=FormatRules(pickle=True))
    version = client.get_model("demo").create_version(model_objects={"clf": Weights([2])})
    assert version.get_artifact("clf").format == "pickle"
    assert version.get_artifact("clf").load(trusted=True).numbers == [2]


def test_the_registry_key_that_allows_pickle_requires_format_1_2():
    assert format_of(RegistryRecord(formats=FormatRules(pickle=True))) == (1, 2)


def test_an_invalid_registry_key_about_formats_stops_a_run_before_it_starts(client):
    from dataclasses import replace

    from gitmodel.domain.changes.planned_change import Change
    from gitmodel.domain.schema import codec, paths

    def plan(snapshot):
        content = codec.encode(snapshot.registry()) + b'\n[formats]\npickle = "yes"\n'
        return Change(None, "Set rules", files={paths.REGISTRY: content})

    made = []

    @step
    def fit() -> Annotated[int, "score"]:
        made.append(1)
        return 1

    client.register_model("demo")
    client.writer.transact(plan)
    with pytest.raises(Invalid, match=r"formats\.pickle"):
        run(client, fit)
    assert made == []
    client.writer.transact(
        lambda snapshot: Change(
            None, "Repair", files={paths.REGISTRY: codec.encode(replace(RegistryRecord(), format="1.2"))}
        )
    )
