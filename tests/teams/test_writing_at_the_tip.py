"""A client by URL with an empty cache writes a version without fetching the history of the registry.

It fetches only the newest commit and the files it needs. This is called a write at the tip. Changes of stages need the
history and fetch it.
"""

import shutil
import signal
import subprocess
import sys

import pytest
from hosting import write_program
from stage_rules import PROPOSAL_ONLY
from teamwork import assert_sound, refs, source
from url_caches import entry, objects, trips

from gitmodel import Conflict, NotFound, Refused
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.references import VersionRef
from gitmodel.registry.writing.transacting import transact
from gitmodel.registry.writing.writer import change_version


def change_license(snapshot):
    record = snapshot.files.read("models/iris/model.toml").replace(b"MIT", b"Apache-2.0")
    return Change(None, subject="Change the license", files={"models/iris/model.toml": record})


def has_history(client):
    """Return True if the cache of *client* has the history of the branch, and not only its newest commit."""
    return objects(client, "branch.git", "commit") > 0


def test_a_new_version_by_url_on_each_kind_of_server_fetches_no_history(team, url, bare):
    job = team.by_url("job", url)
    version = job.get_model("iris").create_version("1.0", data={"train": source(team, "roses")}, metadata={"rows": 1})
    assert (version.number, version.name, version.metadata) == (4, "1.0", {"rows": 1})
    assert not has_history(job)
    version.log_metadata(checked=True)
    job.register_model("rose").create_version()
    assert job.get_version("iris@4").metadata == {"rows": 1, "checked": True}
    assert not has_history(job)
    assert objects(job, "single.git", "commit") == 1 + 4
    assert_sound(bare)
    # a command that needs the history fetches it
    assert [version.number for version in job.get_model("iris").versions] == [1, 2, 3, 4]
    assert [event.what for event in job.log()][:2] == ["created", "registered"]
    assert job.get_model("iris").create_version().number == 5
    assert_sound(bare)


def test_a_write_at_the_tip_to_a_version_that_does_not_exist_fetches_no_history(job):
    for selector in ("9", "9.9+cpu"):  # no stage tag can have such a name, because no alias contains a `+`
        ref = VersionRef.parse(f"iris@{selector}")
        with pytest.raises(NotFound):
            change_version(job.writer, ref, lambda snapshot, model, number: Change(number))
        assert not has_history(job)


def test_each_write_at_the_tip_sends_four_requests_and_leaves_a_valid_repository(job, host):
    iris = job.get_model("iris")
    assert trips(host, iris.create_version) == 4
    assert trips(host, iris.create_version) == 4
    git_dir = entry(job) / "single.git"
    fsck = ["git", "-C", str(git_dir), "fsck", "--no-progress", "--no-dangling"]
    assert subprocess.run(fsck, check=True, capture_output=True, text=True).stdout == ""


def test_a_write_to_a_large_model_fetches_only_the_newest_folder_of_versions(ada, job):
    old = ada.repository.files(ada.repository.tip()).read(paths.version_file("iris", 3))
    files = {paths.version_file("iris", n): old.replace(b"number = 3", b"number = %d" % n) for n in range(4, 350)}
    transact(ada.repository, lambda _: Change(None, subject="Add many", files=files))
    ada.push()
    assert job.get_model("iris").create_version(metadata={"last": True}).number == 350
    # The newest commit has 7 folders on the way to the version: the root, models, iris, three folders in iris, and the
    # folder of the newest hundred versions. The write adds at most 5.
    assert objects(job, "single.git", "tree") <= 7 + 5
    assert ada.pull().tip
    assert ada.get_version("iris@350").metadata == {"last": True}


def test_a_write_at_the_tip_uses_the_filter_for_files_if_the_host_refuses_the_filter_for_folders(team, job, bare, git):
    git(bare, "config", "uploadpackfilter.tree.allow", "false")
    assert job.get_model("iris").create_version().number == 4
    assert not has_history(job)
    assert_sound(bare)


