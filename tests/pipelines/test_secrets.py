"""History is for ever, so secrets do not get into it: by what they are, by what they look like, by where they lie."""

import random
import string

import project
import pytest

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
from gitmodel.domain.credentials import credential_in, redacted

DEMO = ModelConfig(name="demo", create_new_model_version=True)
VALUE = "correct-horse-battery"

# Made from parts, so that no scanner takes this file for a leak.
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
def test_a_token_is_refused_before_anything_runs_naming_the_parameter(client, token):
    @pipeline
    def one(where):
        project.hand_over(token="x")

    @pipeline
    def two():
        project.hand_over({"deep": ["x", token]})

    with pytest.raises(Refused, match="where of pipeline one looks like a"):
        one.run(client=client, where=token)
    with pytest.raises(Refused, match="token of step hand_over looks like a") as caught:
        two.run(client=client)
    assert caught.value.hint == "pass it as gitmodel.Secret, which is never written"
    assert client.list_runs() == []
    assert token not in redacted(f"said {token} and more") or credential_in(token) == "a secret key"


@pytest.mark.parametrize("name", ["password", "api_key", "API-Key", "client_secret", "access_token"])
def test_a_parameter_with_the_name_of_a_secret_is_refused(client, name):
    @step(name="one")
    def take(options: dict) -> None: ...

    @pipeline
    def one():
        take({name: "hunter2"})

    with pytest.raises(Refused, match="by its name"):
        one.run(client=client)


def test_random_keys_are_found_and_words_are_not():
    letters = string.ascii_letters + string.digits + "+/"
    keys = ["".join(random.Random(seed).choices(letters, k=40)) for seed in range(500)]
    assert sum(bool(credential_in(key)) for key in keys) >= 495


def test_a_secret_is_written_nowhere_when_its_step_fails(client, written, caplog):
    @pipeline(model_config=DEMO)
    def one(token):
        project.betray(token)

    for executor in ("in-order", "processes:1"):
        with pytest.raises(RunFailed, match=r"cannot log in with \(secret\)") as caught:
            one.run(client=client, executor=executor, token=Secret(VALUE))
        assert VALUE not in caught.value.traceback
    assert VALUE not in written()
    assert VALUE not in caplog.text


def test_a_secret_is_not_logged_as_metadata(client, written):
    @pipeline(model_config=DEMO)
    def one(token):
        project.log_secret(token)

    with pytest.raises(RunFailed, match="holds the value of a Secret"):
        one.run(client=client, token=Secret(VALUE))
    assert VALUE not in written()


def test_the_parameter_is_recorded_as_a_secret(client):
    @pipeline
    def one(token):
        project.hand_over(token)

    run = one.run(client=client, token=Secret(VALUE))
    assert run.steps[0].parameters == {"token": "(secret)"}
    assert client.get_run(run.id).record.parameters == {"token": "(secret)"}


def test_a_step_with_a_secret_is_not_cached(client):
    @pipeline
    def one(token):
        project.hand_over(token)

    for _ in range(2):
        assert one.run(client=client, token=Secret(VALUE)).steps[0].status == "succeeded"
    assert not (client.repository.common_dir / "gitmodel" / "steps").exists()


def test_a_secret_within_a_table_is_refused(client):
    @pipeline
    def one():
        project.hand_over({"token": Secret(VALUE)})

    with pytest.raises(UsageError, match="cannot be recorded"):
        one.run(client=client)


@pytest.mark.parametrize(
    "plan",
    [
        lambda token: log_model_metadata(note=token),
        lambda token: log_model_metadata({"deep": {"note": ["x", token]}}),
        lambda token: log_model_metadata({"api_key": "x"}),
        lambda token: get_step_context().model_version.set_stage("staging", reason=token),
        lambda token: get_step_context().model_version.add_alias("champion", reason=token),
    ],
)
def test_tokens_in_metadata_and_reasons_are_left_out_and_the_run_stands(client, written, caplog, plan):
    token = TOKENS[1]

    @step
    def planning() -> None:
        plan(token)
        log_model_metadata(accuracy=0.9)

    @pipeline(model_config=DEMO)
    def one():
        planning()

    for status in ("succeeded", "cached"):
        caplog.clear()
        run = one.run(client=client)
        assert run.steps[0].status == status
        version = client.get_version(run.versions[0])
        assert version.metadata["accuracy"] == 0.9
        assert "of step planning looks like a" in caplog.text
        assert "is left out; the run goes on without it" in caplog.text
    assert token not in written() + caplog.text


def test_a_model_that_a_run_registers_is_described_without_them(client, written, caplog):
    @pipeline(model_config=ModelConfig(name="rose", create_new_model_version=True, license="MIT", audience=TOKENS[1]))
    def one():
        project.noop()

    one.run(client=client)
    assert (client.get_model("rose").license, client.get_model("rose").audience) == ("MIT", "")
    assert "audience of model rose looks like a GitHub token, and is left out" in caplog.text
    assert TOKENS[1] not in written()


def test_a_token_in_an_error_is_not_kept_even_locally(client, written, set_rules):
    set_rules(record_traceback=True)

    @pipeline
    def one():
        project.fail("cannot reach https://ada:" + "pw@example.com")

    with pytest.raises(Refused, match="message of step fail looks like a password in a URL"):
        one.run(client=client)

    @step
    def leak() -> None:
        raise RuntimeError("cannot reach https://ada:pw" + "@example.com")

    @pipeline
    def two():
        leak()

    with pytest.raises(RunFailed, match=r"cannot reach \(a password in a URL\)example.com"):
        two.run(client=client)
    assert "pw@example" not in written()
