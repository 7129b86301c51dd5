"""The path of each record on the metadata branch, and parsing paths. Pure.

>>> model_file("iris"), stage_file("iris", "production"), alias_file("iris", "champion")
('models/iris/model.toml', 'models/iris/stages/production.toml', 'models/iris/aliases/champion.toml')
>>> version_file("iris", 7), version_file("iris", 412)
('models/iris/versions/7.toml', 'models/iris/versions/4xx/412.toml')
>>> archived_file("iris", 412), name_file("iris", "1.2.3")
('models/iris/stages/archived/4xx/412.toml', 'models/iris/names/c4/1.2.3.toml')
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from gitmodel.domain.schema import names
from gitmodel.domain.schema.digests import sha256
from gitmodel.frozen import Frozen

REGISTRY = "gitmodel.toml"
SIGNERS = "allowed_signers"
MODELS = "models"
RUNS = "runs"
PURGED = "purged"
# The highest number that a version can have. No registry needs more.
HIGHEST_NUMBER = 10**9
# The most numbers that may stay unused between the last version of a model and a new one.
MOST_SKIPPED = 1_000
# Files that hosts read from the branch. gitmodel preserves them and never reads them as records.
HOST_FILES = frozenset(
    {".github", ".gitlab-ci.yml", ".gitlab", ".forgejo", "CODEOWNERS", "README.md", ".gitattributes"}
)

Kind = Literal["registry", "model", "version", "name", "stage", "archived", "alias", "run", "purge"]


class RecordPath(Frozen):
    """The record at a path of the branch: its kind, its model, and its key.

    Depending on the kind, *key* is the number of a version as text, the stage, the alias, the name of a version, the id
    of a run, or the hex digits of an erased artifact's digest; "" for the record of a model or the registry.
    """

    kind: Kind
    model: str = ""
    key: str = ""


def model_folder(model: str) -> str:
    return f"{MODELS}/{model}"


def model_file(model: str) -> str:
    return f"{MODELS}/{model}/model.toml"


def version_file(model: str, number: int) -> str:
    return f"{MODELS}/{model}/versions/{_in_hundreds(number)}"


def name_file(model: str, name: str) -> str:
    return f"{name_folder(model, name)}/{name}.toml"


def name_folder(model: str, name: str) -> str:
    """Return the folder for the file of *name*. Hashes divide the names of versions into 256 folders."""
    folded = names.fold(name).encode("utf-8", "surrogatepass")
    return f"{MODELS}/{model}/names/{sha256(folded)[:2]}"


def stage_file(model: str, stage: str) -> str:
    return f"{MODELS}/{model}/stages/{stage}.toml"


def archived_file(model: str, number: int) -> str:
    return f"{MODELS}/{model}/stages/archived/{_in_hundreds(number)}"


def alias_file(model: str, alias: str) -> str:
    return f"{MODELS}/{model}/aliases/{alias}.toml"


def run_file(id: str) -> str:
    """Return the path of the record of a run, in a folder of its day; "" if *id* is not the id of a run.

    >>> run_file("20261123T101112Z-train-7f3a")
    'runs/2026/11/23/20261123T101112Z-train-7f3a.toml'
    """
    match = re.fullmatch(_RUN_ID, id)
    return f"{RUNS}/{match[1]}/{match[2]}/{match[3]}/{id}.toml" if match else ""


def purge_file(digest: str) -> str:
    """Return the path of the tombstone of an erased artifact.

    >>> purge_file("sha256:" + "ab" * 32)[:12], len(purge_file("sha256:" + "ab" * 32))
    ('purged/ab/ab', 77)
    """
    hex = digest.removeprefix("sha256:")
    return f"{PURGED}/{hex[:2]}/{hex[2:]}.toml"


def is_host_file(path: str) -> bool:
    """Return True if *path* is a file that the git host reads from the branch, such as `CODEOWNERS`."""
    return path.split("/", 1)[0] in HOST_FILES


def is_rule(path: str) -> bool:
    """Return True if the file *path* says who may do what: `gitmodel.toml`, `allowed_signers`, or a host file."""
    return path in (REGISTRY, SIGNERS) or is_host_file(path)


# These patterns are not compiled here, because this takes time and `git model resolve` needs none of them; `_patterns`
# compiles them.
_RUN_ID = r"([0-9]{4})([0-9]{2})([0-9]{2})T[0-9]{6}Z-[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_MODEL = r"models/(?P<model>[^/]+)"
_IN_HUNDREDS = r"(?:(?P<hundreds>[1-9][0-9]*)xx/)?(?P<key>[1-9][0-9]*)\.toml"
_KEY = r"(?P<key>[^/]+)\.toml"
_FOLDER = (
    r"models(/[^/]+(/(aliases|names(/[0-9a-f]{2})?|(versions|stages(?=$|/archived)(/archived)?)(/[1-9][0-9]*xx)?))?)?"
    r"|runs(/[0-9]{4}(/[0-9]{2}(/[0-9]{2})?)?)?|purged(/[0-9a-f]{2})?"
)
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("registry", r"gitmodel\.toml"),
    ("model", rf"{_MODEL}/model\.toml"),
    ("version", rf"{_MODEL}/versions/{_IN_HUNDREDS}"),
    ("name", rf"{_MODEL}/names/[0-9a-f]{{2}}/{_KEY}"),
    ("stage", rf"{_MODEL}/stages/{_KEY}"),
    ("archived", rf"{_MODEL}/stages/archived/{_IN_HUNDREDS}"),
    ("alias", rf"{_MODEL}/aliases/{_KEY}"),
    ("run", rf"runs/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/{_KEY}"),
    ("purge", r"purged/(?P<shard>[0-9a-f]{2})/(?P<key>[0-9a-f]{62})\.toml"),
)


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[Kind, re.Pattern[str]], ...]:
    """Compile the patterns when a path is first parsed, and cache them."""
    return tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)


def holds_records(folder: str) -> bool:
    """Return True if *folder* can hold records or folders of records.

    >>> holds_records("models/iris/versions/4xx"), holds_records("models/iris/weights")
    (True, False)
    """
    return re.fullmatch(_FOLDER, folder) is not None


@lru_cache(maxsize=4_096)
def parse_path(path: str) -> RecordPath | None:
    """Parse the path of a record; return None if no record can have *path*.

    >>> parse_path("models/iris/versions/4xx/412.toml")
    RecordPath(kind='version', model='iris', key='412')
    >>> parse_path("models/iris/versions/412.toml") is None
    True
    """
    for kind, pattern in _patterns():
        match = pattern.fullmatch(path)
        if match:
            groups = match.groupdict()
            key = groups["shard"] + groups["key"] if kind == "purge" else groups.get("key", "")
            found = RecordPath(kind, groups.get("model", ""), key)
            return found if _is_home(found, path) else None
    return None


def _is_home(found: RecordPath, path: str) -> bool:
    """Return True if *path* is exactly the path to which gitmodel writes the record *found*."""
    if found.kind in ("version", "archived") and len(found.key) > 18:
        return False
    homes = {
        "version": lambda: version_file(found.model, int(found.key)),
        "archived": lambda: archived_file(found.model, int(found.key)),
        "name": lambda: name_file(found.model, found.key),
        "run": lambda: run_file(found.key),
    }
    return found.kind not in homes or homes[found.kind]() == path


def _in_hundreds(number: int) -> str:
    return f"{number}.toml" if number < 100 else f"{number // 100}xx/{number}.toml"
