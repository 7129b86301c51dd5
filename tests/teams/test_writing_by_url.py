"""Writing to a registry by URL: many writers at the same time, cut connections, and CI jobs that run again."""

import os
import subprocess
import threading

import pytest
from hosting import write_hook
from servers import REQUESTS
from teamwork import assert_sound, refs, source

from gitmodel import Client, Conflict, NotFound, Refused, Unreachable, UsageError
from gitmodel.branch.transactions.new_commits import add_commit
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import messages
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.registry import setup
from gitmodel.registry.writing.transacting import transact

GITHUB = {"GITHUB_RUN_ID": "71", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "train"}


def numbers(client):
    return [version.number for version in client.get_model("iris").versions]


def all_at_once(works):
    """Run *works* in threads that start at the same time. Return the errors that they raised."""
    failed, gate = [], threading.Barrier(len(works))

    def run(work):
        gate.wait()
        try:
            work()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def test_every_change_that_works_in_a_clone_works_by_url(team, job, ada, bare):
    rose = job.register_model("rose", license="MIT", tags=["new"])
    made = rose.create_version("1.0", data={"train": source(team, "roses")}, metadata={"accuracy": 0.5})
    assert (made.number, made.name, made.stage) == (1, "1.0", None)
    made.log_metadata(checked=True)
    made.add_alias("champion")
    made.set_stage("staging", reason="first one")
    rose.create_version().set_stage("staging")
    assert rose.rollback("staging").number == 1
    rose.demote("staging")
    rose.get_version(2).delete(reason="no use")
    made.remove_alias("champion")
    job.update_model("rose", new_name="tulip", add_tags=["renamed"])
    with job.transaction("Move iris on") as change:
        version = change.get_model("iris").create_version(metadata={"batch": 1})
        version.set_stage("production")
    assert (version.number, version.stage) == (4, "production")
    job.delete_model("tulip", force=True)
    assert_sound(bare)
    ada.pull()
    assert refs(bare) == refs(ada.repository.common_dir)
    assert ada.get_version("iris@production").metadata == {"batch": 1}
    assert [model.name for model in ada.list_models()] == ["iris"]


def test_a_handle_from_a_stage_tag_sees_its_own_changes(team, host):
    version = team.by_url("job", host.registry).get_version("iris@production")
    assert version.frozen
    version.log_metadata(checked=True)
    assert (version.frozen, version.metadata) == ("", {"accuracy": 0.2, "checked": True})


def test_the_first_write_by_url_creates_the_registry(team, tmp_path, git):
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    url = (tmp_path / "empty.git").as_uri()
    failed = all_at_once([lambda name=name: team.by_url(name, url).register_model(name) for name in ("rose", "tulip")])
    assert failed == []
    assert [model.name for model in team.by_url("c", url).list_models()] == ["rose", "tulip"]
    assert git(tmp_path / "empty.git", "rev-list", "--count", "gitmodel") == "3"
    assert_sound(tmp_path / "empty.git")


def test_by_url_the_error_for_a_missing_shared_store_shows_how_to_set_one(team, tmp_path, git):
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    job = team.by_url("job", (tmp_path / "empty.git").as_uri())
    rose = job.register_model("rose")
    with pytest.raises(Unreachable, match="has no artifact store that others can reach") as error:
        rose.create_version(data={"train": source(team, "roses")})
    assert error.value.exit_code == 7
    assert "init --store URL" in error.value.hint
    assert "GITMODEL_STORE" in error.value.hint
    assert rose.create_version(metadata={"rows": 1}).number == 1
    setup.begin(job.repository, store=team.store)
    again = team.by_url("job", (tmp_path / "empty.git").as_uri())
    version = again.get_model("rose").create_version(data={"train": source(team, "roses")})
    assert version.get_artifact("train").open().read() == b"roses"


def test_twenty_concurrent_jobs_all_succeed(team, ada, bare):
    # The URL is file:, because thousands of requests to an HTTP server would be slow. The writers compete in the same
    # way.
    jobs = [team.by_url(f"job{number}", bare.as_uri(), timeout=300) for number in range(20)]
    made = []

    def work(job, number):
        made.append(job.get_model("iris").create_version(metadata={"job": number}).number)

    assert all_at_once([lambda job=job, n=n: work(job, n) for n, job in enumerate(jobs)]) == []
    assert sorted(made) == list(range(4, 24))
    last = team.by_url("last", bare.as_uri())
    assert sorted(v.metadata["job"] for v in last.get_model("iris").versions[3:]) == list(range(20))
    assert_sound(bare)


@pytest.mark.parametrize("count", [5, pytest.param(20, marks=pytest.mark.soak)])
def test_concurrent_jobs_all_succeed_over_http(team, ada, host, bare, count):
    jobs = [team.by_url(f"job{number}", host.registry, timeout=600) for number in range(count)]
    assert all_at_once([lambda job=job: job.get_model("iris").create_version() for job in jobs]) == []
    assert numbers(jobs[0]) == list(range(1, 4 + count))
    assert_sound(bare)


