"""Searches with the index, an SQLite database derived from the branch, find the same as searches that read all records.

This must be so also while processes write the index or are killed, and if the index is outdated or deleted.
"""

import os
import random
import signal
import stat
import subprocess
import sys
from datetime import date, datetime, time, timedelta, timezone

import pytest
from editing import run
from transcripts import ask, succeed

from gitmodel import Client
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import ModelRecord, VersionRecord
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.errors import UsageError
from gitmodel.index import index_file, searching, updating
from gitmodel.registry.health import doctor
from gitmodel.registry.lists import index_access, version_lists

WHEN = datetime(2026, 11, 23, 10, 12, 13, tzinfo=timezone.utc)
BRANCH = "refs/heads/gitmodel"
KEYS = ["accuracy", "test.auc", "it's", 'q"uote', "50%", "sl/ash", "til~de", "nul\0key", "Ünïcode", "flag", "split"]
NUMBERS = [0, 1, -1, 0.5, 0.1 + 0.2, -0.0, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 1e308, float("inf")]
TEXTS = ["", "a", "b", "a\0b", "é", "a" * 200, "a" * 200 + "b", "a" * 199 + "é", "2026-11-23", "10:12:13", "3"]
OTHERS = [
    float("nan"),
    True,
    False,
    WHEN,
    WHEN.astimezone(timezone(timedelta(hours=-7))),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    datetime(2026, 11, 23),
    date(2026, 11, 23),
    time(10, 12, 13),
    {},
    {"a": 1, "b": {"a": 2}},
    [],
    [1, 2.5],
    ["a", "é"],
    [[1], [2]],
    [{"a": 1}],
    [*range(40)],
]
VALUES = [*NUMBERS, *TEXTS, *OTHERS]


