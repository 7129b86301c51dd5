"""No git setting of a user changes what gitmodel fetches, pushes, records or reads."""

import subprocess
import sys

import pytest
from hosting import write_hook
from teamwork import assert_sound, refs, source

from gitmodel import Client, Refused
from gitmodel.git.running.failures import GitError

MIRROR = ["remote.origin.fetch=+refs/*:refs/*", "remote.origin.mirror=true"]
SETTINGS = {
    "mirror": MIRROR,
    "heads": ["remote.origin.fetch=+refs/heads/*:refs/heads/*"],
    "branch": ["remote.origin.fetch=+refs/heads/gitmodel:refs/heads/gitmodel"],
    "tags": ["remote.origin.fetch=+refs/tags/*:refs/tags/*"],
    "prune": ["fetch.prune=true", "fetch.pruneTags=true", "remote.origin.prune=true", "remote.origin.pruneTags=true"],
    "pruned mirror": [*MIRROR, "fetch.prune=true", "remote.origin.prune=true"],
    "fetch": [
        "remote.origin.tagOpt=--tags", "fetch.recurseSubmodules=true", "submodule.recurse=true", "fetch.all=true",
        "fetch.writeCommitGraph=true", "fetch.output=compact", "fetch.showForcedUpdates=false", "fetch.parallel=0",
        "fetch.fsckObjects=true", "transfer.fsckObjects=true", "fetch.negotiationAlgorithm=skipping",
    ],
    "push": [
        "push.default=nothing", "push.followTags=true", "push.pushOption=ci.skip", "push.recurseSubmodules=only",
        "push.useForceIfIncludes=true", "push.negotiate=true", "push.autoSetupRemote=true",
        "remote.origin.push=+refs/heads/*:refs/heads/*", "remote.pushDefault=elsewhere",
        "branch.gitmodel.pushRemote=elsewhere", "branch.gitmodel.remote=elsewhere",
    ],
    "log": [
        "log.follow=true", "log.diffMerges=off", "log.showRoot=false", "log.showSignature=true", "log.decorate=full",
        "log.abbrevCommit=true", "log.date=relative", "log.mailmap=true", "format.pretty=fuller",
        "i18n.logOutputEncoding=UTF-16", "i18n.commitEncoding=ISO-8859-1",
    ],
    "diff": [
        "diff.orderFile=/nonexistent", "diff.renames=copies", "diff.noprefix=true", "diff.relative=true",
        "diff.external=false", "diff.ignoreSubmodules=all", "diff.submodule=log", "core.quotePath=true",
    ],
    "merge": ["merge.renames=false", "merge.renormalize=true", "merge.conflictStyle=diff3", "core.attributesFile=../a"],
    "text": ["core.commentChar=T", "trailer.separators=#", "core.autocrlf=true", "core.abbrev=4", "core.pager=false"],
    "shown": ["color.ui=always", "color.diff=always", "color.branch=always", "column.ui=always", "pager.log=true"],
    "refs": ["core.logAllRefUpdates=always", "core.warnAmbiguousRefs=true", "core.fsyncMethod=writeout-only"],
    "objects": ["gc.auto=1", "gc.autoDetach=false", "maintenance.auto=true", "core.compression=0"],
}  # fmt: skip


