"""Methods of the Python interface refuse invalid arguments: the error says what is wrong, and nothing changes.

The unusual arguments, such as None, nan, a cycle or a very long text, are in HOSTILE.
"""

import inspect
import shutil
import warnings

import editing
import numpy
import pytest
from expected_errors import error_with_hint

import gitmodel
from gitmodel import Artifact, Client, GitModelError, Model, ModelConfig, ModelVersion, RemoveStage, UsageError
from gitmodel.domain.arguments import checking as arguments
from gitmodel.pipelines.step_context.context import PlannedVersion

CYCLE: list = []
CYCLE.append(CYCLE)
DEEP: list = []
for _ in range(5_000):
    DEEP = [DEEP]
TABLE: dict = {}
for _ in range(5_000):
    TABLE = {"a": TABLE}
HOSTILE = {
    "None": None,
    "one": 1,
    "negative": -1,
    "float": 1.5,
    "nan": float("nan"),
    "huge": 10**5_000,
    "empty text": "",
    "space": " ",
    "bytes": b"x",
    "list": [],
    "list of None": [None],
    "mapping": {},
    "mapping of None": {"a": None},
    "mapping of numbers": {1: 2},
    "object": object(),
    "class": int,
    "cycle": CYCLE,
    "mapping of a cycle": {"a": CYCLE},
    "array": numpy.array([1.0, 2.0]),
    "mapping of an array": {"a": numpy.array([[1.0, 2.0]])},
    "deep": DEEP,
    "deep mapping": TABLE,
    "surrogate": "a\ud800",
    "surrogates": ["a\ud800"],
    "mapping of a surrogate": {"a": "\ud800"},
    "nul": "a\0b",
    "long": "a" * 100_000,
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return tmp_path_factory.mktemp("arguments") / "code"


@pytest.fixture
def client(template, code_repo, tmp_path):
    (tmp_path / "file.txt").write_text("text", encoding="utf-8")
    if not template.exists():
        with Client(code_repo) as made:
            iris = made.register_model("iris")
            iris.create_version(data={"train": tmp_path / "file.txt"})
            iris.create_version().set_stage("production")
            iris.get_version(1).add_alias("champion")
        shutil.copytree(code_repo, template)
    else:
        shutil.rmtree(code_repo)
        shutil.copytree(template, code_repo)
    with Client(code_repo) as client:
        yield client


def public_methods():
    for cls in (Client, Model, ModelVersion, Artifact):
        for name, function in vars(cls).items():
            if inspect.isfunction(function) and not name.startswith("_"):
                for parameter in list(inspect.signature(function).parameters.values())[1:]:
                    yield cls, name, parameter


def handles(client):
    version = client.get_version("iris@1")
    return {Client: client, Model: client.get_model("iris"), ModelVersion: version, Artifact: version.artifacts[0]}


def good(name, parameter, tmp_path):
    """Return a value of the right type for the parameter, so that only the tested parameter can be wrong."""
    known = {
        "path": tmp_path / "file.txt",
        "folder": tmp_path / "folder",
        "target": tmp_path / "target",
        "uri": tmp_path / "file.txt",
        "stage": "staging",
        "reference": "iris@1",
        "subject": "iris@1",
        "old": "iris@1",
        "new": "iris@2",
        "digest": "sha256:" + "0" * 64,
        "moment": "2020-01-01",
        "url": str(tmp_path / "store"),
        "message": "Change",
        "content": lambda: "x",
        "commits": "HEAD..HEAD",
        "commit": "HEAD",
        "edit": RemoveStage("staging"),
    }
    return known.get(parameter, "nothing")


def call(method, parameter, value, tmp_path):
    given, named = [], {}
    for other in inspect.signature(method).parameters.values():
        chosen = value if other.name == parameter.name else good(method.__name__, other.name, tmp_path)
        if other.kind is other.VAR_POSITIONAL:
            given += [value] if other.name == parameter.name else []
        elif other.kind is other.VAR_KEYWORD:
            named |= {"title": value} if other.name == parameter.name else {}
        elif other.name == parameter.name or other.default is other.empty:
            if other.kind is other.KEYWORD_ONLY:
                named[other.name] = chosen
            else:
                given.append(chosen)
        elif other.kind is other.POSITIONAL_OR_KEYWORD and parameter.kind is parameter.VAR_POSITIONAL:
            given.append(other.default)
    result = method(*given, **named)
    if inspect.isgenerator(result):
        list(result)
    elif hasattr(result, "__enter__") and not isinstance(result, Client):
        with result:
            pass


@pytest.mark.parametrize(
    ("cls", "name", "parameter"),
    [pytest.param(*found, id=f"{found[0].__name__}.{found[1]}.{found[2].name}") for found in public_methods()],
)
def test_every_method_accepts_an_unusual_argument_or_raises_an_error_that_names_the_fault(
    cls, name, parameter, client, tmp_path, monkeypatch
):
    common = client.repository.common_dir
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    before = editing.state(common)
    for kind, value in HOSTILE.items():
        try:
            error = refusal(getattr(handles(client)[cls], name), parameter, value, tmp_path)
        except Exception as fault:
            raise AssertionError(f"{kind}: {type(fault).__name__}: {fault}") from fault
        if error is None:
            before = editing.state(common)
        else:
            assert error.exit_code != 1, kind
            assert editing.state(common) == before, (kind, error)


def _ignore():
    """A function that does nothing. Tests pass it to `step` and `pipeline` with invalid arguments."""


def refusal(method, parameter, value, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call(method, parameter, value, tmp_path)
        except GitModelError as error:
            return error
    return None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda client, at: client.get_model("iris").get_version(""),
            "takes a number, name, stage or alias or None, n",
        ),
        (
            lambda client, at: client.find_garbage(grace_days=-1),
            "grace_days of Client.find_garbage takes a number from 0",
        ),
        (lambda client, at: client.remove_garbage(grace_days=-1), "takes a number from 0, not -1"),
        (lambda client, at: client.verify(jobs=0), "jobs of Client.verify takes a whole number from 1, not 0"),
        (lambda client, at: client.lineage("iris@1", depth=-1), "depth of Client.lineage takes a whole number from 0"),
        (lambda client, at: client.history(stage="production"), "'production' is given without a model"),
        (lambda client, at: client.register_model(None), "model of Client.register_model takes a name or a Model, not"),
        (lambda client, at: client.get_model(["iris"]), "name of Client.get_model takes text or None, not a list"),
        (lambda client, at: client.get_model("iris").rename(None), "new_name of Model.rename takes text, not None"),
        (
            lambda client, at: client.get_version("iris@1").add_alias(1),
            "alias of ModelVersion.add_alias takes text, not 1",
        ),
        (
            lambda client, at: client.get_model("iris").get_version(1.5),
            "takes a number, name, stage or alias or None, n",
        ),
        (lambda client, at: client.get_model("iris").create_version(metadata=[1]), "takes a mapping with text as keys"),
        (
            lambda client, at: client.get_model("iris").create_version(model_objects={"clf": object()}),
            "artifact clf is a builtins.object, which gitmodel cannot save",
        ),
        (
            lambda client, at: client.get_model("iris").create_version(model_objects={"clf": None}),
            "model_objects of Model.create_version takes a mapping of names to paths or objects or None, and 'clf' is",
        ),
        (lambda client, at: client.get_model("iris").create_version(metadata={"a": CYCLE}), "nested more than 8 deep"),
        (
            lambda client, at: client.get_version("iris@1").log_metadata(a=numpy.zeros(10**5)),
            "a holds an array of 100000",
        ),
        (
            lambda client, at: client.get_version("iris@1").link_artifact("new", ""),
            "source .* takes a path or an object or None, not ''",
        ),
        (
            lambda client, at: client.get_version("iris@1").link_artifact("new", at / "file.txt", format="nonsense"),
            "there is no format 'nonsense'; there are bytes, .*csv",
        ),
        (
            lambda client, at: client.get_version("iris@1").link_external("new", at / "file.txt", format="nonsense"),
            "there is no format 'nonsense'; there are bytes, .*csv",
        ),
        (
            lambda client, at: client.get_version("iris@1").link_artifact("new", at, format="csv"),
            "a folder cannot have",
        ),
        (lambda client, at: Client(1), "path of Client takes a path, not 1"),
        (lambda client, at: Model(1), "name of Model takes text, not 1"),
        (lambda client, at: Model("iris", title=1), "title"),
        (lambda client, at: Model("iris", tags=[None]), "tags"),
        (lambda client, at: client.get_model("iris").update(tags="red"), "tags"),
        (lambda client, at: client.propose(("iris@1",)), "promotions of Client.propose takes pairs"),
        (lambda client, at: ModelConfig(name=1), "name"),
        (lambda client, at: ModelConfig("iris"), "ModelConfig"),
        (lambda client, at: ModelConfig(name="iris", versoin=1), "versoin"),
        (lambda client, at: ModelConfig(name="iris", version=CYCLE), "version"),
        (lambda client, at: ModelConfig(name="iris", tags=CYCLE), "tags"),
        (lambda client, at: gitmodel.ArtifactConfig(name=1), "name of ArtifactConfig takes text or None, not 1"),
        (lambda client, at: gitmodel.ArtifactConfig(kind=[]), "kind of ArtifactConfig takes text, not a list"),
        (lambda client, at: gitmodel.ModelArtifactConfig(format=1), "format of ModelArtifactConfig takes text, not 1"),
        (lambda client, at: gitmodel.ExternalArtifact(1, "a"), "model of ExternalArtifact takes text, not 1"),
        (lambda client, at: gitmodel.ExternalArtifact("iris", None), "name of ExternalArtifact takes text, not None"),
        (lambda client, at: gitmodel.step(1), "not a function"),
        (lambda client, at: gitmodel.step(name=1), "name of step takes text or None, not 1"),
        (
            lambda client, at: gitmodel.step(enable_cache="no"),
            "enable_cache of step takes True or False or None, not 'no'",
        ),
        (lambda client, at: gitmodel.step(model_config="iris")(_ignore), "model_config"),
        (lambda client, at: gitmodel.pipeline(object()), "is not a function"),
        (lambda client, at: gitmodel.pipeline(name=b"x"), "name of pipeline takes text or None, not b'x'"),
        (lambda client, at: gitmodel.pipeline(on_failure=1), "on_failure"),
        (lambda client, at: gitmodel.pipeline(model_config={})(_ignore), "model_config"),
        (lambda client, at: gitmodel.log_model_metadata([1], version="iris@1"), "metadata of log_model_metadata"),
        (
            lambda client, at: gitmodel.log_model_metadata({"a": 1}, version=1),
            "version of log_model_metadata takes text",
        ),
        (lambda client, at: gitmodel.log_model_metadata({"a": CYCLE}, version="iris@1"), "nested more than"),
        (lambda client, at: gitmodel.log_artifact_metadata(artifact=1), "artifact of log_artifact_metadata takes text"),
        (lambda client, at: gitmodel.reproduce(None, "iris@1"), "client of reproduce takes a Client, not None"),
        (lambda client, at: gitmodel.reproduce(client, 1), "reference of reproduce takes text, not 1"),
    ],
)
def test_the_error_for_an_argument_names_the_argument_its_value_and_the_expected_type(client, tmp_path, call, said):
    with editing.refs_unchanged(client.repository.common_dir), error_with_hint(UsageError, said):
        call(client, tmp_path)


