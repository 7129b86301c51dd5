"""No record, log or file contains a secret: the value of a `Secret`, or a text that looks like a credential."""

import base64
import random
import string
import threading
from dataclasses import dataclass
from typing import Annotated

import project
import pytest
from project import DEMO, pipeline_of

from gitmodel import (
    ModelConfig,
    Refused,
    RunFailed,
    Secret,
    UsageError,
    get_step_context,
    log_model_metadata,
    pipeline,
    step,
)
from gitmodel.cli import run as run_program
from gitmodel.domain.secrets.credentials import credential_in, redacted

VALUE = "correct-horse-battery"

# The tokens are joined from parts, so that no scanner reports this file as a leak of credentials.
TOKENS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2c" * 10,
    "glpat-" + "a1B2" * 5,
    "xoxb-" + "1234567890-abc",
    "hf_" + "aB3" * 10,
    "AIza" + "a1B2c" * 7,
    "sk_live_" + "a1B2" * 4,
    "sk-" + "a1B2" * 5,
    "npm_" + "a1B2" * 9,
    "pypi-" + "a1B2" * 13,
    "AccountKey=" + "a1B2" * 10 + "==",
    "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".x",
    "Bearer " + "a1B2" * 6,
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "postgresql://ada:" + "pw@db.example.com/x",
    "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
]


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:8])
def test_a_parameter_with_a_token_is_refused_before_anything_runs_and_the_error_names_it(client, token):
    one = pipeline_of(lambda where: project.hand_over(token="x"))
    two = pipeline_of(lambda: project.hand_over({"deep": ["x", token]}), name="two")
    with pytest.raises(Refused, match="where of pipeline one looks like a"):
        one.run(client=client, where=token)
    with pytest.raises(Refused, match="token of step hand_over looks like a") as caught:
        two.run(client=client)
    assert caught.value.hint == "pass it as gitmodel.Secret, which is never written"
    assert len(client.list_runs()) == 0
    assert token not in redacted(f"said {token} and more") or credential_in(token) == "a secret key"


@pytest.mark.parametrize("name", ["password", "api_key", "API-Key", "client_secret", "access_token"])
def test_a_parameter_with_the_name_of_a_secret_is_refused(client, name):
    @step(name="one")
    def take(options: dict) -> None: ...

    with pytest.raises(Refused, match="by its name"):
        pipeline_of(lambda: take({name: "hunter2"})).run(client=client)


def test_random_keys_are_recognized_as_credentials():
    letters = string.ascii_letters + string.digits + "+/"
    keys = ["".join(random.Random(seed).choices(letters, k=40)) for seed in range(500)]
    assert sum(bool(credential_in(key)) for key in keys) >= 495


def test_a_secret_is_written_nowhere_when_its_step_fails(client, written, caplog):
    one = pipeline_of(lambda token: project.betray(token), model_config=DEMO)
    for executor in ("in-order", "processes:1"):
        with pytest.raises(RunFailed, match=r"cannot log in with \(secret\)") as caught:
            one.run(client=client, executor=executor, token=Secret(VALUE))
        assert VALUE not in caught.value.traceback
    assert VALUE not in written()
    assert VALUE not in caplog.text


def test_a_secret_is_not_logged_as_metadata(client, written):
    with pytest.raises(RunFailed, match="holds the value of a Secret"):
        pipeline_of(lambda token: project.log_secret(token), model_config=DEMO).run(client=client, token=Secret(VALUE))
    assert VALUE not in written()


def test_the_record_of_a_run_shows_that_a_parameter_is_a_secret_but_not_its_value(client):
    run = pipeline_of(lambda token: project.hand_over(token)).run(client=client, token=Secret(VALUE))
    assert run.steps[0].parameters == {"token": "(secret)"}
    assert client.get_run(run.id).record.parameters == {"token": "(secret)"}


def test_a_step_with_a_secret_is_not_cached(client):
    one = pipeline_of(lambda token: project.hand_over(token))
    for _ in range(2):
        assert one.run(client=client, token=Secret(VALUE)).steps[0].status == "succeeded"
    assert not (client.repository.common_dir / "gitmodel" / "steps").exists()


