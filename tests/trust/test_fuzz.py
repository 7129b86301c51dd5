"""Fuzzing of the functions that read data from other people: records, references, manifests and git trees."""

import os
import subprocess
import sys
import time

import fuzz_targets
import pytest

SEEDS = [(path.parent.name, path) for path in sorted(fuzz_targets.CORPUS.glob("*/*"))]


def test_every_fuzz_target_has_a_corpus():
    assert {name for name, _ in SEEDS} == set(fuzz_targets.TARGETS)


@pytest.mark.parametrize(("name", "path"), SEEDS, ids=[f"{name}-{path.name}" for name, path in SEEDS])
def test_every_fuzz_target_accepts_its_corpus(name, path):
    began = time.process_time()
    fuzz_targets.TARGETS[name](path.read_bytes())
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_fuzzing_finds_no_broken_guarantee(name, tmp_path, soak):
    pytest.importorskip("atheris", reason="atheris is not installed (it has no release for this Python or machine)")
    found = tmp_path / "found"
    found.mkdir()
    runs = 300_000 if soak else 1_000
    done = subprocess.run(
        [
            sys.executable,
            fuzz_targets.__file__,
            name,
            f"-atheris_runs={runs}",
            "-max_len=70000" if soak else "-max_len=2000",
            "-timeout=10",
            f"-max_total_time={300 if soak else 10}",
            f"-artifact_prefix={found}{os.sep}",
            str(found),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