def set_all(folder, settings):
    """Set the git *settings* of the repository at *folder*. A fetch refspec replaces the existing fetch refspec."""
    for setting in settings:
        key, _, value = setting.partition("=")
        replacing = ["--replace-all"] if key.endswith(".fetch") else []
        subprocess.run(["git", "-C", str(folder), "config", *replacing, key, value], check=True)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_no_git_setting_changes_the_result_of_push_pull_and_apply(team, ada, bob, bare, settings):
    (team.folder / "a").write_text("*.toml merge=union\n")
    set_all(team.folder / "ada", settings)
    ada = team.open("ada")
    bob.get_model("iris").create_version("bobs", data={"train": source(team, "bob")})
    bob.push()
    ada.get_model("iris").create_version("adas", data={"train": source(team, "ada")})
    ada.pull()
    assert [version.name for version in ada.get_model("iris").versions] == [None, None, None, "bobs", "adas"]
    ada.apply(push=True)
    assert ada.get_version("iris@adas").number == 5
    ada.push()
    ada.get_version("iris@adas").set_stage("staging")
    ada.get_version("iris@1").add_alias("baseline")
    ada.get_model("iris").rename("flower")
    ada.push()
    bob.pull()
    assert refs(team.folder / "ada") == refs(team.folder / "bob") == refs(bare)
    assert [version.name for version in bob.get_model("flower").versions] == [None, None, None, "bobs", "adas"]
    assert [event.version for event in ada.get_model("flower").history("production")] == [2]
    assert [event.version for event in ada.get_model("flower").history("staging")] == [5]
    assert ada.check() == []
    assert_sound(team.folder / "ada", store=team.store)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_no_global_setting_changes_a_registry_by_url(team, ada, bare, hermetic, settings):
    (hermetic / "a").write_text("*.toml merge=union\n")
    for setting in settings:
        key, _, value = setting.partition("=")
        subprocess.run(["git", "config", "--global", key, value], check=True)
    carol = team.by_url("carol", bare.as_uri())
    assert carol.get_model("iris").create_version("carols").number == 4
    carol.get_version("iris@carols").set_stage("staging")
    assert carol.get_version("iris@staging").name == "carols"
    assert carol.get_version("iris@production").number == 2
    ada = team.open("ada")
    ada.pull()
    assert ada.get_version("iris@staging").name == "carols"
    assert_sound(bare)


def test_a_push_from_a_mirror_keeps_a_local_commit_that_was_made_during_the_push(team, ada, bare):
    """In a mirror, git sets the local branch to the pushed commit after a push, because of the fetch refspec."""
    set_all(team.folder / "ada", MIRROR)
    program = (
        f"import os\nfrom gitmodel import Client\n"
        f"kept = ('GIT_CONFIG', 'GIT_AUTHOR', 'GIT_COMMITTER')\n"
        f"environ = {{k: v for k, v in os.environ.items() if not k.startswith('GIT_') or k.startswith(kept)}}\n"
        f"with Client({str(team.folder / 'ada')!r}, environ=environ) as c:\n"
        f"    c.get_model('iris').create_version('meanwhile')\n"
    )
    (team.folder / "hook.py").write_text(program)
    hook = write_hook(bare, "pre-receive", f'rm -f "$0"\nexec {sys.executable} {team.folder / "hook.py"} >&2')
    ada = team.open("ada")
    ada.get_model("iris").create_version("first")
    ada.push()
    assert not hook.exists()
    assert [version.name for version in ada.get_model("iris").versions][3:] == ["first", "meanwhile"]
    ada.push()
    assert refs(team.folder / "ada") == refs(bare)


def test_a_repository_made_by_git_clone_mirror_works_as_an_ordinary_clone_does(team, ada, bare):
    subprocess.run(["git", "clone", "-q", "--mirror", str(bare), str(team.folder / "mirror")], check=True)
    mirror = team.open("mirror")
    mirror.get_model("iris").create_version("here")
    mirror.push()
    assert mirror.get_version("iris@here").number == 4
    assert refs(bare) == refs(team.folder / "mirror")
    mirror.get_version("iris@here").set_stage("production")
    mirror.apply(push=True)
    mirror.push()
    ada.pull()
    assert ada.get_version("iris@production").number == 4


def test_the_command_clone_gives_the_remote_the_name_in_the_git_setting(team, ada, bare):
    subprocess.run(["git", "config", "--global", "clone.defaultRemoteName", "upstream"], check=True)
    from gitmodel.teams.sync.cloning import clone

    folder = clone(str(bare), team.folder / "cloned", environ=team.environ("carol"))
    with Client(folder) as carol:
        assert carol.get_version("iris@production").number == 2
        carol.get_model("iris").create_version("here")
        assert carol.push().commits == 1