def test_a_secret_within_a_table_is_refused(client):
    with pytest.raises(UsageError, match="cannot be recorded"):
        pipeline_of(lambda: project.hand_over({"token": Secret(VALUE)})).run(client=client)


@pytest.mark.parametrize(
    ("plan", "second"),
    [
        (lambda token: log_model_metadata(note=token), "cached"),
        (lambda token: log_model_metadata({"deep": {"note": ["x", token]}}), "cached"),
        (lambda token: log_model_metadata({"api_key": "x"}), "cached"),
        (lambda token: get_step_context().model_version.set_stage("staging", reason=token), "succeeded"),
        (lambda token: get_step_context().model_version.add_alias("champion", reason=token), "succeeded"),
    ],
)
def test_tokens_in_metadata_and_reasons_are_left_out_and_the_run_succeeds(client, written, caplog, plan, second):
    token = TOKENS[1]

    @step
    def planning() -> None:
        plan(token)
        log_model_metadata(accuracy=0.9)

    for status in ("succeeded", second):
        caplog.clear()
        run = pipeline_of(planning, model_config=DEMO).run(client=client)
        assert run.steps[0].status == status
        version = client.get_version(run.versions[0])
        assert version.metadata["accuracy"] == 0.9
        assert "of step planning looks like a" in caplog.text
        assert "is left out; the run continues without it" in caplog.text
    assert token not in written() + caplog.text


def test_the_description_of_a_model_that_a_run_registers_has_no_secrets(client, written, caplog):
    @pipeline(model_config=ModelConfig(name="rose", create_new_model_version=True, license="MIT", audience=TOKENS[1]))
    def one():
        project.noop()

    one.run(client=client)
    assert (client.get_model("rose").license, client.get_model("rose").audience) == ("MIT", "")
    assert "audience of model rose looks like a GitHub token, and is left out" in caplog.text
    assert TOKENS[1] not in written()


def test_a_token_in_an_error_is_not_kept_even_locally(client, written, set_rules):
    set_rules(record_traceback=True)
    one = pipeline_of(lambda: project.fail("cannot reach https://ada:" + "pw@example.com"))
    with pytest.raises(Refused, match="message of step fail looks like a password in a URL"):
        one.run(client=client)

    @step
    def leak() -> None:
        raise RuntimeError("cannot reach https://ada:pw" + "@example.com")

    two = pipeline_of(leak, name="two")
    with pytest.raises(RunFailed, match=r"cannot reach \(a password in a URL\)example.com"):
        two.run(client=client)
    assert "pw@example" not in written()


BODIES = {
    "the value": lambda token: project.hand_over(Secret(token)),
    "a text with it": lambda token: project.hand_over(Secret(f"Bearer {token}")),
    "beside a plain use": lambda token: [project.hand_over(Secret(token)), project.hand_over(f"https://x/{token}")],
    "after a plain use": lambda token: [project.hand_over(token), project.hand_over(Secret(token))],
    "never passed on": lambda token: [Secret(token), project.hand_over("x")],
    "made twice": lambda token: project.hand_over(Secret(Secret(token))),
    "in a table": lambda token: [project.hand_over({"deep": [token]}), project.hand_over(Secret(token))],
}


@step
def log_in_by(token: str, also: str = "", deep: dict | None = None) -> int:
    Secret("pre" + token)
    return len(token)


@step
def fail_by(token: str) -> None:
    made = []
    thread = threading.Thread(target=lambda: made.append(Secret(f"Bearer {token}")))
    thread.start()
    thread.join()
    raise RuntimeError(f"cannot log in with {token}")


@step
def tell_by(token: str) -> None:
    Secret(token)
    log_model_metadata(note=f"with {token}")