def test_a_change_of_a_stage_by_url_fetches_the_history(job, bare):
    version = job.get_model("iris").create_version()
    assert not has_history(job)
    version.set_stage("production")
    assert has_history(job)
    assert job.get_version("iris@production").number == 4
    assert_sound(bare)


def test_a_rule_of_a_stage_counts_after_a_write_at_the_tip(ada, job, bare):
    transact(
        ada.repository, lambda _: Change(None, subject="Set rules", files={"gitmodel.toml": PROPOSAL_ONLY.encode()})
    )
    ada.push()
    version = job.get_model("iris").create_version()
    before = refs(bare)
    with pytest.raises(Refused, match="proposal_only"):
        version.set_stage("production")
    assert refs(bare) == before


def test_a_forged_stage_tag_is_found_after_a_write_at_the_tip(job, bare, git):
    job.get_model("iris").create_version()
    other = git(bare, "commit-tree", "-m", "forged", "gitmodel^{tree}")
    text = f"object {other}\ntype commit\ntag model/iris/production\ntagger A <a@example.com> 1 +0000\n\nforged\n"
    forged = git(bare, "hash-object", "-t", "tag", "-w", "--stdin", input=text)
    git(bare, "update-ref", "refs/tags/model/iris/production", forged)
    (state,) = (state for state in job.get_model("iris").stages if state.name == "production")
    assert "not on the metadata branch" in state.forged


@pytest.mark.parametrize(
    "reader", [lambda job: job.get_version("iris@4"), lambda job: job.get_model("iris").get_version(4)]
)
def test_a_read_with_max_age_sees_the_clients_own_write(team, host, reader):
    job = team.by_url("job", host.registry, max_age=3_600)
    assert job.get_version("iris").number == 3
    assert job.get_model("iris").create_version(metadata={"mine": True}).number == 4
    assert job.get_version("iris").number == 4
    assert reader(job).metadata == {"mine": True}
    again = team.by_url("job", host.registry, max_age=3_600)
    assert reader(again).metadata == {"mine": True}
    assert [version.number for version in again.get_model("iris").versions] == [1, 2, 3, 4]


def test_a_write_at_the_tip_that_another_write_overtook_is_planned_again(team, job, host, bare):
    second, seen = team.by_url("second", host.registry), []

    def plan(snapshot):
        if len(seen) < 2:
            second.get_model("iris").create_version()
        seen.append(snapshot.last_number("iris"))
        return change_license(snapshot)

    transact(job.repository, plan)
    assert seen == [3, 4, 5]
    assert not has_history(job)
    assert_sound(bare)


def test_a_write_at_the_tip_that_is_always_overtaken_changes_nothing(team, host, bare):
    first, second = team.by_url("first", host.registry, timeout=0), team.by_url("second", host.registry)

    def plan(snapshot):
        second.get_model("iris").create_version()
        return change_license(snapshot)

    with pytest.raises(Conflict, match=r"others kept changing http.* for 0 s, and nothing was changed"):
        transact(first.repository, plan)
    assert first.get_version("iris").number == 4
    assert_sound(bare)


def test_a_write_whose_answer_was_lost_is_recognized_as_successful_although_a_later_commit_followed(
    team, job, host, bare
):
    iris, second = job.get_model("iris"), team.by_url("second", host.registry)
    host.cut = ("POST", "git-receive-pack", "after")
    fetch_all, landed = job.repository.server.fetch_all, []

    def fetch_later():
        host.cut = None
        landed.append(second.get_model("iris").create_version().number)
        fetch_all()

    job.repository.server.fetch_all = fetch_later
    assert iris.create_version(metadata={"mine": True}).number == 4
    assert landed == [5]
    assert job.get_version("iris@4").metadata == {"mine": True}
    assert_sound(bare)


def test_a_missing_model_is_reported_without_a_fetch_of_the_history(job):
    with pytest.raises(NotFound, match="there is no model rose"):
        job.get_model("rose")
    assert not has_history(job)


