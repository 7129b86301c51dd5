"""Damage in one model never affects the other models, and gitmodel names each damaged file.

The damages are a branch that was edited by hand, damaged files of a store and of git, forged tags, and hostile text.
"""

import os
import re
import subprocess
import time
from contextlib import suppress
from functools import partial

import pytest
from expected_errors import error_with_hint

from gitmodel import Client, Conflict, GitModelError, Invalid, NotFound, UsageError
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.names import fold
from gitmodel.domain.schema.references import VersionRef
from gitmodel.git.objects.object_formats import Entry, NewObject, format_tree, parse_tree
from gitmodel.lineage.history.holdings import history
from gitmodel.registry.health import checking, doctor
from gitmodel.registry.linked_artifacts import verifying
from gitmodel.registry.lists import model_views, version_lists
from gitmodel.registry.promotion import put_in_force, stages
from gitmodel.registry.records import finding, models, versions

BRANCH = "refs/heads/gitmodel"
DIGEST = "sha256:" + "0" * 64


class Edited:
    """The metadata branch of *registry*, with methods that change it without the checks of gitmodel."""

    def __init__(self, registry, git):
        self.registry, self.git = registry, git
        self.objects = registry.repository.objects

    def blob(self, content):
        new = NewObject("blob", content if isinstance(content, bytes) else content.encode())
        self.objects.write([new])
        return new.id

    def write(self, files):
        """Commit *files*, a dictionary from paths to contents, or to pairs of mode and object id.

        Unlike git's commands, this accepts names with any byte that a git tree can contain.
        """
        tree = self.tree(self.git(self.registry.path, "rev-parse", f"{BRANCH}^{{tree}}"), files)
        commit = self.git(self.registry.path, "commit-tree", tree, "-p", BRANCH, "-m", "Edit by hand")
        self.git(self.registry.path, "update-ref", BRANCH, commit)

    def tree(self, id, files):
        """Write the tree *id* (or an empty tree if *id* is "") with *files* added; return the id of the new tree."""
        entries = {}
        if id:
            command = ["git", "cat-file", "tree", id]
            done = subprocess.run(command, cwd=self.registry.path, capture_output=True, check=True)
            entries = dict(parse_tree(done.stdout))
        below = {}
        for path, content in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {})[rest] = content
            elif isinstance(content, tuple):
                entries[name] = Entry(*content)
            else:
                entries[name] = Entry("100644", self.blob(content))
        for name, inside in below.items():
            old = entries.get(name)
            entries[name] = Entry("40000", self.tree(old.id if old and old.mode == "40000" else "", inside))
        new = NewObject("tree", format_tree(entries))
        self.objects.write([new])
        return new.id


@pytest.fixture
def edited(registry, git):
    """The undamaged model `rose`, and the model `iris`, whose files the test damages."""
    # `rose` has another title, so that the two models have no git object in common that a test could damage.
    models.register_model(registry.writer, "rose", {"title": "Rose"})
    for model in ("rose", "iris"):
        for _ in range(2):
            registry.register(model=model)
        registry.promote(f"{model}@1")
    return Edited(registry, git)


def found(registry):
    began = time.monotonic()
    problems = checking.check(registry.repository)
    assert time.monotonic() - began < 20
    return {(problem.path, problem.key, problem.rule) for problem in problems}


def assert_rose_works(registry):
    """Fail unless all commands on `rose` and the lists of all models work despite the damage."""
    views, damaged = model_views.list_models(registry.writer)
    assert "rose" in [view.name for view in views]
    for error in damaged:
        assert isinstance(error, Invalid)
    number = registry.register(model="rose")["number"]
    assert registry.promote(f"rose@{number}")["version"] == number
    assert finding.find(registry.writer, VersionRef.parse("rose@production")).record.number == number
    assert version_lists.list_versions(registry.writer, "rose")[1] == []
    assert stages.list_stages(registry.writer, "rose")
    assert next(iter(history(registry.repository, "rose", "production"))).version == number
    assert all(not seen.error for seen in verifying.verify(registry.writer, registry.source, [VersionRef("rose", "1")]))
    put_in_force.apply(registry.repository)
    put_in_force.apply(registry.repository, ("rose",))
    for fault in doctor.examine(registry.repository, registry.store):
        assert fault.message
    doctor.repair(registry.repository, registry.store)
    assert finding.find(registry.writer, VersionRef.parse("rose@production")).record.number == number


