"""Before the first step, gitmodel checks for problems with which the run could not end, and reports all in one error.

Examples are an output type that cannot be saved, a missing package, and a store or server that refuses writes.
"""

import enum
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any, Optional, Protocol

import numpy
import pandas
import project
import pytest
from project import DEMO, pipeline_of
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from gitmodel import (
    ArtifactConfig,
    Client,
    Conflict,
    ModelConfig,
    NotFound,
    Refused,
    Unreachable,
    UsageError,
    pipeline,
    step,
)
from gitmodel.cli import run as run_program
from gitmodel.formats import materializers
from gitmodel.formats.catalogue import plugins
from gitmodel.formats.declared_types import without_format
from gitmodel.pipelines import Materializer


class Net:
    """A class without a format."""


class Base:
    """A class whose subclass has a format."""


@dataclass
class Options(Base):
    depth: int = 1


class Mode(enum.Enum):
    FAST = 1


class Speaks(Protocol):
    def speak(self) -> None: ...


@pytest.fixture
def refused(client):
    """A function that runs a pipeline whose last step has the output type *hint*, and returns the error.

    The test fails if the run is not refused, or if a step ran before the refusal.
    """

    def refused_(hint, error=UsageError, config=DEMO, using=client, **options):
        ran = []

        @step(enable_cache=False)
        def load() -> Annotated[int, "rows"]:
            ran.append("load")
            return 1

        def fit(rows: int):
            ran.append("fit")

        fit.__annotations__["return"] = hint
        fitting = step(**options)(fit)

        before = using.repository.tip()
        with pytest.raises(error) as caught:
            pipeline_of(lambda: fitting(load()), model_config=config).run(client=using)
        assert ran == []
        assert using.repository.tip() == before
        return caught.value

    return refused_


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (Net, "Net"),
        (Net | None, "Net"),
        (Optional[Annotated[Net, "clf"]], "Net"),  # noqa: UP045 (people write it)
        (list[Net], "Net"),
        (dict[str, list[Net]], "Net"),
        (dict[str, pandas.DataFrame], "pandas.DataFrame"),
        (list[LogisticRegression], "LogisticRegression"),
    ],
)
def test_an_output_of_a_type_without_a_format_is_refused(refused, hint, kind):
    error = refused(Annotated[hint, "clf"])
    assert error.message.startswith("the output clf of step fit is of the type ")
    assert error.message.endswith(f"{kind}, which gitmodel cannot save")
    assert "write @step(pickle=True) to allow pickle for it" in error.hint


def test_a_dataclass_inside_a_function_is_refused_with_the_reason(refused):
    @dataclass
    class Local:
        depth: int

    assert "Local, which is defined inside a function, which gitmodel cannot save" in refused(Local).message


@pytest.mark.parametrize(
    "hint",
    [
        *(Any, object, Base, Mode, Options, Speaks, Path, None, "Net | int", BaseEstimator, LogisticRegression),
        *(int | Net, dict, dict[str, Any], dict[str, numpy.ndarray], tuple[int, ...], list[float | None], list[Base]),
        *(numpy.float64, pandas.Series, pandas.Timestamp, set[int], dict[str, tuple[Mode, Options]]),
    ],
)
def test_a_type_that_may_have_a_format_is_accepted(hint):
    assert without_format(eval(hint) if isinstance(hint, str) else hint) == ""


def test_the_check_of_a_type_and_the_saving_of_its_values_choose_the_same_format(tmp_path):
    found = [
        *("text", b"bytes", 1, {"a": 1}, [1], Mode.FAST, Options(), numpy.arange(2), numpy.float64(1)),
        *(
            pandas.DataFrame({"a": [1]}),
            pandas.Series([1]),
            pandas.Timestamp(0),
            LogisticRegression().fit([[0], [1]], [0, 1]),
        ),
    ]
    for value in found:
        format, _, _ = materializers.save(value, tmp_path / "x", "output", "")
        assert materializers.format_of_type(type(value)) == format, value


