"""Builds the sdist and the wheel of a commit: `python release/build.py FOLDER [COMMIT]`.

Each is built twice, from two exports of the commit that differ in path, umask and time zone, and the wheel once more
from the sdist. All bytes must be equal. FOLDER gets both files and SHA256SUMS.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def export(commit: str, folder: Path) -> Path:
    """Write the files of *commit* to the new folder *folder*, and return this folder."""
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def build(source: Path, target: Path, epoch: str, umask: int, zone: str) -> dict[str, bytes]:
    """Build the sdist and the wheel of the folder *source* into *target*, and return their bytes by the file's name.

    *epoch* is the time to write into the files (SOURCE_DATE_EPOCH). The build runs with *umask* and the time zone
    *zone*.
    """
    environ = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "TZ": zone}
    command = [sys.executable, "-m", "hatchling", "build", "-d", target]
    done = subprocess.run(command, cwd=source, env=environ, umask=umask, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"hatchling cannot build {source}:\n{done.stdout}{done.stderr}")
    return {file.name: file.read_bytes() for file in target.iterdir()}


def built(commit: str) -> dict[str, bytes]:
    """Build the sdist and the wheel of *commit* several times, and return their bytes by the file's name.

    Ends the program if two builds differ.
    """
    epoch = subprocess.run(
        ["git", "log", "-1", "--format=%ct", commit], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="gitmodel-build-") as temporary:
        place = Path(temporary)
        first = build(export(commit, place / "a"), place / "first", epoch, 0o022, "UTC")
        second = build(export(commit, place / "another" / "folder"), place / "second", epoch, 0o077, "Asia/Tokyo")
        sdist = next(name for name in first if name.endswith(".tar.gz"))
        with tarfile.open(place / "first" / sdist) as packed:
            packed.extractall(place / "unpacked", filter="data")
        unpacked = place / "unpacked" / sdist.removesuffix(".tar.gz")
        third = build(unpacked, place / "third", epoch, 0o022, "UTC")
    wheels = [{name: data for name, data in found.items() if name.endswith(".whl")} for found in (first, third)]
    if first != second or wheels[0] != wheels[1]:
        differing = [name for name in first if len({first[name], second.get(name), third.get(name)}) > 1]
        raise SystemExit(f"two builds of {commit} differ: {', '.join(differing)}")
    return first


def main(folder: Path, commit: str = "HEAD") -> None:
    """Build *commit*, and write both files and SHA256SUMS to *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = []
    for name, data in sorted(built(commit).items()):
        (folder / name).write_bytes(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        print(f"{name}: {len(data) / 1000:,.0f} kB, equal in each build")
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
