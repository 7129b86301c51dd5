"""gitmodel's git hooks: they check pushes on a server and in a clone, and commits with pre-commit.

The tests also cover installing and removing them beside hooks of other programs.
"""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import editing
import pytest
import yaml
from editing import BRANCH, edit, read
from hosting import write_hook
from stage_rules import GOOD, TWO_STAGES
from teamwork import refs
from transcripts import ask

from gitmodel import Client
from gitmodel.domain.pushed_refs import FORCE_OPTION, Update
from gitmodel.domain.schema import paths
from gitmodel.errors import Conflict, Invalid, Refused
from gitmodel.git.repositories import hooks
from gitmodel.teams.checks import received_pushes

PRODUCTION = "refs/tags/model/iris/production"
STAGE = paths.stage_file("iris", "production")
MODEL = paths.model_file("iris")


@pytest.fixture
def server(bare, capsys):
    """The team's remote with the server hook, which checks each push."""
    code, out, err = ask(capsys, "-C", bare, "hook", "install", "--server")
    assert (code, out, err) == (0, f"pre-receive is installed: {bare}/hooks/pre-receive\n", "")
    return bare


@pytest.fixture
def clone(ada, server):
    """Ada's clone, which has the same branch and tags as the server."""
    return ada.repository.git.top


def push(clone, *refspecs, options=()):
    more = [word for option in options for word in ("-o", option)]
    done = subprocess.run(
        ["git", "push", "--no-verify", *more, "origin", *refspecs], cwd=clone, capture_output=True, text=True
    )
    return done.returncode, done.stderr


def test_the_server_hook_accepts_pushes_of_gitmodel(ada, bob, server):
    for client in (ada, bob):
        iris = client.get_model("iris")
        iris.create_version("1.0" if client is ada else None).set_stage("production")
        iris.get_version(1).add_alias("champion")
    ada.push()
    with pytest.raises(
        Conflict, match="production of iris: version 5 here, version 4 at the remote; the remote's was kept"
    ) as caught:
        bob.push()
    assert caught.value.done.commits == 1
    ada.pull()
    assert [version.number for version in ada.get_model("iris").versions] == [1, 2, 3, 4, 5]
    ada.update_model("iris", new_name="flower")
    ada.push()
    assert refs(server) == refs(ada.repository.common_dir)
    assert "refs/tags/model/flower/production" in refs(server)


def test_the_server_hook_checks_the_whole_branch_on_a_first_push(team, server):
    client = team.clone("carol")
    client.register_model("iris").create_version().set_stage("production")
    client.push()
    assert sorted(refs(server)) == [BRANCH, PRODUCTION]
    subprocess.run(["git", "update-ref", "-d", BRANCH], cwd=server, check=True)
    subprocess.run(["git", "update-ref", "-d", PRODUCTION], cwd=server, check=True)
    edit(client.repository.git.top, {"models/iris/README": "x"})
    code, said = push(client.repository.git.top, BRANCH)
    assert (code, "models/iris/README: is not a file of the format [tree.path]" in said) == (1, True)


def test_the_server_hook_does_not_check_code_branches_and_proposals(clone, server):
    """The hook does not read the content of other branches and tags."""
    editing.run(clone, "commit", "-q", "--allow-empty", "-m", "Begin")
    assert push(clone, "HEAD:refs/heads/main", "HEAD:refs/heads/propose/x", "HEAD:refs/tags/v1")[0] == 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda c: {"models/iris/README": "x"}, "tree.path"),
        (lambda c: {MODEL: read(c, MODEL) + "colour = 1\n"}, "record.unknown-key"),
        (lambda c: {paths.version_file("iris", 2): None, STAGE: None}, "change.gone"),
        (lambda c: {STAGE: read(c, STAGE).replace("version = 2", "version = 9")}, "stage.version"),
    ],
)
def test_the_server_hook_refuses_a_damaged_record_and_names_file_and_rule(clone, server, change, rule):
    before = refs(server)
    edit(clone, change(clone))
    code, said = push(clone, BRANCH)
    assert code == 1
    assert f"[{rule}]" in said
    assert "pre-receive hook declined" in said
    assert refs(server) == before
    tip = editing.run(clone, "rev-parse", BRANCH)
    assert subprocess.run(["git", "cat-file", "-e", tip], cwd=server, capture_output=True).returncode != 0