def write(repo, files, *, onto=BRANCH):
    """Commit *files* to the branch *onto*, by path: bytes are a file, text is a symbolic link, None deletes a path."""
    tip = subprocess.run(["git", "rev-parse", "-q", "--verify", onto], cwd=repo, capture_output=True, check=False)
    lines = [f"commit {onto}\ncommitter Ada <ada@example.com> {int(WHEN.timestamp())} +0000\ndata 4\nEdit\n".encode()]
    lines += [b"from " + tip.stdout] if tip.stdout else []
    for path, data in files.items():
        if data is None:
            lines.append(f"D {path}\n".encode())
            continue
        mode, data = ("120000", data.encode()) if isinstance(data, str) else ("100644", data)
        lines.append(f"M {mode} inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
    run(repo, "fast-import", "--quiet", "--force", input=b"".join(lines))
    return run(repo, "rev-parse", onto)


def version(number, *, model="iris", **fields):
    record = VersionRecord(number=number, created=WHEN, **fields)
    return {paths.version_file(model, number): codec.encode(record)}


def model(name="iris"):
    return {paths.model_file(name): codec.encode(ModelRecord(created=WHEN))}


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A registry with the model iris, without versions. Searches use the index also for few versions."""
    run(tmp_path, "init", "-q", "repo")
    write(tmp_path / "repo", {paths.REGISTRY: codec.encode(RegistryRecord()), **model()})
    monkeypatch.setattr(index_access, "_HUNDREDS_FOR_INDEX", 0)
    return tmp_path / "repo"


@pytest.fixture
def used(monkeypatch):
    """A list that grows with each search: by the version numbers that the index found, or None if it was not used."""
    answers, find = [], searching.Index.find_versions

    def spy(self, *arguments, **options):
        found = find(self, *arguments, **options)
        answers.append(found and [one.number for one in found.versions])
        return found

    monkeypatch.setattr(searching.Index, "find_versions", spy)
    return answers


def outcome(client, text, *, model="iris", **page):
    """List the versions of *model* with the filter *text*; return numbers and errors of records, or a UsageError."""
    try:
        found, damaged = version_lists.list_versions(client.writer, model, filter=text, **page)
    except UsageError as error:
        return error.message, error.hint
    return [view.record.number for view in found], [error.message for error in damaged]


def searched(client, text, **options):
    """Search all models with the filter *text*. Returns versions and errors of records, or a UsageError."""
    try:
        found = client.find_versions(filter=text, **options)
    except UsageError as error:
        return error.message, error.hint
    return [str(view) for view in found], [error.message for error in found.damaged]


def both(client, monkeypatch, text, outcome=outcome, **options):
    """Call the search *outcome* with the filter *text*; return its results without and with the index."""
    with monkeypatch.context() as patch:
        patch.setattr(index_access, "_HUNDREDS_FOR_INDEX", 10**9)
        without = outcome(client, text, **options)
    return without, outcome(client, text, **options)


def databases(repo):
    return sorted((repo / ".git" / "gitmodel").glob("index-*.sqlite"))


def awkward(rng, number):
    """Return the file of version *number* of iris, with random metadata, tags and names that are hard to search."""
    chosen = rng.sample(KEYS, rng.randint(0, 5))
    fields = {"metadata": {key: rng.choice(VALUES) for key in chosen}}
    if "split" in fields["metadata"]:
        fields["metadata"]["split"] = {"rows": rng.choice(VALUES), "deep": {"x": rng.choice(VALUES)}}
    if "flag" in fields["metadata"] and rng.random() < 0.8:
        fields["metadata"]["flag"] = rng.random() < 0.5
    fields["tags"] = tuple(sorted(rng.sample(["baseline", "é", "weekly", "x"], rng.randint(0, 3))))
    if rng.random() < 0.3:
        fields["name"] = f"v{number}"
    if rng.random() < 0.15:
        fields |= {"deleted": WHEN, "reason": "wrong"}
    return version(number, **fields)


def literal(rng, value):
    """Return *value* as a literal of a filter; a random number instead if it has no literal."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)) and abs(value) != float("inf") and value == value:
        return repr(value) if "e" not in repr(value) else f"{value:.1f}"
    return f'"{value}"' if isinstance(value, str) else literal(rng, rng.choice(NUMBERS))


def clause(rng):
    path = rng.choice(
        [(key,) for key in KEYS] + [("split", "rows"), ("split", "deep", "x"), ("split", "deep"), ("typo",)]
    )
    name = "metadata" + "".join(f'["{step}"]' if '"' not in step else f"['{step}']" for step in path)
    sign = rng.choice(["==", "!=", "<", "<=", ">", ">="])
    value = literal(rng, rng.choice([*NUMBERS, *TEXTS, True, False]))
    return rng.choice(
        [
            f"{name} {sign} {value}",
            f"{name} {sign} {value}",
            f"{name} {sign} {value}",
            f"{value} {sign} {name}",
            f"{value} in {name}",
            f"{value} in {name}",
            f"{value} in metadata",
            f'"{rng.choice(["baseline", "é", "none"])}" in tags',
            f'name {sign} "v{rng.randint(1, 130)}"',
            "metadata.flag",
            "!metadata.flag",
            f"number {sign} {rng.randint(1, 130)}",
            f'stage == "{rng.choice(["none", "production"])}"',
        ]
    )


@pytest.mark.parametrize(
    ("filters", "seed"), [(100, 1), *(pytest.param(270, seed, marks=pytest.mark.soak) for seed in range(2, 12))]
)
def test_random_filters_find_the_same_versions_with_and_without_the_index(repo, monkeypatch, used, filters, seed):
    rng = random.Random(seed)
    numbers = [*range(1, 20), *range(95, 112), *range(300, 305)]
    files = {path: data for number in numbers for path, data in awkward(rng, number).items()}
    write(repo, {**files, paths.version_file("iris", 7): b"number = ", paths.version_file("iris", 101): "7.toml"})
    with Client(repo) as client:
        for _ in range(filters):
            text = " && ".join(clause(rng) for _ in range(rng.choice([1, 1, 2, 3])))
            page = {"limit": rng.choice([None, None, 0, 1, 5]), "offset": rng.choice([0, 0, 2])}
            without, found = both(client, monkeypatch, text, **page)
            assert found == without, (text, page)
    assert sum(answer is not None for answer in used) > filters / 4
    assert sum(bool(answer) for answer in used) > filters / 8


@pytest.mark.parametrize(
    ("searches", "seed"), [(60, 1), *(pytest.param(270, seed, marks=pytest.mark.soak) for seed in range(2, 6))]
)
def test_random_searches_have_the_same_order_with_and_without_the_index(repo, monkeypatch, used, searches, seed):
    rng = random.Random(seed)
    files = {}
    for name in ("iris", "a", "a-b", "gone"):  # git lists the folder a-b before the folder a
        files |= model(name)
        for number in (*range(1, 12), *range(99, 103)):
            files |= {path.replace("iris", name): data for path, data in awkward(rng, number).items()}
    gone = ModelRecord(created=WHEN, deleted=WHEN, last_number=102)
    write(repo, {**files, paths.model_file("gone"): codec.encode(gone), paths.version_file("a", 7): b"number = "})
    fields = ["number", "created", "name", "code.commit", "typo", "split.rows", "split", "flag"]
    with Client(repo) as client:
        for _ in range(searches):
            text = rng.choice(["", clause(rng), f"{clause(rng)} && {clause(rng)}"])
            options = {
                "model": rng.choice([None, None, "iris", "a"]),
                "sort": rng.choice(["", "-"]) + rng.choice([*KEYS, *fields]) if rng.random() < 0.8 else "",
                "limit": rng.choice([None, 0, 1, 3, 10]),
                "offset": rng.choice([0, 0, 2]),
            }
            if text == options["sort"] == "-":
                continue
            without, found = both(client, monkeypatch, text, searched, **options)
            assert found == without, (text, options)
            whole = searched(client, text, **{**options, "limit": None, "offset": 0})[0]
            if options["limit"] is not None and isinstance(whole, list):
                assert found[0] == whole[options["offset"] :][: options["limit"]], (text, options)
    assert sum(answer is not None for answer in used) > searches / 4


@pytest.mark.parametrize("key", ["it's", 'q"uote', "test.auc", "50%", "a_b", "sl/ash", "~0", "nul\0", "[0]", "Ü"])
def test_a_search_for_a_key_with_punctuation_finds_no_similar_key(repo, used, key):
    others = ["its", "quote", "test", "50", "axb", "slash", "~", "nul", "0", "U"]
    similar = [version(number, metadata={other: 1}) for number, other in enumerate(others, start=2)]
    write(repo, {path: data for one in [version(1, metadata={key: 1}), *similar] for path, data in one.items()})
    quote = "'" if '"' in key else '"'
    with Client(repo) as client:
        assert outcome(client, f"metadata[{quote}{key}{quote}] == 1") == ([1], [])
    assert used == [[1]]


def test_an_update_of_the_index_reads_only_the_versions_that_changed(repo, monkeypatch):
    numbers = [*range(1, 60), *range(100, 160), *range(200, 260)]
    write(repo, {path: data for n in numbers for path, data in version(n, metadata={"a": n}).items()})
    read, add = [], updating.Update._add

    def spy(self, changes):
        read.extend(change.path for change in changes)
        add(self, changes)

    with Client(repo) as client:
        assert outcome(client, "metadata.a >= 259") == ([259], [])
        monkeypatch.setattr(updating.Update, "_add", spy)
        write(repo, {**version(260, metadata={"a": 300}), **version(105, metadata={"a": 500})})
        assert outcome(client, "metadata.a >= 259") == ([260, 259, 105], [])
        assert sorted(read) == [paths.version_file("iris", number) for number in (105, 260)]
        write(repo, {**model("wine"), **version(1, model="wine", metadata={"a": 1})})
        assert outcome(client, "metadata.a >= 259") == ([260, 259, 105], [])
    assert len(read) == 2  # a changed version of another model was not read for this search


def test_a_page_of_a_search_with_the_index_reads_few_records_and_no_trees(repo, used, decoded):
    numbers = [*range(1, 100), *range(100, 160)]
    write(repo, {path: data for n in numbers for path, data in version(n, metadata={"a": n % 2}).items()})
    with Client(repo) as client:
        assert outcome(client, "metadata.a == 5") == ([], [])
    decoded.clear()
    with Client(repo) as client:
        assert outcome(client, "metadata.a == 1", limit=2, offset=1)[0] == [157, 155]
        assert "models/iris/versions/1xx" not in [path for _, path in client.repository.trees.cached_folders]
    assert len([path for path in decoded if "versions" in path]) == 20
    assert used == [[], [*range(159, 0, -2)]]


def test_searches_find_the_right_versions_after_the_branch_is_rewritten_or_moved_back(repo, monkeypatch, used):
    rng, commits = random.Random(5), []
    for step in range(21):
        numbers = rng.sample([*range(1, 20), *range(95, 110)], 4)
        files = {path: data for number in numbers for path, data in awkward(rng, number).items()}
        if step % 5 == 4:
            removed = f"{rng.choice(numbers)}.toml" if step % 2 else "1xx"
            files[f"models/iris/versions/{removed}"] = None
        files = {path: data for path, data in files.items() if data is not None or f"{path}/" not in "".join(files)}
        commits.append(write(repo, files))
    run(repo, "update-ref", BRANCH, commits[4])
    commits.append(write(repo, version(3, metadata={"accuracy": 0.7})))  # history was rewritten
    texts = ['metadata.accuracy >= 0 && "é" in tags', "!metadata.flag"]
    with Client(repo) as client:
        for at in [*range(22), *reversed(range(22)), *rng.sample(range(22), 8)]:
            (repo / ".git" / BRANCH).write_text(f"{commits[at]}\n")
            for text in texts:
                without, found = both(client, monkeypatch, text)
                assert found == without, (at, text)
    assert sum(bool(answer) for answer in used) > 30


def fork(work):
    """Call *work* in a child process, and return the id of the child."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return child


def exit_code_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def search_until_killed(repo, pieces):
    """Search in a child process that kills itself when it has written *pieces* pieces of the index; return its id."""

    def search():
        written, write_piece = [], updating.Update._write

        def write_and_count(self, steps):
            write_piece(self, steps)
            written.append(steps)
            if len(written) == pieces:
                os.kill(os.getpid(), signal.SIGKILL)

        updating.Update._write = write_and_count
        with Client(repo) as client:
            outcome(client, "metadata.a == 3")

    return fork(search)


@pytest.fixture
def decoded(monkeypatch):
    """A list of the paths of all records that are decoded after `decoded.clear()`."""
    paths, decode = [], codec.decode

    def spy(kind, data, path, **options):
        paths.append(path)
        return decode(kind, data, path, **options)

    monkeypatch.setattr(codec, "decode", spy)
    return paths


@pytest.mark.parametrize("commits", [1, 2, 3, 5])
@pytest.mark.parametrize("begun", [False, True])
def test_the_next_search_completes_an_index_whose_writer_was_killed(repo, monkeypatch, used, commits, begun):
    numbers = [*range(1, 40), *range(100, 140)]
    first = write(repo, {path: data for n in numbers for path, data in version(n, metadata={"a": n % 7}).items()})
    monkeypatch.setattr(updating, "_PIECE", 12)
    if begun:
        with Client(repo) as client:
            assert outcome(client, "metadata.a == 3")[0] == [n for n in reversed(numbers) if n % 7 == 3]
    second = write(repo, {path: data for n in numbers for path, data in version(n, metadata={"a": n % 5}).items()})
    # The child is killed inside the next transaction after *commits* finished transactions.
    assert exit_code_of(search_until_killed(repo, commits + 1)) == -signal.SIGKILL
    for tip, divisor in ((first, 7), (second, 5), (first, 7)):
        run(repo, "update-ref", BRANCH, tip)
        with Client(repo) as client:
            assert outcome(client, "metadata.a == 3")[0] == [n for n in reversed(numbers) if n % divisor == 3]
    assert None not in used


def test_searches_find_the_right_versions_while_processes_that_write_the_index_are_killed(repo, monkeypatch):
    numbers = [*range(1, 40), *range(100, 140)]
    tips = [
        (write(repo, {path: data for n in numbers for path, data in version(n, metadata={"a": n % d}).items()}), d)
        for d in (7, 5)
    ]
    monkeypatch.setattr(updating, "_PIECE", 12)
    reads = 0
    for kill in range(8):
        tip, divisor = tips[kill % 2]
        run(repo, "update-ref", BRANCH, tip)
        builder = search_until_killed(repo, 1 + kill // 2)
        with Client(repo) as client:
            while True:
                is_over = os.waitpid(builder, os.WNOHANG)[0]
                assert outcome(client, "metadata.a == 3")[0] == [n for n in reversed(numbers) if n % divisor == 3]
                reads += 1
                if is_over:
                    break
    assert reads > 8
    assert len(databases(repo)) == 1


def test_searches_find_the_right_versions_at_every_moment_of_an_update_of_the_index(repo, monkeypatch, used):
    numbers = [*range(1, 40), *range(100, 140)]
    old = write(repo, {path: data for n in numbers for path, data in version(n, metadata={"a": n % 7}).items()})
    monkeypatch.setattr(updating, "_PIECE", 12)
    with Client(repo) as client, Client(repo) as reader:
        assert outcome(client, "metadata.a == 3")[0] == [n for n in reversed(numbers) if n % 7 == 3]
        new = write(repo, {path: data for n in numbers for path, data in version(n, metadata={"a": n % 5}).items()})
        moments, write_piece = [], updating.Update._write

        def read_beside(self, steps):
            monkeypatch.setattr(updating.Update, "_write", write_piece)
            write_piece(self, steps)
            for tip, divisor in ((old, 7), (new, 5)):
                run(repo, "update-ref", BRANCH, tip)
                moments.append(outcome(reader, "metadata.a == 3")[0])
                assert moments[-1] == [n for n in reversed(numbers) if n % divisor == 3]
            monkeypatch.setattr(updating.Update, "_write", read_beside)

        monkeypatch.setattr(updating.Update, "_write", read_beside)
        outcome(client, "metadata.a == 3")
        assert len(moments) > 8
        assert None in used  # None: a search during the update read the records instead of the index


def test_a_search_finds_the_right_versions_if_the_index_is_deleted_while_it_is_read(repo, monkeypatch, used):
    write(repo, {path: data for n in range(1, 9) for path, data in version(n, metadata={"a": n}).items()})
    run_search = searching._Search.run

    def delete_first(search, *arguments, **options):
        for path in (repo / ".git" / "gitmodel").iterdir():
            path.unlink()
        # This client stands for another process. It creates a new index.
        with monkeypatch.context() as patch, Client(repo) as other:
            patch.setattr(searching._Search, "run", run_search)
            assert outcome(other, "metadata.a >= 8") == ([8], [])
        return run_search(search, *arguments, **options)

    with Client(repo) as client:
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        monkeypatch.setattr(searching._Search, "run", delete_first)
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        monkeypatch.setattr(searching._Search, "run", run_search)
        write(repo, version(9, metadata={"a": 9}))
        assert outcome(client, "metadata.a >= 7") == ([9, 8, 7], [])
    assert None not in used
    assert len(databases(repo)) == 1


def test_a_release_of_gitmodel_with_another_format_of_the_index_uses_another_file(repo, monkeypatch, used):
    write(repo, {path: data for n in range(1, 9) for path, data in version(n, metadata={"a": n}).items()})
    with Client(repo) as client:
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        with monkeypatch.context() as patch:
            patch.setattr(index_file, "FORMAT", 99)
            assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        (database, other) = databases(repo)
        before = database.read_bytes(), other.read_bytes()
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        assert before == (database.read_bytes(), other.read_bytes())
    assert used == [[8, 7]] * 3


def test_a_search_reads_the_records_if_the_index_is_locked_or_its_folder_cannot_be_created(repo, used):
    write(repo, {path: data for n in range(1, 9) for path, data in version(n, metadata={"a": n}).items()})
    with Client(repo) as client:
        file = index_file.IndexFile(client.repository.own_folder)
        with file.locked() as is_locked:
            assert is_locked
            assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        for left in (repo / ".git" / "gitmodel").iterdir():
            left.unlink()
        (repo / ".git" / "gitmodel").rmdir()
        (repo / ".git" / "gitmodel").write_bytes(b"")
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
    assert used == [None, None]


def test_without_sqlite_a_search_reads_the_records(repo, monkeypatch):
    write(repo, {path: data for n in range(1, 9) for path, data in version(n, metadata={"a": n}).items()})
    for name in [name for name in sys.modules if name.startswith("gitmodel.index.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlite3", None)  # makes `import sqlite3` raise ImportError
    with Client(repo) as client:
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        assert searched(client, "metadata.a >= 7", sort="a", limit=1) == (["iris@7"], [])
        assert not [finding for finding in doctor.examine(client.repository, None) if finding.about == "index"]
    assert not databases(repo)


def test_a_filter_of_110_clauses_does_not_cause_the_index_to_be_built_again(repo, used):
    write(repo, {path: data for n in range(1, 9) for path, data in version(n, metadata={"a": n}).items()})
    text = " && ".join(["metadata.a>=7"] * 110)
    with Client(repo) as client:
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        before = databases(repo)
        assert outcome(client, text) == ([8, 7], [])
        assert databases(repo) == before


@pytest.mark.parametrize("most", [0, 100, 5_000, 40_000])
def test_on_a_full_disk_a_search_reads_the_records(repo, most):
    write(repo, {path: data for n in range(1, 90) for path, data in version(n, metadata={"a": n}).items()})

    def search():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        with Client(repo) as client:
            for _ in range(2):
                if outcome(client, "metadata.a > 87") != ([89, 88], []):
                    os._exit(3)

    assert exit_code_of(fork(search)) == 0
    with Client(repo) as client:
        assert outcome(client, "metadata.a > 87") == ([89, 88], [])


@pytest.mark.parametrize("name", ["412.toml", "4xx.toml", "4xx/1000000000000.toml", "99999999999xx/9999999999999.toml"])
def test_a_search_reports_a_file_with_a_wrong_name_in_the_folder_of_the_versions(repo, monkeypatch, used, name):
    write(repo, {**version(4, metadata={"a": 1}), f"models/iris/versions/{name}": b"number = 1\n"})
    with Client(repo) as client:
        without, found = both(client, monkeypatch, "metadata.a == 1")
        assert found == without
        assert 4 in found[0]


def test_a_search_accepts_unknown_keys_only_in_a_registry_of_a_newer_format(repo, used):
    (path, data), *_ = version(2, metadata={"a": 2}).items()
    write(repo, {**version(1, metadata={"a": 1}), path: data.replace(b"[metadata]", b"colour = 3\n\n[metadata]")})
    with Client(repo) as client:
        assert outcome(client, "metadata.a < 9")[0] == [1]
        write(repo, {paths.REGISTRY: codec.encode(RegistryRecord(format="1.99"))})
        assert outcome(client, "metadata.a < 9") == ([2, 1], [])
        write(repo, {paths.REGISTRY: codec.encode(RegistryRecord())})
        numbers, damaged = outcome(client, "metadata.a < 9")
        assert numbers == [1]
        assert "colour" in damaged[0]
    assert None not in used


def test_an_error_of_a_filter_in_one_version_is_the_same_with_and_without_the_index(repo, monkeypatch, used):
    write(repo, {**version(1, metadata={"a": 1, "flag": 3}), **version(2, metadata={"a": 2, "flag": True})})
    with Client(repo) as client:
        for text in ("metadata.a > 1 && metadata.flag", "metadata.flag && metadata.a > 1", "metadata.flag"):
            without, found = both(client, monkeypatch, text)
            assert found == without
        assert outcome(client, "metadata.a > 1 && metadata.flag") == ([2], [])
        assert "neither true nor false" in outcome(client, "metadata.flag && metadata.a > 1")[0]


def test_files_of_the_index_have_the_permissions_of_a_shared_repository(repo):
    run(repo, "config", "core.sharedRepository", "group")
    write(repo, version(1, metadata={"a": 1}))
    with Client(repo) as client:
        client.repository.share()
        assert outcome(client, "metadata.a > 0") == ([1], [])
    for path in databases(repo):
        assert stat.S_IMODE(path.stat().st_mode) & 0o060 == 0o060


def test_doctor_deletes_an_index_that_differs_from_a_newly_built_index(repo, used):
    write(repo, {**model("wine"), **version(1, model="wine", metadata={"a": 9})})
    write(repo, {path: data for n in range(1, 9) for path, data in version(n, metadata={"a": n}).items()})
    with Client(repo) as client:
        outcome(client, "metadata.a >= 0", model="wine")
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])
        assert not [finding for finding in doctor.examine(client.repository, None) if finding.about == "index"]
        file = index_file.IndexFile(client.repository.own_folder)
        file.change(lambda database: database.execute("DELETE FROM fact WHERE value = 8"))
        # Searches use the changed index, because `change` also wrote a new checksum.
        assert outcome(client, "metadata.a >= 7") == ([7], [])
        (finding,) = (one for one in doctor.repair(client.repository, None) if one.about == "index")
        assert "for iris:" in finding.message
        assert outcome(client, "metadata.a >= 7") == ([8, 7], [])


def test_a_table_of_all_versions_is_the_same_with_and_without_the_index(repo, monkeypatch, capsys, decoded):
    rng = random.Random(11)
    numbers = [*range(1, 30), *range(95, 112), *range(300, 305)]
    files = {path: data for number in numbers for path, data in awkward(rng, number).items()}
    files |= version(31, description="x" * 2_000) | version(32, description='"\n\x1b\u202e花', failed=True)
    files |= version(33, metadata={f"k{n}": n for n in range(40)}) | version(34, metadata={"a.b": 1, "a": {"b": 2}})
    files[paths.version_file("iris", 35)] = codec.encode(VersionRecord(number=36, created=WHEN, name="other"))
    files[paths.archived_file("iris", 5)] = files[paths.archived_file("iris", 303)] = b""
    write(repo, {**files, paths.version_file("iris", 7): b"number = ", paths.version_file("iris", 101): "7.toml"})
    monkeypatch.setenv("COLUMNS", "300")
    command = ["-C", str(repo), "version", "list", "iris"]
    with monkeypatch.context() as patch:
        patch.setattr(index_access, "_HUNDREDS_FOR_INDEX", 10**9)
        without = ask(capsys, *command)
    assert ask(capsys, *command) == without
    assert "archived" in without[1]
    assert without[2].count("warning") == 2
    decoded.clear()
    assert ask(capsys, *command) == without
    assert 0 < len([path for path in decoded if "/versions/" in path]) < len(numbers) / 2


def test_a_table_with_a_limit_and_offset_or_a_filter_has_exactly_the_selected_versions(repo, capsys):
    write(repo, {path: data for n in range(1, 9) for path, data in version(n, metadata={"a": n}).items()})
    assert ask(capsys, "-C", str(repo), "version", "list", "iris")[1].count("\n") == 9
    for words, numbers in ((["--limit", "2", "--offset", "1"], "76"), (["--filter", "metadata.a > 6"], "87")):
        rows = ask(capsys, "-C", str(repo), "version", "list", "iris", *words)[1].splitlines()[1:]
        assert "".join(row[0] for row in rows) == numbers


COMMANDS = ["list", "show iris", "version show iris@1", "resolve iris@1", "promote iris@1 staging"]


@pytest.mark.parametrize("command", [*COMMANDS, "check", "version create iris", "metadata set iris@1 a=2", "apply"])
def test_commands_that_do_not_search_do_not_load_sqlite(repo, monkeypatch, capsys, command):
    write(repo, version(1, metadata={"a": 1}))
    monkeypatch.chdir(repo)
    hidden = [name for name in sys.modules if name in ("sqlite3", "_sqlite3") or name.startswith("gitmodel.index.")]
    for name in [*hidden, "sqlite3"]:
        monkeypatch.setitem(sys.modules, name, None)  # makes an import of the module raise ImportError
    succeed(capsys, *command.split())