def test_an_output_with_pickle_or_a_registered_materializer_may_have_any_type(refused, client, monkeypatch):
    @pipeline(model_config=DEMO)
    def train(allow: bool):
        (step(pickle=True)(fit) if allow else step(fit))()

    def fit() -> Annotated[Net, "net"]:
        return Net()

    assert train.run(client=client, allow=True).status == "succeeded"
    own = Materializer(
        "net",
        lambda value: type(value) is Net,
        "net",
        save=lambda value, path: path.write_text("net"),
        load=lambda path: Net(),
    )
    monkeypatch.setitem(plugins._registered_materializers, "net", own)
    assert train.run(client=client, allow=False).status == "succeeded"


def test_a_format_that_does_not_exist_is_refused(refused):
    assert "there is no format 'protobuf'" in refused(Annotated[dict, ArtifactConfig("clf", format="protobuf")]).message


def test_all_missing_packages_are_named_with_one_line_to_install_them(refused, monkeypatch):
    for package in ("skops", "pyarrow"):
        monkeypatch.setitem(sys.modules, package, None)
    hint = tuple[Annotated[LogisticRegression, "clf"], Annotated[pandas.DataFrame, "train"], Annotated[int, "n"]]
    error = refused(hint)
    assert error.message == (
        "packages are not installed: skops for the output clf of step fit, pyarrow for the output train of step fit"
    )
    assert error.hint == "pip install skops pyarrow"


def test_a_missing_package_of_a_chosen_format_is_refused(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert refused(Annotated[object, ArtifactConfig("clf", format="joblib")]).hint == "pip install joblib"


def test_a_missing_package_of_an_input_is_refused_before_the_first_step(client, refused, monkeypatch):
    client.register_model("data").create_version(data={"train": pandas.DataFrame({"a": [1]})})
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    @step
    def use(train: pandas.DataFrame) -> int:
        return 1

    with pytest.raises(UsageError, match="pyarrow for the input train of step use"):
        pipeline_of(lambda: use("data@1:train"), name="train").run(client=client)


@pytest.mark.parametrize("package", ["skops", "pyarrow", "cloudpickle", "joblib"])
def test_the_check_names_each_package_that_saving_would_need(tmp_path, monkeypatch, package):
    value, format = {
        "skops": (LogisticRegression(), "skops"),
        "pyarrow": (pandas.DataFrame({"a": [1]}), "parquet"),
        "cloudpickle": (1, "cloudpickle"),
        "joblib": (1, "joblib"),
    }[package]
    assert plugins.missing_packages(format) == []
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"needs the package {package}"):
        materializers.save(value, tmp_path / "x", "output", "" if format in ("skops", "parquet") else format)
    assert plugins.missing_packages(format) == [package]


def test_a_plug_in_that_cannot_be_imported_is_refused_before_it_is_needed(refused, monkeypatch):
    broken = EntryPoint("net", "no_such_module:NET", "gitmodel.materializers")
    monkeypatch.setattr(plugins, "_entry_points", lambda group: [broken] if group == plugins.MATERIALIZERS else [])
    plugins._installed_materializers.cache_clear()
    try:
        error = refused(Net)
        assert "the materializer net cannot be imported from no_such_module:NET" in error.message
        assert error.hint == "repair or remove the package that provides it"
        with pytest.raises(UsageError, match="the materializer net cannot be imported"):
            materializers.save(Net(), Path("never"), "output", "", pickle=True)  # fails although pickle is allowed
    finally:
        plugins._installed_materializers.cache_clear()