def test_jobs_that_share_a_cache_all_succeed(team, host, bare):
    jobs = [team.by_url("shared", host.registry) for _ in range(5)]
    assert all_at_once([lambda job=job: job.get_model("iris").create_version() for job in jobs]) == []
    assert numbers(jobs[0]) == list(range(1, 9))
    assert_sound(bare)


def test_processes_that_share_a_cache_all_succeed(team, host, bare, tmp_path):
    team.by_url("shared", host.registry)
    environ = {**team.environ("shared"), "XDG_CACHE_HOME": str(tmp_path / "cache-shared")}
    command = ["git-model", "--repo", host.registry, "-q", "version", "create", "iris"]
    jobs = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(3)
    ]
    said = [(*job.communicate(), job.returncode) for job in jobs]
    assert sorted(said) == [(f"iris@{number}\n", "", 0) for number in (4, 5, 6)]
    assert_sound(bare)


def test_a_change_by_url_that_another_change_overtook_is_planned_again(team, host, bare):
    first, second = team.by_url("first", host.registry), team.by_url("second", host.registry)
    seen = []

    def plan(snapshot):
        if len(seen) < 2:
            second.get_model("iris").create_version()
        seen.append(snapshot.last_number("iris"))
        return Change(None, subject="Change the notes", files={"README.md": b"# Notes\n"})

    transact(first.repository, plan)
    assert seen == [3, 4, 5]
    assert numbers(first) == [1, 2, 3, 4, 5]
    assert_sound(bare)


def test_a_change_by_url_that_is_always_overtaken_ends_after_the_timeout_and_changes_nothing(team, host, bare):
    first, second = team.by_url("first", host.registry, timeout=0), team.by_url("second", host.registry)
    first.list_models()  # fetches the branch, so that the change is not planned as a write at the tip

    def plan(snapshot):
        second.get_model("iris").create_version()
        return Change(None, subject="Change the notes", files={"README.md": b"# Notes\n"})

    with pytest.raises(Conflict, match=r"others kept changing http.* for 0 s, and nothing was changed") as error:
        transact(first.repository, plan)
    assert "--timeout" in error.value.hint
    assert numbers(first) == [1, 2, 3, 4]
    assert_sound(bare)


def test_a_transaction_fails_if_another_client_takes_the_number_that_it_has_read(team, host, bare):
    first, second = team.by_url("first", host.registry), team.by_url("second", host.registry)

    def make_one():
        with first.transaction("Make one") as change:
            assert change.get_model("iris").create_version(metadata={"mine": True}).number == 4
            second.get_model("iris").create_version()

    with pytest.raises(Conflict, match="somebody else created iris 4 in the meantime, and nothing was changed"):
        make_one()
    assert "mine" not in first.get_version("iris@4").metadata
    with first.transaction("Make one") as change:
        assert change.get_model("iris").create_version().number == 5
    assert_sound(bare)


@pytest.mark.parametrize("when", ["before", "within", "after"])
@pytest.mark.parametrize(("method", "service"), REQUESTS)
def test_a_cut_connection_creates_one_version_or_none_and_the_error_says_which(team, host, bare, method, service, when):
    subprocess.run(["git", "config", "--global", "gitmodel.silence", "2"], check=True)
    job = team.by_url("job", host.registry)
    iris = job.get_model("iris")
    before = refs(bare)
    host.cut = (method, service, when)
    try:
        made = iris.create_version(metadata={"job": True}, idempotency_key="mine").number
    except Unreachable:
        made = None
    host.cut = None
    if made is None:
        assert refs(bare) == before or (service, when) == ("git-upload-pack", "after")
    assert iris.create_version(metadata={"job": True}, idempotency_key="mine").number == 4
    assert made in (None, 4)
    assert numbers(job) == [1, 2, 3, 4]
    assert_sound(bare)


def test_a_write_by_url_whose_answer_was_lost_is_recognized_as_successful(job, host):
    host.cut = ("POST", "git-receive-pack", "after")
    assert job.get_model("iris").create_version().number == 4
    assert numbers(job) == [1, 2, 3, 4]


def test_the_message_of_a_server_hook_is_shown(team, job, bare):
    write_hook(bare, "pre-receive", "echo 'GL-HOOK-ERR: ask the release team' >&2\nexit 1")
    before = refs(bare)
    with pytest.raises(Refused, match="GL-HOOK-ERR: ask the release team"):
        job.get_version("iris@3").set_stage("production")
    assert refs(bare) == before
    assert job.get_version("iris@production").number == 2


def test_by_url_apply_puts_a_merged_proposal_in_force(job, ada, bare, git):
    ada.get_version("iris@3").set_stage("staging")
    ada.push()
    git(bare, "update-ref", "-d", "refs/tags/model/iris/staging")
    assert [ref.name for ref in job.apply().moved] == ["model/iris/staging"]
    assert job.apply().moved == ()
    assert job.get_version("iris@staging").number == 3
    assert_sound(bare)


def test_by_url_pull_and_push_are_refused(job):
    for work in (job.pull, job.push):
        with pytest.raises(UsageError, match=r"the registry is http.* itself"):
            work()