class TestKeys:
    """Creating a version with an idempotency key. The key may be in any commit message, so all commits are fetched."""

    def test_the_search_for_a_new_idempotency_key_fetches_only_commits_without_files(self, team, job, host, bare):
        made = job.get_model("iris").create_version(metadata={"try": 1}, idempotency_key="job 7")
        assert (made.number, has_history(job)) == (4, False)
        assert objects(job, "commits.git", "commit") > 4
        assert objects(job, "commits.git", "tree") == objects(job, "commits.git", "blob") == 0
        other = team.by_url("other", host.registry)
        again = other.get_model("iris").create_version(metadata={"try": 2}, idempotency_key="job 7")
        assert (again.number, again.metadata, has_history(other)) == (4, {"try": 1}, False)
        assert_sound(bare)

    def test_a_key_is_searched_in_the_whole_branch_if_the_server_sends_no_commits_without_files(self, team, host, bare):
        # the server uses version 0 of git's protocol
        old = ["remote.gitmodel.uploadpack", "env -u GIT_PROTOCOL git-upload-pack"]
        subprocess.run(["git", "config", "--global", *old], check=True)
        job = team.by_url("job", bare.as_uri())
        for number, key in ((4, "job 7"), (5, "job 8"), (6, "")):
            assert job.get_model("iris").create_version(idempotency_key=key).number == number
        assert not has_history(job)
        other = team.by_url("other", bare.as_uri())
        assert other.get_model("iris").create_version(idempotency_key="job 7").number == 4
        assert has_history(other)
        assert_sound(bare)

    def test_a_key_that_another_job_pushed_meanwhile_returns_the_version_of_that_job(self, team, job, host, bare):
        iris, other = job.get_model("iris"), team.by_url("other", host.registry)
        assert iris.create_version(idempotency_key="first").number == 4
        other.get_model("iris").create_version(metadata={"by": "other"}, idempotency_key="job 7")
        assert iris.create_version(idempotency_key="job 7").metadata == {"by": "other"}
        assert_sound(bare)


def spoil_objects(folder):
    for pack in folder.glob("*/objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])


def leave_locks(folder):
    for name in ("shallow.lock", "refs/heads/gitmodel.lock", "config.lock"):
        (folder / "single.git" / name).touch()


DAMAGES = {
    "cut packs": spoil_objects,
    "no tip": lambda folder: (folder / "single.git" / "refs" / "heads" / "gitmodel").unlink(),
    "no single.git": lambda folder: shutil.rmtree(folder / "single.git"),
    "no HEAD in commits.git": lambda folder: (folder / "commits.git" / "HEAD").unlink(),
    "locks": leave_locks,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_job_that_only_writes_creates_its_damaged_cache_again(team, job, host, bare, damage):
    assert job.get_model("iris").create_version(idempotency_key="one").number == 4
    damage(entry(job))
    assert job.get_model("iris").create_version(idempotency_key="two").number == 5
    damage(entry(job))
    other = team.by_url("job", host.registry)
    assert other.get_model("iris").create_version(idempotency_key="three").number == 6
    assert other.get_model("iris").create_version(idempotency_key="one").number == 4
    assert_sound(bare)


@pytest.mark.parametrize("command", ["push", "fetch", "update-ref"])
def test_a_job_that_is_killed_at_a_git_command_leaves_a_cache_that_works(team, job, host, bare, tmp_path, command):
    """A `git` that is first on the PATH runs the real git, and kills the job after it ran *command*."""
    real = shutil.which("git")
    script = f'case " $* " in *" {command} "*) {real} "$@"; kill -9 $PPID;; *) exec {real} "$@";; esac'
    path = write_program(tmp_path / "bin", "git", script)
    environ = {**team.environ("job"), "XDG_CACHE_HOME": str(tmp_path / "cache-job"), "PATH": path}
    words = ["--repo", host.registry, "-q", "version", "create", "iris"]
    killed = subprocess.run([sys.executable, "-m", "gitmodel", *words], env=environ, cwd=tmp_path, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    before = job.get_version("iris").number
    assert before in (3, 4)
    assert job.get_model("iris").create_version().number == before + 1
    assert_sound(bare)