PARTS = {
    "a longer secret": lambda token: [Secret("pre" + token), project.hand_over(token)],
    "another text with the part": lambda token: [Secret("pre" + token), project.hand_over(f"{token}:suffix")],
    "before the secret is made": lambda token: [project.hand_over(f"{token}:suffix"), Secret("pre" + token)],
    "in a list": lambda token: [Secret("pre" + token), project.hand_over([1, [f"x{token}"]])],
    "in a table, as a key": lambda token: [Secret("pre" + token), project.hand_over({f"{token}x": {"deep": token}})],
    "in the body of the step": lambda token: log_in_by(token),
    "in the body of the step, and more": lambda token: log_in_by(token, f"{token}:suffix", {"a": [f"x{token}"]}),
    "in the body of the step, and another": lambda token: [
        project.hand_over(f"{token}:suffix"),
        log_in_by(token),
        project.hand_over([token]),
    ],
}


@pytest.mark.parametrize("body", PARTS)
@pytest.mark.parametrize("executor", ["in-order", "threads", "processes:1"])
def test_the_source_of_a_secret_is_not_recorded_as_a_parameter(client, written, caplog, body, executor):
    one = pipeline_of(lambda token, rate: PARTS[body](token))
    run = one.run(client=client, executor=executor, token=VALUE, rate=0.5)
    assert client.get_run(run.id).record.parameters == {"token": "(secret)", "rate": 0.5}
    assert VALUE not in written() + caplog.text


@pytest.mark.parametrize("executor", ["in-order", "processes:1"])
def test_a_secret_made_in_a_step_is_not_in_its_error(client, written, caplog, set_rules, executor):
    set_rules(record_traceback=True)
    with pytest.raises(RunFailed, match=r"cannot log in with \(secret\)"):
        pipeline_of(lambda token: fail_by(token)).run(client=client, executor=executor, token=VALUE)
    assert VALUE not in written() + caplog.text


def test_a_secret_that_a_step_makes_cannot_be_logged_as_metadata(client, written):
    with pytest.raises(RunFailed, match="holds the value of a Secret"):
        pipeline_of(lambda token: tell_by(token), model_config=DEMO).run(client=client, token=VALUE)
    assert VALUE not in written()


def test_metadata_of_an_earlier_step_is_refused_if_a_later_step_makes_a_secret_of_it(client, git):
    @step
    def tell(token: str) -> int:
        log_model_metadata(note=f"with {token}")
        return 1

    @step
    def make(token: str, told: int) -> None:
        Secret(token)

    with pytest.raises(Refused, match="holds the value of a Secret"):
        pipeline_of(lambda token: make(token, tell(token)), model_config=DEMO).run(client=client, token=VALUE)
    assert VALUE not in git(client.repository.common_dir, "log", "-p", "--all")


def test_a_dataclass_with_a_secret_in_it_is_recorded_without_its_value(client, written):
    @dataclass
    class Login:
        token: str

    @step
    def log_in(login: Login) -> int:
        return len(login.token)

    run = pipeline_of(lambda token: (Secret(token), log_in(Login(token)))).run(client=client, token=VALUE)
    assert run.steps[0].parameters == {"login": "(secret)"}
    assert VALUE not in written()