VERSION = "models/iris/versions/2.toml"
CREATED = "created = 2026-11-23T10:12:13Z\n"
STAGED = f'version = 1\nartifacts = "{DIGEST}"\n'
SOUND = "number = 2\ncreated = 2026-11-23T10:12:13Z\n"

WRONG = {
    "broken TOML": (VERSION, "number = \n", "", "record.syntax"),
    "not UTF-8": (VERSION, b"number = 2\ndescription = \"\xff\"\n", "", "record.syntax"),
    "empty": (VERSION, "", "number", "record.required"),
    "a NUL": (VERSION, b"number = 2\0\n", "", "record.syntax"),
    "a wrong type": (VERSION, SOUND + 'description = 3\n', "description", "record.type"),
    "a date for a number": (VERSION, "number = 2026-11-23\ncreated = 2026-11-23T10:12:13Z\n", "number", "record.type"),
    "a number of 5,000 digits": (VERSION, f"number = {'9' * 5000}\n", "", "record.syntax"),
    "a number beyond 64 bits": (VERSION, f"number = {2**64}\n", "number", "record.type"),
    "an unknown key": (VERSION, SOUND + 'colour = "red"\n', "colour", "record.unknown-key"),
    "a hostile unknown key": (VERSION, SOUND + '"\\u001b[31m\\n\\u202e" = 1\n', None, "record.unknown-key"),
    "not canonical": (VERSION, "created=2026-11-23T10:12:13Z\nnumber=2\n", "", "record.canonical"),
    "another number": (VERSION, "number = 7\ncreated = 2026-11-23T10:12:13Z\n", "number", "version.number"),
    "50 MB": (VERSION, b"# " + b"x" * 50_000_000 + b"\n", "", "record.size"),
    "a million keys": (VERSION, "".join(f"k{n} = {n}\n" for n in range(1_000_000)), "", "record.size"),
    "as many keys as fit": (VERSION, "".join(f"k{n}=1\n" for n in range(8_000)), "k0", "record.unknown-key"),
    "a deep key": (VERSION, "a" + ".a" * 30_000 + " = 1\n", "", "record.syntax"),
    "deep arrays": (VERSION, "a = " + "[" * 60_000, "", "record.syntax"),
    "deep tables": (VERSION, "a = " + "{a = " * 10_000, "", "record.syntax"),
    "deep headers": (VERSION, "[" + "a." * 30_000 + "a]\n", "", "record.syntax"),
    "metadata too deep": (
        VERSION,
        SOUND + "\n[metadata]\nx" + ".x" * 20 + " = 1\n",
        "metadata" + ".x" * 8,
        "record.type",
    ),
    "a bad digest": (
        VERSION,
        SOUND + '\n[[artifacts]]\nname = "w"\nkind = "data"\ndigest = "sha256:../../x"\nsize = 1\nformat = "bytes"\n',
        "artifacts[0].digest",
        "record.type",
    ),
    "a negative size": (
        VERSION,
        SOUND + f'\n[[artifacts]]\nname = "w"\nkind = "data"\ndigest = "{DIGEST}"\nsize = -1\nformat = "bytes"\n',
        "artifacts[0].size",
        "record.type",
    ),
    "a hostile artifact name": (
        VERSION,
        SOUND + f'\n[[artifacts]]\nname = "../x"\nkind = "data"\ndigest = "{DIGEST}"\nsize = 1\nformat = "bytes"\n',
        "artifacts[0].name",
        "record.type",
    ),
    "a stage naming a missing version": (
        "models/iris/stages/staging.toml",
        f'version = 9\nartifacts = "{DIGEST}"\n',
        "version",
        "stage.version",
    ),
    "a stage with other artifacts": (
        "models/iris/stages/production.toml",
        STAGED,
        "artifacts",
        "stage.artifacts",
    ),
    "an alias naming a missing version": (
        "models/iris/aliases/best.toml",
        f'version = 9\nartifacts = "{DIGEST}"\n',
        "version",
        "stage.version",
    ),
    "an unknown stage": ("models/iris/stages/retired.toml", STAGED, "", "stage.known"),
    "an archived marker for a missing version": (
        "models/iris/stages/archived/9.toml", "archived = true\n", "", "archived.version"
    ),
    "an archived marker with other bytes": (
        "models/iris/stages/archived/2.toml", "archived = 1\n", "", "archived.marker"
    ),
    "a name that leads nowhere": ("models/iris/names/c4/1.2.3.toml", "version = 9\n", "version", "name.version"),
    "a broken model.toml": ("models/iris/model.toml", "title = [\n", "", "record.syntax"),
    "a model renamed to itself": (
        "models/iris/model.toml", 'created = 2026-11-23T10:12:13Z\nrenamed_to = "iris"\n', None, None
    ),
    "a file that has no place": ("models/iris/versions/notes.txt", "hello\n", "", "tree.path"),
    "a number that is no place": ("models/iris/versions/1xx/7.toml", SOUND, "", "tree.path"),
    "a superscript number": ("models/iris/versions/\u00b2.toml", SOUND, "", "tree.path"),
    "an Arabic number": ("models/iris/versions/\u0663.toml", SOUND, "", "tree.path"),
    "a number of 5,000 digits in a path": (f"models/iris/versions/{'9' * 5000}.toml", SOUND, None, "tree.path"),
    "a hundred of 5,000 digits": (f"models/iris/versions/{'9' * 5000}xx/1.toml", SOUND, None, "tree.path"),
    "a superscript hundred": ("models/iris/versions/\u00b2xx/200.toml", SOUND, None, "tree.path"),
    "a model with dots": ("models/../model.toml", CREATED, "", "name.grammar"),
    "a model named like a ref": ("models/a b~1/model.toml", CREATED, "", "name.grammar"),
    "a model with a line feed": ("models/a\nb/model.toml", CREATED, None, "name.grammar"),
    "a model with escapes": ("models/\x1b[31m\u202e/model.toml", CREATED, None, "name.grammar"),
    "a model of odd bytes": ("models/\udcff\udcfe/model.toml", CREATED, None, "name.grammar"),
    "a model without record": (
        "models/tulip/versions/1.toml", "number = 1\ncreated = 2026-11-23T10:12:13Z\n", "", "model.record"
    ),
    "a model that differs by case": ("models/iRis/model.toml", CREATED, None, "name.case"),
    "aliases that differ by case": ("models/iris/aliases/PRODUCTION.toml", STAGED, None, None),
    "an alias of odd bytes": ("models/iris/aliases/\udcff\n.toml", STAGED, None, "name.grammar"),
    "a stage of odd bytes": ("models/iris/stages/\udcff\n.toml", STAGED, None, "name.grammar"),
    "a name of odd bytes": ("models/iris/names/c4/\udcff.toml", "version = 1\n", None, None),
    "a file outside of models": ("--upload-pack=touch pwned", "x", "", "tree.path"),
}  # fmt: skip