@pytest.mark.parametrize("kind", ["cycle", "mapping of a cycle", "deep", "array", "object", "surrogate", "huge"])
def test_a_pipeline_refuses_a_parameter_whose_value_cannot_be_recorded(client, kind):
    value = HOSTILE[kind]

    @gitmodel.step
    def keep(a) -> None: ...

    @gitmodel.pipeline
    def work(a):
        keep(a)

    with editing.refs_unchanged(client.repository.common_dir), pytest.raises(UsageError, match="parameter"):
        work.run(client=client, a=value)


def test_gitmodel_can_check_arguments_of_every_type_in_the_annotations_of_public_methods():
    own = {"Any", "Callable[[], str]"}
    for cls, name, parameter in public_methods():
        known = arguments._check_of(parameter.annotation) or parameter.annotation in own
        assert known, f"{cls.__name__}.{name}: {parameter}"


@pytest.mark.parametrize(
    ("call", "said", "hint"),
    [
        (
            lambda model: model.get_version(1).set_stage("production", "best auc"),
            "ModelVersion.set_stage takes stage by position, and nothing else",
            "write reason='best auc'; the arguments that need a name are reason, force, leave",
        ),
        (
            lambda model: PlannedVersion.set_stage(None, "production", "best auc"),
            "PlannedVersion.set_stage takes stage by position, and nothing else",
            "write reason='best auc'; the arguments that need a name are reason, force, leave",
        ),
        (
            lambda model: model.create_version("1.0", {"clf": "model.skops"}),
            "Model.create_version takes name by position, and nothing else",
            "the arguments that need a name are description, tags, metadata, data, model_objects, ",
        ),
        (
            lambda model: object.__new__(Client).get_version("iris", "production"),
            "Client.get_version takes reference by position, and nothing else",
            'write get_version("demo@3") or get_version("demo@production")',
        ),
        (
            lambda model: object.__new__(Client).register_model(name="iris"),
            "Client.register_model has no argument name",
            'write register_model("demo", license="MIT")',
        ),
        (
            lambda model: model.get_version(1).set_stage("production", reson="best"),
            "ModelVersion.set_stage has no argument reson",
            "did you mean reason?",
        ),
        (
            lambda model: model.get_version(1).set_stage(),
            "ModelVersion.set_stage: missing a required argument: 'stage'",
            "its arguments are stage, reason, force, leave",
        ),
        (
            lambda model: model.get_version(1).get_artifact("m", nonsense=1),
            "ModelVersion.get_artifact has no argument nonsense",
            "its arguments are ",
        ),
        (
            lambda model: Model(name="iris", version="production"),
            "Model has no argument version",
            'write model_config=ModelConfig(name="demo", version="production")',
        ),
    ],
)
def test_a_call_with_a_missing_or_unknown_argument_raises_an_error_that_names_the_argument(client, call, said, hint):
    model = client.register_model("demo")
    model.create_version()
    with editing.refs_unchanged(client.repository.common_dir):
        with pytest.raises(UsageError) as caught:
            call(model)
        assert said in caught.value.message
        assert hint in caught.value.hint
        assert isinstance(caught.value, TypeError)  # also a TypeError, as Python raises for such a call


def test_a_method_that_takes_a_list_reads_an_iterator_once_and_checks_its_items(client):
    client.add_stage("canary", after=(name for name in ["staging"]))
    assert client.list_stages()[-1].rule.after == ("staging",)
    with pytest.raises(UsageError, match="takes a list of texts"):
        client.update_stage("canary", after=iter([1]))


def test_a_type_error_from_inside_a_method_is_not_reported_as_a_wrong_argument():
    @arguments.checked
    def add(one: str) -> str:
        return one + 1  # type: ignore[operator]

    with pytest.raises(TypeError, match="can only concatenate"):
        add("1")
