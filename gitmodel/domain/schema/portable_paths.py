"""Finding paths in a folder that are dangerous to write, or that some systems do not support. Pure.

A folder that contains `.git` is a git repository. Its config can hold credentials, and git runs commands that the
config names as soon as somebody types `git status` there. The refused spellings of `.git` are those that git itself
refuses (`is_ntfs_dotgit` in https://github.com/git/git/blob/master/path.c, `is_hfs_dotgit` in utf8.c), and those that
file systems read as `.git` if they ignore case or map special characters as Cygwin and SMB do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from gitmodel.domain.schema.names import is_device

_NTFS = re.compile(r"(\.git|git~[0-9])[. ]*(:.*)?", re.DOTALL)
# Characters with the Unicode property Default_Ignorable_Code_Point. HFS+ and some case-insensitive file systems ignore
# them when they compare names.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_MAPPED = re.compile("[\uf001-\uf07f]")  # Cygwin, WSL and SMB map characters that Windows does not support to these
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff9-\ufffb]")
_SFM = {"\uf022": ":", "\uf028": " ", "\uf029": "."}  # further mappings of SMB on macOS
MOST_BYTES = 255  # the limit of most file systems
_WINDOWS = re.compile(r'[<>:"|?*]')


def is_git_name(part: str) -> bool:
    """Return True if some file system treats *part*, one part of a path, as `.git`.

    >>> [is_git_name(part) for part in (".GIT", "git~1", ".git. .", ".git::$INDEX_ALLOCATION", ".g\u200cit")]
    [True, True, True, True, True]
    >>> [is_git_name(part) for part in (".gitignore", ".gitattributes", ".gitmodules", "git", ".git-old", "x.git")]
    [False, False, False, False, False, False]
    """
    if part.isascii():
        return _NTFS.fullmatch(part.lower()) is not None
    plain = _IGNORED.sub("", part)
    plain = _MAPPED.sub(lambda found: _SFM.get(found[0], chr(ord(found[0]) - 0xF000)), plain)
    return _NTFS.fullmatch(_IGNORED.sub("", unicodedata.normalize("NFKC", plain).casefold())) is not None


def git_paths(paths: Sequence[str]) -> list[str]:
    """Return those *paths* that make a folder a git repository: with a part `.git`, or the HEAD of a bare repository.

    A bare repository is a folder with `HEAD`, `objects` and `refs` or `packed-refs`, or with `HEAD` and a `commondir`
    file. `packed-refs` counts instead of `refs`, because `refs` has no files if all refs are packed, and an artifact
    has no empty folders.

    >>> git_paths(["config", "HEAD", "objects/ab/cd", "refs/heads/main", "sub/.git/config", "weights.bin"])
    ['HEAD', 'sub/.git/config']
    """
    # a cheap test first, because a folder may have a million paths, and few of them pass it
    doubtful = (path for path in paths if not path.isascii() or "git" in path.lower())
    found = {path for path in doubtful if any(map(is_git_name, path.split("/")))}
    heads = {path.rpartition("/")[0].casefold(): path for path in paths if _last(path) == "head"}
    if heads:
        inside: dict[str, set[str]] = {folder: set() for folder in heads}
        for path in paths:
            parts = path.casefold().split("/")
            for depth, part in enumerate(parts):
                folder = "/".join(parts[:depth])
                if folder in inside:
                    inside[folder].add(part.rstrip(". "))
        found |= {
            path
            for folder, path in heads.items()
            if ("objects" in inside[folder] and inside[folder] & {"refs", "packed-refs"})
            or "commondir" in inside[folder]
        }
    return [path for path in paths if path in found]


def unportable_paths(paths: Iterable[str]) -> list[str]:
    """Return those of *paths* that Windows does not support, each with the reason.

    >>> unportable_paths(["aux.txt", "a:b", "end.", "Readme", "README", "fine.txt"])
    ['aux.txt (the name of a device)', "a:b (it holds ':')", 'end. (it ends in a dot)', 'README (it is Readme there)']
    """
    told = []
    known: dict[str, str] = {}
    for path in paths:
        why = next((why for part in path.split("/") if (why := _fault(part))), "")
        shown = path if path.isprintable() else ascii(path)
        if why:
            told.append(f"{shown} ({why})")
        elif (other := known.setdefault(path.casefold(), path)) != path:
            told.append(f"{shown} (it is {other if other.isprintable() else ascii(other)} there)")
    return told


def file_name_fault(name: str) -> str:
    """Return the reason why *name* cannot be the name of an artifact's file or folder, or "".

    A name is one part of a path that every system can write, and that is not hidden.

    >>> [file_name_fault(name) for name in ("model.onnx", "epoch=1 (best).ckpt", "modèle.pt")]
    ['', '', '']
    >>> [file_name_fault(name) for name in ("..", "a/b", "-rf", "nul.txt", "a:b")]
    ["it begins with '.'", 'it holds a slash', "it begins with '-'", 'the name of a device', "it holds ':'"]
    """
    if not name:
        return "it is empty"
    if name[0] in ".-":
        return f"it begins with '{name[0]}'"
    if "/" in name or "\\" in name:
        return f"it holds a {'slash' if '/' in name else 'backslash'}"
    # not isprintable(): its result for new characters depends on the version of Python
    if any(pattern.search(name) for pattern in (_CONTROL, _IGNORED, _MAPPED)):
        return "it holds a character that cannot be seen"
    if len(name.encode()) > MOST_BYTES:
        return f"it has more than {MOST_BYTES} bytes"
    return "some systems read it as .git" if is_git_name(name) else _fault(name)


def _fault(part: str) -> str:
    if is_device(part):
        return "the name of a device"
    if bad := _WINDOWS.search(part):
        return f"it holds '{bad[0]}'"
    if part[-1:] in (".", " "):
        return f"it ends in a {'dot' if part[-1] == '.' else 'space'}"
    return ""


def _last(path: str) -> str:
    return path.rpartition("/")[2].casefold().rstrip(". ")