def assert_named(problems, path, key, rule):
    if rule is None:
        assert problems
    elif key is None:
        assert rule in {rule for _, _, rule in problems}
    else:
        of_model = rule in ("name.grammar", "model.record", "name.case")
        assert ("/".join(path.split("/")[:2]) if of_model else path, key, rule) in problems


def assert_answered_or_refused_in_words(registry, model):
    for ask in (
        lambda: version_lists.list_versions(registry.writer, model),
        lambda: model_views.get_model(registry.writer, model),
        lambda: versions.get_version(registry.writer, VersionRef.parse(f"{model}@2")),
        lambda: versions.get_version(registry.writer, VersionRef.parse(f"{model}@production")),
        lambda: versions.get_version(registry.writer, VersionRef.parse(model)),
        lambda: stages.list_stages(registry.writer, model),
        lambda: list(history(registry.repository, model)),
        lambda: registry.register(model=model),
        lambda: registry.promote(f"{model}@2"),
    ):
        # A command may report that something is damaged, missing or already exists. Any other error is a bug of
        # gitmodel.
        with suppress(Invalid, NotFound, Conflict):
            ask()


def test_all_damages_at_once_are_named_and_affect_no_other_model(edited, registry, git):
    """Each entry of WRONG damages another model. All these models are on one branch."""
    iris = git(registry.path, "rev-parse", f"{BRANCH}:models/iris")
    cases = {f"m{number}": case for number, case in enumerate(WRONG.values())}
    moved = {model: case[0].replace("models/iris", f"models/{model}") for model, case in cases.items()}
    edited.write({f"models/{model}": ("40000", iris) for model in cases if f"models/{model}/" in moved[model]})
    edited.write({moved[model]: case[1] for model, case in cases.items()})
    problems = found(registry)
    for model, (_, _, key, rule) in cases.items():
        if rule != "name.case":
            assert_named(problems, moved[model], key, rule)
    assert not any(path.startswith("models/rose") for path, _, _ in problems)
    assert_rose_works(registry)
    for model in cases:
        if f"models/{model}/" in moved[model]:
            assert_answered_or_refused_in_words(registry, model)
    list(verifying.verify(registry.writer, registry.source))
    assert not list(registry.path.rglob("pwned"))


