"""Packaging: the locks of the extras, `git model --version --verbose`, and the script that makes a release."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rtoml
from transcripts import ask

import gitmodel

ROOT = Path(__file__).resolve().parents[1]
PROJECT = rtoml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [name for name in PROJECT["optional-dependencies"] if name not in ("dev", "docs", "test")]
# Runs the release script, but prints the names of the built files instead of installing and trying them.
SIGN = """
import sys
sys.path.insert(0, "release")
import release, trial
trial.main = lambda folder: print("tried", *sorted(file.name for file in folder.iterdir()))
release.main(False)
"""
# The same, but writes one file instead of building the release.
SIGN_WITHOUT_BUILDING = SIGN.replace(
    "release.main",
    """\
def build(folder):
    folder.mkdir(parents=True)
    (folder / "SHA256SUMS").write_text("sums")
release.build.main = build
release.main""",
)


def pins(name):
    """Return the packages in the lock file *name* with their versions. Checks that each of them has a hash."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)(?: ;.*?)? \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^\w", text, re.MULTILINE))
    return {(package, version) for package, version, _ in found}


def packages(requirements):
    return {re.split(r"[\[<>=;! ]", line)[0] for line in requirements if not line.startswith("gitmodel")}


@pytest.mark.parametrize("extra", ["core", *EXTRAS])
def test_each_extra_is_locked_with_hashes_in_the_versions_that_are_tested(extra):
    locked = pins(f"locks/{extra}.lock")
    wanted = packages(PROJECT["dependencies"] + PROJECT["optional-dependencies"].get(extra, []))
    assert wanted <= {package for package, _ in locked}
    tested = pins("locks/mlflow.lock" if extra == "mlflow" else "requirements.lock")  # mlflow needs older packages
    names = {package for package, _ in tested}
    assert {pin for pin in locked if pin[0] in names} <= tested


def test_each_lock_file_belongs_to_an_extra_or_to_the_core():
    assert {path.stem for path in (ROOT / "locks").iterdir()} == {"core", *EXTRAS}


def test_version_verbose_describes_the_installation_without_paths(capsys):
    code, out, err = ask(capsys, "--version", "--verbose")
    assert (code, err) == (0, "")
    names = [line[:18].strip() for line in out.splitlines()]
    assert names[:6] == ["gitmodel", "format", "Python", "git", "system", "packages"]
    assert "extra skops" in names
    assert str(Path.home()) not in out
    assert sys.prefix not in out
    assert ask(capsys, "--verbose", "--version") == (code, out, err)
    assert ask(capsys, "--version")[1] == f"gitmodel {out.splitlines()[0].split()[1]}\n"
    assert ask(capsys, "--verbose", "list")[0] == 2


@pytest.fixture
def checkout(tmp_path, git):
    """A clone of this repository with the uncommitted changes and a key to sign with. No release is prepared in it."""
    subprocess.run(
        ["git", "clone", "-q", "--no-hardlinks", "--depth", "1", ROOT.as_uri(), tmp_path / "code"], check=True
    )
    code = tmp_path / "code"
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, code / name)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    (tmp_path / "signers").write_text(f"* {(tmp_path / 'key.pub').read_text()}", encoding="utf-8")
    git(code, "config", "gpg.format", "ssh")
    git(code, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "signers"))
    return code


def test_the_release_script_lists_everything_that_is_missing_and_creates_no_tag(checkout):
    (checkout / "new").touch()
    done = subprocess.run([sys.executable, "release/release.py"], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 1
    said = done.stdout.splitlines()
    assert said[0] == "- there are uncommitted changes: commit them"
    assert "- git has no key to sign with: git config user.signingkey KEY" in said
    assert subprocess.run(["git", "tag"], cwd=checkout, capture_output=True, text=True).stdout == ""


@pytest.fixture
def prepared(checkout, tmp_path, git):
    """The clone, with everything that a release needs."""
    changelog = checkout / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]", f"## [{gitmodel.__version__}] - 2026-11-29"))
    git(checkout, "config", "user.signingkey", str(tmp_path / "key"))
    git(checkout, "add", "--all")
    git(checkout, "commit", "-q", "-m", "Release")
    return checkout


def test_the_release_script_deletes_the_tag_whose_signature_git_does_not_accept(prepared, tmp_path, git):
    (tmp_path / "signers").write_text("", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", SIGN_WITHOUT_BUILDING], cwd=prepared, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"git verify-tag v{gitmodel.__version__}: " in done.stderr
    assert git(prepared, "tag") == ""


def test_the_release_script_builds_and_signs_a_release_and_prints_the_remaining_commands(prepared, git):
    number, checkout = gitmodel.__version__, prepared
    done = subprocess.run([sys.executable, "-c", SIGN], cwd=checkout, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    files = f"gitmodel-{number}-py3-none-any.whl gitmodel-{number}.tar.gz"
    assert f"tried SHA256SUMS {files}" in done.stdout
    assert f"git push origin v{number}" in done.stdout
    assert "twine upload" in done.stdout
    git(checkout, "verify-tag", f"v{number}")
    sums = (checkout / "dist" / number / "SHA256SUMS").read_text()
    assert sums.strip() in git(checkout, "cat-file", "tag", f"v{number}")
