"""The file of the index, a database for searches and lists. If the file is damaged or replaced, the answers of
searches and lists stay correct, and the next search or list writes the file again.
"""

import os
import random
import sys
from types import SimpleNamespace

import pytest
from editing import run
from test_index import model, version, write

from gitmodel import Client
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.index import index_file
from gitmodel.registry.health import doctor
from gitmodel.registry.lists import index_access, model_views, version_lists

DIGEST = "sha256:" + "ab" * 32
PAGE = 4096


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A registry of two models, in which every search and list uses the index."""
    monkeypatch.setattr(index_access, "_HUNDREDS_FOR_INDEX", 0)
    monkeypatch.setattr(index_access, "_MODELS_FOR_INDEX", 0)
    make_registry(tmp_path / "repo", 18)
    with Client(tmp_path / "repo") as client:
        client.promote("wine@3", "production")
    return tmp_path / "repo"


def make_registry(repo, count):
    run(repo.parent, "init", "-q", repo.name)
    write(repo, {paths.REGISTRY: codec.encode(RegistryRecord()), **model(), **model("wine")})
    add_versions(repo, range(1, count + 1))


def add_versions(repo, numbers):
    """Commit versions with these *numbers* to each of the two models of *repo*."""
    link = ArtifactLink(name="data", kind="data", digest=DIGEST, size=1)
    write(repo, {
        path: data
        for name in ("iris", "wine")
        for number in numbers
        for path, data in version(
            number, model=name, metadata={"a": number % 7, "key": f"{number}-" * 40}, artifacts=(link,)
        ).items()
    })  # fmt: skip


# One example for each kind of question that the index answers.
QUESTIONS = [
    lambda client: [str(view) for view in client.find_versions("iris", filter="metadata.a == 3")],
    lambda client: [str(view) for view in client.find_versions(filter='metadata.key >= ""', sort="-key", limit=9)],
    lambda client: [
        (row.record.number, dict(row.record.metadata))
        for row in version_lists.VersionListing(client.writer, "iris").rows()
    ],
    lambda client: version_lists.count_versions(client.writer, "iris"),
    lambda client: [(view.name, view.latest, view.stages) for view in model_views.list_models(client.writer)[0]],
    lambda client: [(edge.source, edge.target) for edge in client.lineage(DIGEST).edges],
]


def answer(client, question):
    """Return the answer to *question*, a function of QUESTIONS. Forgets the index before, like a new process."""
    index_file._latest = None
    client._opened.lineage_at.clear()
    return question(client)


def answers(repo):
    with Client(repo) as client:
        found = [answer(client, question) for question in QUESTIONS]
    assert all(found)
    return found


def path_of(repo):
    return index_file.IndexFile(repo / ".git" / "gitmodel").path


def is_whole(repo):
    index_file._latest = None
    return index_file.IndexFile(repo / ".git" / "gitmodel").content() is not None


def damaged(rng, whole, others):
    """Return *whole*, the bytes of an index file, with random damage, such as a part of *others*, other index files."""
    size, data = len(whole), bytearray(whole)
    pages = [slice(at, at + PAGE) for at in range(0, size - PAGE, PAGE)]
    kind = rng.choice(["bit", "bit", "bits", "zeros", "noise", "swap", "short", "long", "mixed", "moved", "empty"])
    page, other = rng.sample(pages, 2)
    if kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else rng.randint(2, 9)):
            data[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind in ("zeros", "noise"):
        data[page] = bytes(PAGE) if kind == "zeros" else rng.randbytes(PAGE)
    elif kind == "swap":
        data[page], data[other] = data[other], data[page]
    elif kind in ("short", "long"):
        data = data[: rng.randrange(size)] if kind == "short" else data + rng.randbytes(rng.randint(1, PAGE))
    elif kind == "mixed":  # the end of another valid file, as if the file was copied while a process replaced it
        at = rng.choice(pages).start
        data[at:] = rng.choice(others)[at:]
    elif kind == "moved":  # one page of the file is a page of another valid file
        source = rng.choice(others)
        at = rng.randrange(0, len(source) - PAGE, PAGE)
        data[page] = source[at : at + PAGE]
    else:
        data = bytearray()
    return kind, bytes(data)


@pytest.mark.parametrize(
    ("damages", "seed"), [(300, 1), *(pytest.param(5_000, seed, marks=pytest.mark.soak) for seed in range(2, 6))]
)
def test_random_damage_to_the_file_of_the_index_changes_no_answer(repo, damages, seed):
    rng, path = random.Random(seed), path_of(repo)
    answers(repo)
    old = path.read_bytes()
    add_versions(repo, (19, 20))
    expected = answers(repo)
    whole = path.read_bytes()
    with path.open("rb") as opened:  # a second valid file: the same rows in another order
        path.unlink()
        assert answers(repo) == expected
        others = [old, path.read_bytes(), opened.read()]
    with Client(repo) as client:
        for number in range(damages):
            kind, data = damaged(rng, whole, others)
            path.write_bytes(data)
            question = rng.randrange(len(QUESTIONS))
            assert answer(client, QUESTIONS[question]) == expected[question], (seed, number, kind, question)
            assert is_whole(repo)


def test_an_older_file_or_the_file_of_another_registry_changes_no_answer(repo, tmp_path):
    make_registry(tmp_path / "other", 5)
    answers(tmp_path / "other")
    answers(repo)
    valid = [path_of(repo).read_bytes(), path_of(tmp_path / "other").read_bytes()]
    add_versions(repo, (19, 20))
    expected = answers(repo)
    for content in valid:
        path_of(repo).write_bytes(content)
        assert answers(repo) == expected


@pytest.mark.parametrize("beside", ["-wal", "-journal", "-shm"])
def test_a_journal_of_sqlite_beside_the_file_changes_no_answer(repo, beside):
    expected = answers(repo)
    path = path_of(repo)
    path.with_name(path.name + beside).write_bytes(path.read_bytes())
    assert answers(repo) == expected


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "endless"])
@pytest.mark.parametrize("part", ["path", "_lock"])
def test_a_pipe_folder_or_link_in_place_of_the_file_or_its_lock_changes_no_answer(repo, kind, part):
    expected = answers(repo)
    path = getattr(index_file.IndexFile(repo / ".git" / "gitmodel"), part)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "endless" else "missing")
    for _ in range(2):
        assert answers(repo) == expected
    assert path.is_file() or part == "_lock" or kind == "folder"


def test_damage_to_the_file_while_a_process_searches_changes_no_answer(repo):
    expected = answers(repo)
    path = path_of(repo)
    before = path.stat()
    with Client(repo) as client:
        assert QUESTIONS[0](client) == expected[0]
        with path.open("r+b") as file:
            file.write(bytes(9 * PAGE))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert QUESTIONS[0](client) == expected[0]
    assert answers(repo) == expected


def test_doctor_reports_a_damaged_file_and_deletes_it(repo):
    expected = answers(repo)
    path = path_of(repo)
    data = path.read_bytes()
    path.write_bytes(data[:5_000] + bytes([data[5_000] ^ 1]) + data[5_001:])
    index_file._latest = None
    with Client(repo) as client:
        (finding,) = (one for one in doctor.repair(client.repository, None) if one.about == "index")
        assert "does not match its checksum" in finding.message
        assert not path.exists()
        assert not [one for one in doctor.examine(client.repository, None) if one.about == "index"]
    assert answers(repo) == expected


def test_a_python_that_cannot_load_a_database_from_memory_uses_a_temporary_file(repo, monkeypatch):
    expected = answers(repo)
    data = path_of(repo).read_bytes()
    monkeypatch.setattr(index_file, "sys", SimpleNamespace(version_info=(3, 10)))
    assert answers(repo) == expected
    assert path_of(repo).read_bytes() == data
    path_of(repo).unlink()
    assert answers(repo) == expected
    monkeypatch.setattr(index_file, "sys", sys)
    assert answers(repo) == expected
    assert is_whole(repo)