@pytest.mark.soak
@pytest.mark.parametrize("what", WRONG)
def test_a_damaged_file_is_named_and_affects_no_other_model(edited, registry, what):
    path, content, key, rule = WRONG[what]
    edited.write({path: content})
    assert_named(found(registry), path, key, rule)
    assert_rose_works(registry)
    assert_answered_or_refused_in_words(registry, "iris")
    assert not list(registry.path.rglob("pwned"))


@pytest.mark.parametrize("names", [("iris",), ("iris", "flower"), ("iris", "flower", "plant")])
def test_a_cycle_of_renames_affects_no_other_model(edited, registry, names):
    record = 'created = 2026-11-23T10:12:13Z\nrenamed_to = "{}"\n'
    new_names = (*names[1:], names[0])
    edited.write({f"models/{old}/model.toml": record.format(new) for old, new in zip(names, new_names, strict=True)})
    assert_rose_works(registry)
    for name in names:
        assert_answered_or_refused_in_words(registry, name)


def each_with_each(first, second):
    """Return all pairs as parameters. Without `--soak`, only enough pairs run that each element occurs once."""
    pairs = [(one, two) for one in first for two in second]
    kept = {(first[n % len(first)], second[n % len(second)]) for n in range(max(len(first), len(second)))}
    return [pytest.param(*pair, marks=() if pair in kept else pytest.mark.soak) for pair in pairs]