def test_the_server_hook_refuses_to_delete_the_branch_or_to_break_its_chain_of_first_parents(clone, server):
    code, said = push(clone, f":{BRANCH}")
    assert (code, "would be deleted, with all that is recorded [push.gone]" in said) == (1, True)
    editing.run(clone, "update-ref", "refs/heads/other", f"{BRANCH}~1")
    edit(clone, {"README.md": "# Other\n"}, onto="refs/heads/other")
    code, said = push(clone, f"+refs/heads/other:{BRANCH}")
    assert (code, "[push.chain]" in said) == (1, True)
    other, tip = editing.run(clone, "rev-parse", "refs/heads/other", BRANCH).split()
    merge = edit(clone, {"README.md": "# Other\n"}, onto=BRANCH, parents=[other, tip])
    assert editing.run(clone, "merge-base", tip, merge) == tip
    code, said = push(clone, BRANCH)
    assert (code, "whose first parents do not lead to" in said) == (1, True)


def test_the_server_hook_refuses_a_fast_forward_to_a_proposal_that_merged_its_base(ada, clone, server):
    """A proposal that merged its base has other first parents than the branch, so it must not become the branch."""
    topic = "refs/heads/propose/x"
    base = editing.run(clone, "rev-parse", BRANCH)
    editing.run(clone, "update-ref", topic, base)
    mine = edit(clone, {MODEL: read(clone, MODEL) + 'tags = [\n    "new",\n]\n'}, onto=topic)
    ada.register_model("other")
    ada.push()
    tip = editing.run(clone, "rev-parse", BRANCH)
    tree = editing.run(clone, "merge-tree", "--write-tree", mine, tip)
    inner = editing.run(clone, "commit-tree", tree, "-p", mine, "-p", tip, "-m", "Merge the base")
    outer = editing.run(clone, "commit-tree", tree, "-p", tip, "-p", inner, "-m", "Merge the proposal")
    assert push(clone, f"{inner}:{topic}")[0] == 0
    assert push(clone, f"{inner}:{BRANCH}")[0] == 1
    assert push(clone, f"{outer}:{BRANCH}")[0] == 0


def test_the_server_hook_refuses_a_stage_tag_that_does_not_agree_with_the_branch(ada, clone, server):
    ada.get_version("iris@3").set_stage("production")
    new, tip = editing.run(clone, "rev-parse", PRODUCTION, BRANCH).split()
    assert "[push.tag]" in push(clone, f"+{PRODUCTION}")[1]
    assert push(clone, BRANCH)[0] == 0
    cases = {
        f"+{tip}:{PRODUCTION}": "it is not an annotated tag",
        f":{PRODUCTION}": "would be deleted, and the branch has a version there",
        f"{new}:refs/tags/model/iris/staging": "is set, and the branch has no version there",
        f"+{named(clone, tip, 'model/iris/staging')}:{PRODUCTION}": "the tag inside is called 'model/iris/staging'",
        f"+{named(clone, tip, 'model/iris/production')}:{PRODUCTION}": f"is not the tag {new[:10]} that gitmodel makes",
    }
    for refspec, said in cases.items():
        code, told = push(clone, refspec)
        assert (code, said in told) == (1, True), told
    assert push(clone, f"+{PRODUCTION}")[0] == 0
    # refused, because git cannot store a tag `model/iris` beside tags below `model/iris/`
    assert push(clone, f"{new}:refs/tags/model/iris")[0] == 1
    ada.get_version("iris@3").set_stage("none")
    assert push(clone, BRANCH)[0] == 0
    assert push(clone, f":{PRODUCTION}")[0] == 0


def test_the_server_hook_refuses_to_set_a_stage_tag_back(ada, clone, server):
    old = editing.run(clone, "rev-parse", PRODUCTION)
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    code, said = push(clone, f"+{old}:{PRODUCTION}")
    assert (code, "and the branch changed production last at" in said) == (1, True)


def test_the_server_hook_refuses_a_tag_of_a_signed_stage_without_a_signature_of_a_signer(ada, clone, server, team):
    key = team.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signer = "ada@example.com " + " ".join(key.with_suffix(".pub").read_text().split()[:2]) + "\n"
    edit(clone, {"gitmodel.toml": f"{TWO_STAGES}signed = true\n", "allowed_signers": signer})
    code, said = push(clone, BRANCH)
    assert (code, "warning: allowed_signers is changed; this file controls permissions" in said) == (0, True)
    editing.run(clone, "config", "gpg.format", "ssh")
    editing.run(clone, "config", "user.signingKey", str(key))
    with Client(clone, store=team.store, environ=team.environ("ada")) as signing:
        signing.get_version("iris@3").set_stage("production")
    signed = editing.run(clone, "rev-parse", PRODUCTION)
    editing.run(clone, "tag", "-a", "-f", "-m", "iris 2 -> 3 in production", "model/iris/production", BRANCH)
    code, said = push(clone, BRANCH, f"+{PRODUCTION}")
    assert (code, "[push.tag]" in said) == (1, True)
    assert push(clone, BRANCH, f"+{signed}:{PRODUCTION}")[0] == 0