def test_a_client_by_url_reads_and_writes_the_current_state_of_a_rewound_branch(job, ada, bare, git):
    job.get_model("iris").create_version()
    git(bare, "update-ref", "refs/heads/gitmodel", "refs/heads/gitmodel~1")
    assert numbers(job) == [1, 2, 3]
    assert job.get_model("iris").create_version().number == 4
    assert_sound(bare)


# Idempotency keys, and CI jobs that run again


def test_creating_a_version_with_a_used_key_returns_the_existing_version(team, host, bare):
    first, second = team.by_url("first", host.registry), team.by_url("second", host.registry)
    made = first.get_model("iris").create_version(metadata={"try": 1}, idempotency_key="job 7")
    again = second.get_model("iris").create_version(metadata={"try": 2}, idempotency_key="job 7")
    assert (made.number, again.number, again.metadata) == (4, 4, {"try": 1})
    assert second.get_model("iris").create_version(idempotency_key="job 8").number == 5
    assert second.register_model("rose").create_version(idempotency_key="job 7").number == 1
    assert_sound(bare)


def test_concurrent_jobs_with_the_same_key_create_one_version(team, host):
    jobs = [team.by_url(f"job{number}", host.registry) for number in range(4)]
    assert all_at_once([lambda j=j: j.get_model("iris").create_version(idempotency_key="job 7") for j in jobs]) == []
    assert numbers(jobs[0]) == [1, 2, 3, 4]


def test_an_idempotency_key_is_found_after_a_rename_of_its_model(job):
    job.get_model("iris").create_version(idempotency_key="job 7")
    job.update_model("iris", new_name="blossom")
    assert job.get_model("blossom").create_version(idempotency_key="job 7").number == 4


def test_a_pull_merges_versions_that_two_clones_created_with_one_idempotency_key(ada, bob, bare):
    for client in (ada, bob):
        assert client.get_model("iris").create_version(metadata={"job": 7}, idempotency_key="job 7").number == 4
        assert client.get_model("iris").create_version(metadata={"job": 7}, idempotency_key="job 7").number == 4
    ada.push()
    bob.push()
    assert numbers(bob) == [1, 2, 3, 4]
    assert refs(bare) == refs(bob.repository.common_dir)
    assert_sound(bare)


def test_an_idempotency_key_that_several_versions_have_is_a_conflict(ada):
    iris = ada.get_model("iris")
    message = f"Add two\n\nTxn: {messages.keyed_transaction('iris', 'job 7')}\n"
    base = ada.repository.tip()
    iris.create_version()
    iris.create_version()
    files = ada.repository.files(ada.repository.tip())
    tree = {path: files.read(path) for path in ("models/iris/versions/4.toml", "models/iris/versions/5.toml")}
    squashed = add_commit(ada.repository, base, tree, "A <a@example.com> 1 +0000", message)
    ada.repository.refs.move([RefMove(ada.repository.branch, squashed, ada.repository.tip())], "squash")
    with pytest.raises(Conflict, match="made 2 versions of iris under this idempotency key, not one"):
        iris.create_version(idempotency_key="job 7")


def test_an_idempotency_key_in_a_transaction_is_refused(job):
    refused = pytest.raises(UsageError, match="transaction cannot have an idempotency key")
    with job.transaction("Make one") as change, refused:
        change.get_model("iris").create_version(idempotency_key="job 7")


def test_a_ci_job_that_runs_again_creates_no_second_version(team, host, bare, tmp_path):
    def job(**more):
        environ = {**os.environ, **GITHUB, **more, "XDG_CACHE_HOME": str(tmp_path / "cache-job")}
        client = Client(tmp_path, repo=host.registry, environ=environ)
        team.opened.callback(client.close)
        return client

    def work(client):
        iris = client.get_model("iris")
        return [iris.create_version(metadata={"seed": seed}).number for seed in (1, 1, 2)]

    assert work(job()) == [4, 5, 6]
    assert work(job()) == [4, 5, 6]
    assert work(job(GITHUB_RUN_ATTEMPT="2")) == [7, 8, 9]
    assert job().get_model("iris").create_version(metadata={"seed": 1}, idempotency_key="").number == 10
    with job().transaction("Make one") as change:
        assert change.get_model("iris").create_version(metadata={"seed": 3}).number == 11
    assert_sound(bare)


def test_a_ci_job_with_a_clone_has_no_default_idempotency_key(team, ada, tmp_path):
    with Client(tmp_path / "ada", store=team.store, environ={**team.environ("ada"), **GITHUB}) as client:
        assert [client.get_model("iris").create_version().number for _ in range(2)] == [4, 5]


def test_creating_a_version_with_the_key_of_a_deleted_version_reports_the_deletion(job):
    job.get_model("iris").create_version(idempotency_key="job 7").delete(reason="wrong data")
    again = job.get_model("iris").create_version(idempotency_key="job 7")
    with pytest.raises(NotFound, match="version 4 of iris was deleted: wrong data"):
        assert again.metadata
