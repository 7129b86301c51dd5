"""Signs the tag of a release and builds its files: `python release/release.py [--dry-run]`.

The version is that in gitmodel/version.py. The script stops if a release needs something that is missing, such as a
section of the changelog. It publishes nothing: at the end it prints the commands for a person who may publish. With
--dry-run, it creates no tag and does not try the wheel.
"""

import re
import subprocess
import sys

import build
import trial

ROOT = build.ROOT


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def version() -> str:
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "gitmodel" / "version.py").read_text(), re.MULTILINE)
    assert found
    return found[1]


def problems(number: str) -> list[str]:
    """Return a text for each reason why version *number* cannot be released, such as uncommitted changes."""
    found = []
    if git("status", "--porcelain"):
        found.append("there are uncommitted changes: commit them")
    if git("tag", "--list", f"v{number}"):
        found.append(f"there is a tag v{number}: raise the number in gitmodel/version.py")
    if not re.search(
        rf"^## \[{re.escape(number)}\] - \d{{4}}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    ):
        found.append(f"CHANGELOG.md has no section `## [{number}] - YYYY-MM-DD`: rename [Unreleased]")
    if not git("config", "--default", "", "--get", "user.signingkey"):
        found.append("git has no key to sign with: git config user.signingkey KEY")
    return found


def main(dry: bool) -> None:
    """Check and build the release. Unless *dry*, also try the wheel and sign the tag. Print the remaining commands."""
    number = version()
    found = problems(number)
    for problem in found:
        print(f"- {problem}")
    if found:
        raise SystemExit(f"version {number} cannot be released yet")
    folder = ROOT / "dist" / number
    build.main(folder)
    if not dry:
        trial.main(folder)
        git("tag", "-s", "-m", f"gitmodel {number}", "-m", (folder / "SHA256SUMS").read_text(), f"v{number}")
        try:
            git("verify-tag", f"v{number}")
        except SystemExit:
            git("tag", "-d", f"v{number}")  # otherwise the next attempt would find the tag and stop
            raise
    print(
        f"""
Nothing was published{", and no tag was created" if dry else ""}. What is left for a person who may publish:

  git push origin v{number}
  python -m twine upload {folder.relative_to(ROOT)}/gitmodel-{number}*

Attach SHA256SUMS to the release notes; the signed tag contains it, too. A build of the tag gives the same bytes:

  git checkout v{number} && python3 noxfile.py -s package && diff dist/SHA256SUMS {folder.relative_to(ROOT)}/SHA256SUMS
"""
    )


if __name__ == "__main__":
    main("--dry-run" in sys.argv[1:])