def test_a_pull_names_the_hook_that_refused_a_ref(team, ada, bob):
    ada.get_model("iris").create_version()
    ada.push()
    hook = write_hook(team.folder, "reference-transaction", "[ $1 != prepared ] || { echo no refs today >&2; exit 1; }")
    set_all(team.folder / "bob", [f"core.hooksPath={hook.parent}"])
    before = refs(team.folder / "bob")
    with pytest.raises(Refused, match="a hook of this repository refused"):
        team.open("bob").pull()
    assert refs(team.folder / "bob") == before


@pytest.mark.parametrize(
    "variable", ["GIT_LITERAL_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS"]
)
def test_git_variables_for_pathspecs_do_not_change_the_shown_history(team, ada, variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    with Client(team.folder / "ada") as client:
        assert [event.version for event in client.history()] == [2]
        assert client.check() == []


def test_doctor_names_a_fetch_refspec_that_would_overwrite_the_metadata_branch(team, ada):
    from gitmodel.registry.health import doctor

    def found():
        return [finding.message for finding in doctor.examine(ada.repository, None) if finding.about == "fetch"]

    assert found() == []
    set_all(team.folder / "ada", MIRROR)
    assert found() == [
        "remote.origin.fetch = +refs/*:refs/* lets `git fetch` overwrite refs/heads/gitmodel, "
        "with commits that are not pushed"
    ]


def test_a_push_sends_the_push_options_of_its_command_and_not_those_of_the_clone(team, ada, bare, monkeypatch):
    set_all(bare, ["receive.advertisePushOptions=true"])
    set_all(team.folder / "ada", ["push.pushOption=ci.skip"])
    write_hook(bare, "pre-receive", 'echo "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1" >>options')
    for options in ([], ["dropped", "", "topic=x", "gitmodel.force"]):
        monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(options)))
        for place, option in enumerate(options):
            monkeypatch.setenv(f"GIT_CONFIG_KEY_{place}", "push.pushOption")
            monkeypatch.setenv(f"GIT_CONFIG_VALUE_{place}", option)
        ada = team.open("ada")
        ada.get_model("iris").create_version()
        ada.push()
        team.by_url("carol", bare.as_uri()).get_model("iris").create_version()
    sent = [line.split() for line in (bare / "options").read_text().splitlines()]
    assert sent == [["0"], ["0"], ["2", "topic=x", "gitmodel.force"], ["2", "topic=x", "gitmodel.force"]]


def test_a_push_names_the_setting_if_the_server_accepts_no_signed_pushes(team, ada):
    set_all(team.folder / "ada", ["push.gpgSign=true"])
    ada = team.open("ada")
    ada.get_model("iris").create_version()
    with pytest.raises(Refused, match=r"^origin does not accept signed pushes, and push\.gpgSign asks"):
        ada.push()
    set_all(team.folder / "ada", ["push.gpgSign=if-asked"])
    assert team.open("ada").push().commits == 1


def test_messages_do_not_contain_the_advice_of_git_about_grafts(ada):
    with pytest.raises(GitError, match="bad revision") as caught:
        ada.repository.git.run("rev-list", "gitmodel", "no-such-branch", "--")
    assert "graft" not in caught.value.message


def test_push_names_the_url_of_a_remote_that_refused_the_push(team, ada, bare, git):
    """git pushes to each `remote.<name>.url`. If a URL refuses, the push has failed."""
    copy = str(team.folder / "copy.git")
    git(team.folder, "init", "-q", "--bare", copy)
    git(team.folder / "ada", "remote", "set-url", "--add", "origin", copy)
    ada = team.open("ada")
    ada.get_model("iris").create_version()
    with pytest.raises(Refused, match="not all push URLs of origin took the push"):
        ada.push()
    assert refs(bare)["refs/heads/gitmodel"] == ada.repository.tip()
    git(team.folder / "ada", "push", "-q", copy, "gitmodel", "refs/tags/*")
    ada.get_model("iris").create_version()
    assert ada.push().commits == 1
    assert refs(bare)["refs/heads/gitmodel"] == refs(copy)["refs/heads/gitmodel"]