def test_a_run_without_a_git_name_and_e_mail_is_refused_before_its_first_step(
    code_repo, refused, monkeypatch, hermetic
):
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    config = hermetic / "nobody"
    config.write_text("[user]\n\tuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with Client(code_repo) as nobody:
        error = refused(int, using=nobody)
    assert "git config --global user.name" in error.hint


@pytest.mark.parametrize("own_store", [False, True], ids=["the default store", "the model's own store"])
def test_a_store_without_write_permission_is_refused_before_the_first_step(
    client, code_repo, refused, monkeypatch, own_store, tmp_path
):
    assert client.store.put_stream  # opens the store while it is still writable
    if own_store:
        client.register_model("demo")
        assert run_program(["store", "add", "large", (tmp_path / "large").as_uri()]) == 0
        assert run_program(["store", "use", "demo", "large"]) == 0
        (tmp_path / "large" / "tmp").rmdir()
        # a file in place of the folder, because the user root may write to any folder
        (tmp_path / "large" / "tmp").touch()
        assert str(tmp_path / "large" / "tmp") in refused(int, Unreachable).message
    else:
        monkeypatch.setenv("GITMODEL_STORE_READ_ONLY", "1")
        with Client(code_repo) as reader:
            assert "is read-only on this machine" in refused(int, Refused, using=reader).message


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (ModelConfig(name="nobody"), NotFound),
        (ModelConfig(name="demo", version="production"), NotFound),
        (ModelConfig(name="demo", version="first", create_new_model_version=True), Conflict),
        (ModelConfig(name="gone", create_new_model_version=True), NotFound),
    ],
)
def test_a_model_or_version_that_cannot_be_used_is_refused(client, refused, config, error):
    client.register_model("demo").create_version("first")
    client.register_model("gone")
    client.delete_model("gone")
    refused(int, error, config=config)


def test_a_server_that_refuses_pushes_is_reported_before_the_first_step(
    client, code_repo, refused, git, hermetic, tmp_path
):
    client.register_model("demo")
    store = client.store.url
    (hermetic / ".gitconfig").touch()
    git(".", "config", "--global", f"url.{(tmp_path / 'nowhere').as_uri()}.pushInsteadOf", code_repo.as_uri())
    with Client(repo=code_repo.as_uri(), store=store) as by_url:
        assert "cannot be pushed to" in refused(int, Unreachable, using=by_url).message


def hide(name):
    """Make the module *name* impossible to import in this Dask worker."""
    sys.modules["hidden"] = sys.modules.get(name)
    sys.modules[name] = None


def show(name):
    """Undo `hide`."""
    found = sys.modules.pop("hidden")
    del sys.modules[name]
    if found is not None:
        sys.modules[name] = found


@pytest.mark.xdist_group("dask")
@pytest.mark.parametrize("missing", ["joblib", "gitmodel.formats.catalogue.plugins"])
def test_a_package_that_a_dask_worker_misses_is_refused_before_the_first_step(client, cluster, missing):
    worker = sorted(cluster.scheduler_info()["workers"])[-1]
    cluster.run(hide, missing, workers=[worker])
    try:
        with pytest.raises(UsageError) as caught:
            pipeline_of(project.in_joblib, model_config=DEMO).run(client=client, executor=cluster)
    finally:
        cluster.run(show, missing, workers=[worker])
    if missing == "joblib":
        assert caught.value.message == (
            f"packages are not installed on the worker {worker}: joblib for the output number of step in_joblib"
        )
        assert caught.value.hint == f"pip install joblib on the worker {worker}"
    else:
        assert f"the worker {worker} cannot run steps: " in caught.value.message
    assert len(client.list_runs()) == 0


def test_all_problems_before_a_run_are_reported_in_one_error(client, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = refused(
        tuple[Annotated[Net, "net"], Annotated[pandas.DataFrame, "train"]], NotFound, config=ModelConfig(name="nobody")
    )
    assert error.message.startswith(
        "3 problems would stop the run: (1) there is no model nobody; (2) the output net of "
    )
    assert error.message.endswith("; (3) packages are not installed: pyarrow for the output train of step fit")
    assert error.hint.endswith("(3) pip install pyarrow")