KINDS = {"120000": "a symbolic link", "160000": "a submodule", "40000": "a folder"}


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        *((mode, VERSION) for mode in KINDS),
        *each_with_each(list(KINDS), ["models/iris/model.toml", "models/iris/stages/production.toml", "models/iris"]),
    ],
)
def test_a_link_a_submodule_or_a_folder_where_a_file_belongs_is_never_followed(edited, registry, git, mode, path):
    secret = registry.path / "secret.toml"
    secret.write_text("number = 2\ncreated = 2026-11-23T10:12:13Z\n")
    ids = {
        "120000": edited.blob(str(secret)),
        "160000": git(registry.path, "rev-parse", "HEAD"),
        "40000": edited.tree("", {"x.toml": "x = 1\n"}),
    }
    edited.write({path: (mode, ids[mode])})
    problems = found(registry)
    if mode == "40000":
        assert {rule for _, _, rule in problems} & {"tree.path", "model.record"}
    else:
        assert (path, "", "tree.file") in problems
    assert_rose_works(registry)
    if path == VERSION:
        with pytest.raises(Invalid, match=f"{re.escape(VERSION)}: is {KINDS[mode]}, not a file"):
            versions.get_version(registry.writer, VersionRef.parse("iris@2"))


@pytest.mark.parametrize(
    "path",
    [
        "models/iris/versions",
        "models/iris/stages",
        "models/iris/aliases",
        "models/iris/names",
        "models/iris/stages/archived",
    ],
)
def test_check_names_a_file_where_a_folder_belongs(edited, registry, path):
    edited.write({path: "I am a file\n"})
    assert (path, "", "tree.path") in found(registry)
    assert_rose_works(registry)


def test_check_names_very_deeply_nested_folders_and_no_command_crashes(edited, registry):
    id, new = edited.blob("x"), []
    mode = "100644"
    for _ in range(5000):
        tree = NewObject("tree", format_tree({"1xx": Entry(mode, id)}))
        new.append(tree)
        mode, id = "40000", tree.id
    registry.repository.objects.write(new)
    edited.write({"models/iris/versions/1xx": (mode, id)})
    assert found(registry)
    assert_rose_works(registry)


def test_check_names_all_problems_and_not_only_the_first(edited, registry):
    wrong = {
        "models/iris/versions/2.toml": "number = 3\ncreated = 2026-11-23T10:12:13Z\n",
        "models/iris/versions/3.toml": "nonsense\n",
        "models/iris/versions/4.toml": "number = 4\ncreated = 7\ndescription = 8\ncolour = 9\n",
        "models/iris/stages/staging.toml": f'version = 77\nartifacts = "{DIGEST}"\n',
        "models/lily/model.toml": "title = 3\n",
        "notes.txt": "hello\n",
    }
    edited.write(wrong)
    assert found(registry) >= {
        ("models/iris/versions/2.toml", "number", "version.number"),
        ("models/iris/versions/3.toml", "", "record.syntax"),
        ("models/iris/versions/4.toml", "created", "record.type"),
        ("models/iris/versions/4.toml", "description", "record.type"),
        ("models/iris/versions/4.toml", "colour", "record.unknown-key"),
        ("models/iris/stages/staging.toml", "version", "stage.version"),
        ("models/lily/model.toml", "title", "record.type"),
        ("models/lily/model.toml", "created", "record.required"),
        ("notes.txt", "", "tree.path"),
    }


def registry_toml(git, registry, format):
    text = git(registry.path, "show", f"{BRANCH}:gitmodel.toml") + "\n"
    assert 'format = "1.2"' in text
    return text.replace('format = "1.2"', f'format = "{format}"')


def test_a_newer_minor_format_is_read_and_its_unknown_keys_are_kept_when_a_version_changes(edited, registry, git):
    text = 'number = 2\ncreated = 2026-11-23T10:12:13Z\ncolour = "red"\n'
    edited.write({"gitmodel.toml": registry_toml(git, registry, "1.7"), VERSION: text})
    assert found(registry) == set()
    versions.update_version(registry.writer, VersionRef.parse("iris@2"), description="said")
    assert (
        git(registry.path, "show", f"{BRANCH}:{VERSION}")
        == text.replace("colour", 'description = "said"\ncolour').strip()
    )
    assert_rose_works(registry)


