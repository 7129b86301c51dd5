"""Signed commits and tags for tests: a registry whose production requires signatures, and people with SSH keys."""

import os
import subprocess

from editing import BRANCH, edit, run
from stage_rules import TWO_STAGES, register_iris, stage_text

from gitmodel import Client

TAG = "refs/tags/model/iris/production"
RULES = f"{TWO_STAGES}signed = true\n"


def line(keys, name, *, principals="", options=""):
    key = (keys / f"{name}.pub").read_text(encoding="utf-8").rsplit(" ", 1)[0]
    return " ".join(part for part in (principals or f"{name}@example.com", options, key) if part) + "\n"


def sign_as(repo, keys, name, *, every=False):
    """Set the signing key of *name* in *repo*. If *every* is True, git signs all commits and tags."""
    run(repo, "config", "gpg.format", "ssh")
    run(repo, "config", "user.signingKey", str(keys / f"{name}.pub"))
    if every:
        run(repo, "config", "commit.gpgSign", "true")
        run(repo, "config", "tag.gpgSign", "true")


def person(name, when="2026-11-23T10:12:13Z"):
    return {
        **os.environ,
        **{f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": f"{name}@example.com" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_DATE": when for role in ("AUTHOR", "COMMITTER")},
    }


def make_repo(folder):
    """Create a repository with three versions of iris. The first is in staging."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    with Client(folder, environ=person("ada")) as client:
        register_iris(client, 0.1, 0.2, 0.3).get_version(1).set_stage("staging")
    return folder


def promote(client, number=2, stage="production"):
    return client.get_version(f"iris@{number}").set_stage(stage)


def stage_file(client, number):
    return stage_text(client.get_model("iris"), number)


def commit_by_hand(repo, keys, files, *, key="", author="ada", when="2026-11-23T10:12:13Z", **environ):
    """Commit *files* with plain git as *author* at *when*, signed with *key* ("": not signed).

    *environ* are more environment variables for git. Returns the commit.
    """
    tip = run(repo, "rev-parse", BRANCH)
    made = edit(repo, files)
    run(repo, "update-ref", BRANCH, tip)
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={keys / key}", "commit-tree", "-S"] if key else []
    command = ["git", *(signing or ["commit-tree"]), "-p", tip, "-m", "By hand", f"{made}^{{tree}}"]
    environ = {**person(author, when), **environ}
    done = subprocess.run(command, cwd=repo, env=environ, capture_output=True, text=True, check=True)
    run(repo, "update-ref", BRANCH, done.stdout.strip())
    return done.stdout.strip()


def tag_by_hand(repo, keys, commit, *, key="", name="model/iris/production", tagger="ada", when="2026-11-23T10:12:13Z"):
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={keys / key}", "tag", "-s"] if key else ["tag", "-a"]
    command = ["git", *signing, "-f", "-m", "By hand", name, commit]
    subprocess.run(command, cwd=repo, env=person(tagger, when), capture_output=True, check=True)