class TestASecretMadeInTheBody:
    """The body of a pipeline makes a Secret from one of its parameters: then this parameter is a secret, too."""

    @pytest.mark.parametrize("body", BODIES)
    @pytest.mark.parametrize("executor", ["in-order", "processes:1"])
    def test_a_parameter_that_becomes_a_secret_is_in_no_record_or_log(self, client, written, caplog, body, executor):
        for _ in range(2):
            run = pipeline_of(lambda token: BODIES[body](token)).run(client=client, executor=executor, token=VALUE)
            assert client.get_run(run.id).record.parameters == {"token": "(secret)"}
            assert all(step.status == "succeeded" for step in run.steps if "(secret)" in step.parameters.values())
        assert VALUE not in written() + caplog.text

    @pytest.mark.parametrize("value", [123456789, {"user": "ada", "password": VALUE}, ["x", VALUE], TOKENS[1]])
    def test_a_parameter_that_becomes_a_secret_is_not_recorded_whatever_its_value(self, client, written, value):
        run = pipeline_of(lambda given: (Secret(given), project.noop())).run(client=client, given=value)
        assert client.get_run(run.id).record.parameters == {"given": "(secret)"}
        assert VALUE not in written()
        assert TOKENS[1] not in written()

    def test_parameters_beside_one_that_becomes_a_secret_are_recorded(self, client):
        one = pipeline_of(lambda token, rate, name: project.hand_over(Secret(token)))
        run = one.run(client=client, token=VALUE, rate=0.5, name="iris")
        parameters = {"token": "(secret)", "rate": 0.5, "name": "iris"}
        assert client.get_run(run.id).record.parameters == parameters

    def test_a_credential_is_accepted_if_the_body_makes_it_a_secret(self, client):
        one = pipeline_of(lambda password: project.hand_over(Secret(password)))
        assert one.run(client=client, password=TOKENS[1]).status == "succeeded"

    def test_a_parameter_that_becomes_a_secret_is_not_printed_by_run_and_reproduce(
        self, client, code_repo, written, git, capfd
    ):
        (code_repo / "secretive.py").write_text(
            "from gitmodel import ModelConfig, Secret, pipeline, step\n\n"
            "@step\ndef log_in(token: str) -> int:\n    return len(token)\n\n"
            "@pipeline(model_config=ModelConfig(name='demo', create_new_model_version=True))\n"
            "def one(k):\n    log_in(Secret(k))\n",
            encoding="utf-8",
        )
        git(code_repo, "add", "secretive.py")
        git(code_repo, "commit", "-qm", "secretive")
        assert run_program(["run", "secretive.py:one", "--param", f"k={VALUE}"]) == 0
        assert run_program(["runs", "list", "--format", "json"]) == 0
        assert VALUE not in written() + "".join(capfd.readouterr())
        assert run_program(["reproduce", "demo@1"]) == 2
        assert "parameter k of run" in capfd.readouterr().err
        assert run_program(["reproduce", "demo@1", "--param", f"k={VALUE}"]) == 0
        assert VALUE not in written() + "".join(capfd.readouterr())

    def test_a_parameter_that_becomes_a_secret_is_not_in_the_error_of_another_step(
        self, client, written, caplog, set_rules
    ):
        set_rules(record_traceback=True)

        @step
        def other() -> None:
            raise RuntimeError(f"cannot log in with {VALUE}")

        with pytest.raises(RunFailed, match=r"cannot log in with \(secret\)") as caught:
            pipeline_of(lambda token: (project.hand_over(Secret(token)), other())).run(client=client, token=VALUE)
        assert VALUE not in written() + caplog.text + caught.value.traceback

    def test_a_parameter_that_becomes_a_secret_is_not_logged_by_another_step(self, client, written):
        @step
        def other() -> None:
            log_model_metadata(note=f"with {VALUE}")

        one = pipeline_of(lambda token: (project.hand_over(Secret(token)), other()), model_config=DEMO)
        with pytest.raises(RunFailed, match="holds the value of a Secret"):
            one.run(client=client, token=VALUE)
        assert VALUE not in written()


@pytest.mark.parametrize(
    "returned",
    [
        lambda token, folder: token,
        lambda token, folder: {"deep": [f"with {token}"]},
        lambda token, folder: base64.b64encode(token.encode()).decode(),
        lambda token, folder: written_to(folder / "a.bin", b"\0" * (1 << 20) + token.encode()),
        lambda token, folder: written_to(folder / "a.bin", b"\0" * ((1 << 20) - 5) + token.encode()),
        lambda token, folder: written_to(folder / "deep" / token, b"").parent,
    ],
)
def test_a_secret_is_not_kept_in_an_output(client, written, tmp_path, returned):
    @step
    def leak(token: str) -> Annotated[object, "leak"]:
        return returned(token, tmp_path)

    with pytest.raises(RunFailed, match="the output leak holds the value of a Secret"):
        pipeline_of(lambda token: leak(token)).run(client=client, token=Secret(VALUE))
    assert VALUE not in written()


def written_to(file, content):
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return file