@pytest.mark.parametrize("format", ["2.0", "10.3"])
def test_a_newer_major_format_is_refused_with_the_package_to_upgrade(edited, registry, git, format):
    unknown = "\n[whatever]\nkey = 1\n"
    edited.write({"gitmodel.toml": registry_toml(git, registry, format) + unknown})
    before = git(registry.path, "rev-parse", BRANCH)
    for ask in (
        lambda: versions.get_version(registry.writer, VersionRef.parse("iris@1")),
        lambda: registry.register(),
        lambda: registry.promote("iris@2"),
    ):
        with error_with_hint(Invalid, f"has format {re.escape(format)}, and", "pip install --upgrade gitmodel"):
            ask()
    assert git(registry.path, "rev-parse", BRANCH) == before
    assert ("gitmodel.toml", "", "registry.record") in found(registry)


@pytest.mark.parametrize("content", ["nonsense", "", 'format = "x"\n', "format = 1\n"])
def test_a_damaged_gitmodel_toml_is_named_and_nothing_is_written(edited, registry, git, content):
    edited.write({"gitmodel.toml": content})
    assert {path for path, _, _ in found(registry)} >= {"gitmodel.toml"}
    before = git(registry.path, "rev-parse", BRANCH)
    with pytest.raises(Invalid, match=r"gitmodel\.toml"):
        registry.register()
    assert git(registry.path, "rev-parse", BRANCH) == before


# Forged stage tags: tags that do not agree with the branch.


def test_forged_tags_are_refused_and_repaired_and_affect_no_other_model(edited, registry, git):
    git(registry.path, "commit", "-q", "--allow-empty", "-m", "Elsewhere")
    name = "model/iris/production"
    blob = edited.blob("x")
    mine = git(registry.path, "rev-parse", f"{name}^{{commit}}")
    first = git(registry.path, "rev-list", "--max-parents=0", BRANCH)
    head = git(registry.path, "rev-parse", "HEAD")

    def tag(target, type="commit", called=name):
        text = f"object {target}\ntype {type}\ntag {called}\ntagger A <a@b> 0 +0000\n\nx\n"
        return git(registry.path, "mktag", input=text)

    forgeries = {
        "lightweight": mine,
        "of a blob": tag(blob, "blob"),
        "of another branch": tag(head),
        "of another commit": tag(first),
        "of another name": tag(mine, called="model/rose/production"),
        "that is a blob": blob,
    }
    for what, id in forgeries.items():
        git(registry.path, "update-ref", f"refs/tags/{name}", id)
        with pytest.raises(Invalid, match="does not count"):
            versions.get_version(registry.writer, VersionRef.parse("iris@production"))
        assert "tag" in {finding.about for finding in doctor.examine(registry.repository, registry.store)}, what
        assert_rose_works(registry)
        assert versions.get_version(registry.writer, VersionRef.parse("iris@production")).record.number == 1


# The artifact store


def object_file(registry, digest):
    name = digest.removeprefix("sha256:")
    return registry.store.root / "sha256" / name[:2] / name[2:]