def named(clone, commit, name):
    text = f"object {commit}\ntype commit\ntag {name}\ntagger A <a@example.com> 0 +0000\n\nx\n"
    return editing.run(clone, "mktag", input=text.encode())


def test_the_push_option_force_lets_a_push_delete_a_version_in_use_but_not_pass_a_failing_gate(ada, clone, server):
    edit(clone, {"gitmodel.toml": f"{TWO_STAGES}\n{GOOD.replace('0.9', '0.25')}"})
    code, said = push(clone, BRANCH)
    assert (code, "warning: gitmodel.toml is changed; this file controls permissions" in said) == (0, True)
    edit(clone, {STAGE: read(clone, STAGE).replace("version = 2", "version = 1")})
    code, said = push(clone, BRANCH, options=[FORCE_OPTION])
    assert (code, "version 1 fails good" in said, "[stage.artifacts]" in said) == (1, True, True)
    editing.run(clone, "update-ref", BRANCH, f"{BRANCH}~1")
    ada.delete_model("iris", force=True)
    code, said = push(clone, BRANCH)
    assert (code, "[change.held]" in said) == (1, True)
    assert "hint: to override it, if no gate refuses it: git -c push.pushOption=gitmodel.force model push" in said
    assert push(clone, BRANCH, options=[FORCE_OPTION])[0] == 0