DAMAGES = {
    "cut": lambda path, data: path.write_bytes(data[:-1]),
    "grown": lambda path, data: path.write_bytes(data + b"x"),
    "altered": lambda path, data: path.write_bytes(data[:-1] + b"?"),
    "a link": lambda path, data: path.symlink_to(path.rename(path.with_name("copy"))),
    "a folder": lambda path, data: (path.unlink(), path.mkdir()),
    "a pipe": lambda path, data: (path.unlink(), os.mkfifo(path)),
    "gone": lambda path, data: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_artifact_is_refused_and_named_with_the_versions_that_need_it(registry, tmp_path, damage):
    digest = registry.register(content="weights")["digest"]
    registry.register(content="weights")
    registry.register(content="others")
    path = object_file(registry, digest)
    path.chmod(0o644)
    damage(path, path.read_bytes())
    with Client(registry.path) as client:
        artifact = client.get_version("iris@1").get_artifact("weights")
        for read in (
            lambda: artifact.download(tmp_path / "out"),
            lambda: artifact.path(),
            lambda: artifact.open().read(),
        ):
            with pytest.raises((Invalid, NotFound)) as caught:
                read()
            assert digest in caught.value.message
        assert not (tmp_path / "out").exists()
        assert client.get_version("iris@3").get_artifact("weights").open().read() == b"others"
    seen = {seen.digest: seen for seen in verifying.verify(registry.writer, registry.source)}
    assert len(seen) == 2
    assert seen[digest].error
    assert set(seen[digest].versions) == {"iris@1", "iris@2"}
    assert [other.error for other in seen.values() if other.digest != digest] == [""]


# Objects of git


def loose(registry, id):
    return registry.repository.common_dir / "objects" / id[:2] / id[2:]


def spoil(path, how):
    path.chmod(0o644)
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "garbage":
        path.write_bytes(b"garbage")
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("which", "how"),
    each_with_each(
        ["models/iris/versions/2.toml", "models/iris/versions", "models/iris/model.toml", "models/iris"],
        ["missing", "empty", "garbage", "flipped"],
    ),
)
def test_a_damaged_git_object_of_one_model_does_not_affect_others(edited, registry, git, open_at, which, how):
    id = git(registry.path, "rev-parse", f"{BRANCH}:{which}")
    spoil(loose(registry, id), how)
    fresh = open_at(registry.path)
    problems = checking.check(fresh.repository)
    assert any(problem.path.startswith("models/iris") for problem in problems)
    assert not any(problem.path.startswith("models/rose") for problem in problems)
    with pytest.raises(Invalid) as caught:
        versions.get_version(fresh.writer, VersionRef.parse("iris@2"))
    assert caught.value.exit_code == 5
    assert caught.value.message.isprintable()
    assert_rose_works(fresh)


@pytest.mark.parametrize("how", ["missing", "empty", "garbage"])
def test_a_damaged_newest_commit_of_the_branch_is_reported(edited, registry, git, open_at, how):
    before = git(registry.path, "rev-parse", BRANCH)
    spoil(loose(registry, before), how)
    fresh = open_at(registry.path)
    for ask in (
        lambda: versions.get_version(fresh.writer, VersionRef.parse("iris@2")),
        lambda: model_views.list_models(fresh.writer),
        lambda: fresh.register(),
        lambda: checking.check(fresh.repository),
    ):
        with pytest.raises(Invalid) as caught:
            ask()
        assert "git" in caught.value.hint
    assert (registry.repository.common_dir / BRANCH).read_text().strip() == before


def test_readers_do_not_use_the_remote_tracking_branch_if_the_packed_local_branch_lost_its_newest_commit(
    edited, registry, git, open_at
):
    lost = git(registry.path, "rev-parse", BRANCH)
    git(registry.path, "update-ref", "refs/remotes/origin/gitmodel", f"{lost}~1")
    git(registry.path, "pack-refs", "--all")
    spoil(loose(registry, lost), "missing")
    fresh = open_at(registry.path)
    with pytest.raises(Invalid) as caught:
        model_views.list_models(fresh.writer)
    assert caught.value.message == f"git object {lost}, the tip of {BRANCH}, is missing"


def test_a_damaged_stage_tag_object_is_reported_and_repaired(edited, registry, git, open_at):
    id = git(registry.path, "rev-parse", "refs/tags/model/iris/production")
    spoil(loose(registry, id), "missing")
    fresh = open_at(registry.path)
    with pytest.raises(GitModelError):
        versions.get_version(fresh.writer, VersionRef.parse("iris@production"))
    assert_rose_works(fresh)


# Texts.

TEXTS = {
    "escapes": "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "bidi": "abc\u202etxt.exe\u2066\u2069",
    "newlines": "one\ntwo\r\nthree\rfour\u2028five\x85six\x0bseven\x0ceight",
    "trailers": "fine\n\nStage: production\nVersion: 99\nModel: rose\n",
    "divider": "fine\n\nStage: production\nVersion: 99\n---\n file | 1 +\n",
    "only trailers": "Stage: production\nVersion: 99",
    "comment": "# Stage: production\n#",
    "scissors": "# ------------------------ >8 ------------------------\nStage: production",
    "continued": "fine\n Stage: production\n\tVersion: 99",
    "headers": "tree 0000\nparent 0000\nauthor Eve <eve@example.com> 0 +0000",
    "signature": "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----",
    "NUL": "before\0after",
    "half a character": "a\ud800b",
    "shell": "$(touch pwned) `touch pwned`; touch pwned",
    "markdown": "<script>alert(1)</script> ![x](http://x) | a | b |",
    "format": "%(trailers) %H %n {0} {reason}",
    "long": "x" * 20_000,
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_hostile_text_in_one_field_changes_no_other_field(registry, git, assert_whole, what):
    text = TEXTS[what]
    draft = versions.Draft(description=text, metadata={"note": text}, tags=[text])
    create = partial(versions.make_version, registry.writer, "iris", artifacts=(), code=None, runs=())
    if what == "half a character":
        with pytest.raises(UsageError):
            models.update_model(registry.writer, "iris", {"description": text})
        with pytest.raises(UsageError):
            create(draft)
        number = create(versions.Draft()).ref.number
    else:
        models.update_model(registry.writer, "iris", {"description": text})
        number = create(draft).ref.number
        record = finding.find(registry.writer, VersionRef("iris", str(number))).record
        assert (record.description, record.metadata, record.tags) == (text, {"note": text}, (text,))
    for change in (
        lambda: registry.promote(f"iris@{number}", reason=text),
        lambda: stages.set_alias(registry.writer, VersionRef("iris", str(number)), "best", reason=text),
        lambda: stages.remove_alias(registry.writer, "iris", "best", reason=text),
        lambda: stages.demote(registry.writer, "iris", "production", reason=text),
        lambda: versions.delete_version(registry.writer, VersionRef("iris", str(number)), why=Justification(text)),
    ):
        before = git(registry.path, "rev-parse", BRANCH)
        try:
            change()
        except (UsageError, NotFound):
            assert git(registry.path, "rev-parse", BRANCH) == before
            continue
        commit = git(registry.path, "cat-file", "commit", BRANCH)
        assert "\0" not in commit
        _, _, message = commit.partition("\n\n")
        for trailers in (
            git(registry.path, "log", "-1", "--format=%(trailers:only,unfold)", BRANCH),
            git(registry.path, "interpret-trailers", "--parse", "--no-divider", input=message + "\n"),
        ):
            keys = [line.partition(":")[0] for line in trailers.splitlines()]
            assert len(set(keys)) == len(keys)
            assert keys[0] == "Model"
            assert keys[-1] == "Txn"
            said = dict(line.split(": ", 1) for line in trailers.splitlines())
            assert said["Model"] == "iris"
            assert said["Version"] == str(number)
            assert said.get("Stage") in (None, "production", "none")
        tree, parent, author, committer = commit.splitlines()[:4]
        assert (tree[:5], parent[:7], author[:11], committer[:14]) == (
            "tree ",
            "parent ",
            "author Ada ",
            "committer Ada ",
        )
        assert git(registry.path, "rev-list", "--count", f"{before}..{BRANCH}") == "1"
    assert not list(registry.path.rglob("pwned"))
    assert_whole(registry.path)


def test_check_names_two_models_or_aliases_whose_names_differ_only_by_case(edited, registry):
    edited.write(
        {
            "models/ROSE/model.toml": CREATED,
            "models/iris/aliases/Best.toml": STAGED,
            "models/iris/aliases/best.toml": STAGED,
        }
    )
    assert fold("ROSE") == "rose"
    cased = [path for path, _, rule in found(registry) if rule == "name.case"]
    assert len(cased) == 2