def test_the_push_option_that_the_server_hook_names_lets_the_push_pass(ada, clone, server, monkeypatch):
    ada.delete_model("iris", force=True)
    with pytest.raises(Refused, match="production has a version of it"):
        ada.push()
    monkeypatch.chdir(clone)
    command = ["git", "-c", f"push.pushOption={FORCE_OPTION}", "model", "push"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert PRODUCTION not in refs(server)


def test_the_server_hook_reports_changed_host_files_as_rule_changes(clone, server):
    edit(clone, {".github/workflows/x.yml": "on: push\n", "CODEOWNERS": "* @ada\n"})
    code, said = push(clone, BRANCH)
    assert code == 0
    for path in (".github/workflows/x.yml", "CODEOWNERS"):
        assert f"warning: {path} is changed; this file controls permissions" in said


def test_the_hook_reports_the_same_problems_as_the_library(ada, clone):
    """Python code gets all problems of a push from the library, without a hook."""
    tip = editing.run(clone, "rev-parse", BRANCH)
    new = edit(clone, {f"models/iris/x{number}": "x" for number in range(25)})
    found = received_pushes.judge_push(ada.repository, [Update(BRANCH, tip, new)])
    assert len(found.problems) == 25


def test_a_server_hook_whose_program_is_missing_refuses_every_push(clone, server):
    path = server / "hooks/pre-receive"
    path.write_text(path.read_text().replace(str(Path(sys.executable).parent), "/gone"))
    edit(clone, {"README.md": "# x\n"})
    code, said = push(clone, BRANCH)
    assert (code, "pre-receive hook declined" in said) == (1, True)


def test_the_hook_in_a_clone_checks_a_plain_git_push_before_it_is_sent(ada, capsys, git):
    clone = ada.repository.git.top
    assert ask(capsys, "-C", clone, "hook", "install")[0] == 0
    edit(clone, {"models/iris/README": "x"})
    done = subprocess.run(["git", "push", "origin", BRANCH], cwd=clone, capture_output=True, text=True)
    assert (done.returncode, "[tree.path]" in done.stderr) == (1, True)
    edit(clone, {"models/iris/README": None})
    git(clone, "push", "-q", "origin", BRANCH)
    git(clone, "push", "-q", "origin", f"{BRANCH}:refs/heads/copy")
    done = subprocess.run(["git", "push", "origin", f":{PRODUCTION}"], cwd=clone, capture_output=True, text=True)
    assert (done.returncode, "[push.tag]" in done.stderr) == (1, True)


# The hook for pre-commit, a program that runs checks before each commit

MANIFEST = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"


def manifest_hook():
    """Return the hook in the manifest, with the path of the program in the environment of the tests."""
    (hook,) = yaml.safe_load(MANIFEST.read_text())
    program, _, words = hook["entry"].partition(" ")
    return {**hook, "language": "system", "entry": f"{Path(sys.executable).with_name(program)} {words}"}


def pre_commit(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_pre_commit_runs_the_hook_that_the_manifest_defines(clone, tmp_path):
    """Here pre-commit runs the hook in the environment of the tests. Another test lets it create one by pip."""
    assert pre_commit(tmp_path, "validate-manifest", str(MANIFEST)).returncode == 0
    hook = manifest_hook()
    (clone / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": [hook]}]}))
    editing.run(clone, "add", ".pre-commit-config.yaml")
    done = pre_commit(clone, "run")
    assert (done.returncode, "check the model registry" in done.stdout, "Passed" in done.stdout) == (0, True, True)
    assert pre_commit(clone, "install").returncode == 0
    edit(clone, {"models/iris/README": "x"})
    done = subprocess.run(["git", "commit", "-m", "Begin"], cwd=clone, capture_output=True, text=True)
    assert (done.returncode, "models/iris/README" in done.stderr) == (1, True)


@pytest.fixture
def rules(clone, tmp_path):
    """A work tree of the metadata branch. Its pre-commit hook is the command in the manifest for pre-commit."""
    folder = tmp_path / "rules"
    editing.run(clone, "worktree", "add", "-q", str(folder), "gitmodel")
    write_hook(clone / ".git", "pre-commit", f"exec {manifest_hook()['entry']}")
    return folder


def commit(folder, *arguments):
    return subprocess.run(
        ["git", "commit", "-q", "-m", "By hand", *arguments], cwd=folder, capture_output=True, text=True
    )


def test_staged_files_of_the_metadata_branch_are_checked_before_the_commit(clone, rules):
    version, before = rules / "models/iris/versions/1.toml", refs(clone)
    version.write_text(version.read_text().replace("number = 1", "number = 7"))
    for words in (("-a",), ("models/iris/versions/1.toml",)):
        done = commit(rules, *words)
        assert (done.returncode, "version.number" in done.stdout + done.stderr) == (1, True)
    assert "1 problem on the staged change" in done.stderr
    assert "git diff --staged -- models/iris/versions/1.toml" in done.stderr
    editing.run(rules, "checkout", "-q", "HEAD", "--", ".")
    # The changed record is valid. Only a comparison with the branch shows that it must not change.
    created = version.read_text().partition("created = ")[2].partition("\n")[0]
    version.write_text(version.read_text().replace(created, "2020-01-01T00:00:00Z"))
    editing.run(rules, "add", "-A")
    done = commit(rules)
    assert (done.returncode, "change.version" in done.stdout + done.stderr) == (1, True)
    assert refs(clone) == before
    # a commit contains only staged changes, so the hook checks only these
    editing.run(rules, "reset", "-q")
    (rules / "README.md").write_text("# Ours\n")
    editing.run(rules, "add", "README.md")
    index = (clone / ".git/worktrees/rules/index").read_bytes()
    program = str(Path(sys.executable).with_name("git-model"))
    subprocess.run([program, "check", "--staged"], cwd=rules, check=True, capture_output=True)
    assert (clone / ".git/worktrees/rules/index").read_bytes() == index
    assert commit(rules).returncode == 0


def test_check_staged_in_a_work_tree_of_the_code_checks_the_metadata_branch(clone, code_repo, capsys, monkeypatch):
    monkeypatch.chdir(clone)
    sound = (0, "", "all records are valid\n")
    assert ask(capsys, "check", "--staged") == sound  # the same result as above, although the code has no commit yet
    editing.run(clone, "commit", "-q", "--allow-empty", "-m", "Begin")
    (clone / "train.py").write_text("x = 1\n")
    editing.run(clone, "add", "train.py")
    assert ask(capsys, "check", "--staged") == sound
    edit(clone, {"models/iris/README": "x"})
    assert ask(capsys, "check", "--staged")[0] == 5
    assert ask(capsys, "check", "--staged", "gitmodel") == (
        2,
        "",
        "error: --staged checks the staged change, and not gitmodel\nhint: leave --staged out to check gitmodel\n",
    )
    monkeypatch.chdir(code_repo)
    code, out, err = ask(capsys, "check", "--staged")
    assert (code, out, "no registry" in err) == (3, "", True)


@pytest.mark.soak
def test_pre_commit_installs_the_environment_of_the_hook_with_pip(clone):
    """pre-commit clones this repository and installs it with pip, which needs a package index."""
    editing.run(clone, "commit", "-q", "--allow-empty", "-m", "Begin")
    done = pre_commit(clone, "try-repo", str(MANIFEST.parent), "gitmodel-check", "--verbose")
    assert (done.returncode, "all records are valid" in done.stdout) == (0, True), done.stdout


# Installing and uninstalling hooks


def test_installing_a_hook_twice_changes_nothing_and_uninstalling_removes_it(code_repo, capsys):
    path = code_repo / ".git/hooks/pre-push"
    assert ask(capsys, "-C", code_repo, "hook", "install") == (0, f"pre-push is installed: {path}\n", "")
    text = path.read_text()
    assert ask(capsys, "-C", code_repo, "hook", "install") == (0, f"pre-push was installed already: {path}\n", "")
    assert (path.read_text(), os.access(path, os.X_OK)) == (text, True)
    path.chmod(0o644)
    code, out, _ = ask(capsys, "-C", code_repo, "hook", "install", "--format", "json")
    assert code == 0
    assert json.loads(out) == {"hook": "pre-push", "path": str(path), "installed": True, "changed": True}
    assert ask(capsys, "-C", code_repo, "hook", "uninstall") == (0, f"pre-push is gone: {path}\n", "")
    assert ask(capsys, "-C", code_repo, "hook", "uninstall") == (0, f"pre-push was not there: {path}\n", "")


def test_install_and_uninstall_leave_the_hook_of_another_program_alone(code_repo, capsys):
    path = code_repo / ".git/hooks/pre-push"
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\nexit 0\n")
    program = Path(sys.executable).parent / "git-model"
    code, out, err = ask(capsys, "-C", code_repo, "hook", "install")
    assert (code, out) == (4, "")
    assert err == (
        f"error: {path} is already a hook of another program\n"
        f"hint: call gitmodel from it, with the arguments and the input from git: {program} hook run pre-push\n"
    )
    code, _, err = ask(capsys, "-C", code_repo, "hook", "uninstall")
    assert (code, "was not written by gitmodel" in err) == (4, True)
    assert path.read_text() == "#!/bin/sh\nexit 0\n"


def test_install_writes_the_hook_to_the_folder_of_core_hookspath(code_repo, git, capsys):
    git(code_repo, "config", "core.hooksPath", "ci/hooks")
    assert ask(capsys, "-C", code_repo, "hook", "install")[0] == 0
    assert (code_repo / "ci/hooks/pre-push").exists()


def test_install_refuses_a_global_hooks_folder(code_repo, git, capsys, tmp_path):
    git(code_repo, "config", "--global", "core.hooksPath", str(tmp_path / "hooks"))
    code, _, err = ask(capsys, "-C", code_repo, "hook", "install")
    assert (code, "core.hooksPath is set for all repositories (global)" in err) == (6, True)
    assert not (tmp_path / "hooks").exists()


def test_a_hook_installed_in_a_work_tree_is_installed_in_its_repository(code_repo, git, capsys, tmp_path):
    git(code_repo, "worktree", "add", "-q", str(tmp_path / "other"))
    assert ask(capsys, "-C", tmp_path / "other", "hook", "install")[0] == 0
    assert (code_repo / ".git/hooks/pre-push").exists()


def test_the_hook_command_refuses_input_that_git_never_passes_to_a_hook(code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    for name, text in (("pre-receive", "a b refs/heads/x\n"), ("pre-push", "refs/heads/x\n")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        code, _, err = ask(capsys, "hook", "run", name)
        assert (code, "is not a line that git passes to this hook" in err) == (2, True)


def test_a_hook_calls_the_program_git_model_and_is_not_installed_without_it(tmp_path):
    with pytest.raises(Exception, match="the program git-model is not installed"):
        hooks.find_program("pytest", str(tmp_path / "python"))
    assert hooks.find_program("pytest", sys.executable).name == "git-model"


def test_a_hook_file_that_cannot_be_read_is_reported(code_repo, capsys):
    (code_repo / ".git/hooks/pre-push").mkdir(parents=True)
    assert ask(capsys, "-C", code_repo, "hook", "install")[0] == 7


def test_the_hook_reports_a_damaged_newest_commit_of_the_branch(ada):
    with pytest.raises(Invalid):
        received_pushes.judge_push(ada.repository, [Update(BRANCH, None, "9" * 40)])
