"""CODEOWNERS and other files that a git host reads on the metadata branch. Pure: text in, text out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

HOSTS = ("github", "gitlab", "forgejo")
# The places where a CI job can publish the registry's pages: nowhere ("none"), as an artifact of the job, or
# ("publish") on the host's own web pages, which Forgejo does not have.
NO_SITE, ARTIFACT, PUBLISHED = SITES = ("none", "artifact", "publish")
CODEOWNERS = "CODEOWNERS"
# When gitmodel generates a file again, it keeps the text below this line. This text is at the end, because hosts use
# the last line of CODEOWNERS that matches a path.
OWN_PART = "# What follows is yours, and stays as it is.\n"
_MARK = re.compile(r"# Made by `git model init --ci ([a-z]+)`, sha256:([0-9a-f]{64})\.\n")
# Patterns of the package that pip installs in CI jobs. `_INSTALL` allows only a full commit id or a version with
# hashes, so that a package index cannot deliver other bytes.
_PACKAGE = r"gitmodel(?:\[[a-z0-9]+(?:,[a-z0-9]+)*\])?"
_REPOSITORY = r"git\+(?:https://|ssh://(?:[a-z_][a-z0-9_-]*@)?|file:///)[A-Za-z0-9][A-Za-z0-9._~/:+-]*"
_INSTALL = re.compile(
    rf"(?:{_PACKAGE} ?@ ?)?{_REPOSITORY}@(?:[0-9a-f]{{64}}|[0-9a-f]{{40}})"
    rf"|{_PACKAGE}==[0-9][A-Za-z0-9.!+_-]*(?: --hash=sha(?:256|384|512):[0-9a-f]{{64,128}})+"
)
_MOST_WILDCARDS = 4  # `_matches` refuses patterns with more: the regular expression could take very long
_ACCOUNT = re.compile(r"@[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:/[A-Za-z0-9._-]+)*")
_MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def marked(kind: str, text: str) -> str:
    r"""Return *text* after a line that says that gitmodel generated it for the host *kind*, with the digest of *text*.

    `is_untouched` compares this digest to detect that people changed the text.

    >>> is_untouched(marked("github", "on: push\n")), is_untouched(marked("github", "on: push\n") + "# mine\n")
    (True, False)
    """
    return f"# Made by `git model init --ci {kind}`, sha256:{_digest(text)}.\n{text}"


def made_for(text: str) -> str:
    """Return the kind of host for which gitmodel generated the file content *text*; "" if it did not generate it."""
    found = _MARK.match(text)
    return found[1] if found else ""


def is_untouched(text: str) -> bool:
    """Return True if *text* is as `marked` returned it. The part that people added below `OWN_PART` may differ."""
    found = _MARK.match(text)
    return found is not None and _digest(text[found.end() :].partition(OWN_PART)[0]) == found[2]


def keep_own_part(new: str, old: str) -> str:
    """Return the text *new*, followed by the part of the text *old* that people added below the line `OWN_PART`."""
    return new + old.partition(OWN_PART)[2]


def is_pinned(install: str) -> bool:
    """Return True if *install*, an argument of pip, names a full commit id of a repository, or a version with hashes.

    >>> is_pinned("gitmodel[s3] @ git+https://git.example.org/tools/gitmodel@" + "a" * 40)
    True
    >>> is_pinned("gitmodel==0.1.0 --hash=sha256:" + "0" * 64), is_pinned("gitmodel==0.1.0"), is_pinned("gitmodel")
    (True, False, False)
    """
    return _INSTALL.fullmatch(install) is not None


def installed_by(text: str) -> str:
    """Return the package that pip installs in the generated workflow file *text*; "" if that package is not pinned.

    >>> installed_by('GITMODEL_INSTALL: "git+https://git.example.org/gitmodel@' + "b" * 40 + '"')[:40]
    'git+https://git.example.org/gitmodel@bbb'
    """
    return next((found for found in re.findall(r'"([^"\n]*)"', text) if is_pinned(found)), "")


def with_extra(install: str, extra: str) -> str:
    """Return *install*, a pinned package of gitmodel, with *extra* added to its optional dependencies.

    >>> with_extra("git+https://git.example.org/gitmodel@1a2b", "ui")
    'gitmodel[ui] @ git+https://git.example.org/gitmodel@1a2b'
    >>> with_extra("gitmodel[s3]==0.1.0 --hash=sha256:00", "ui"), with_extra("gitmodel==0.1.0", "ui")
    ('gitmodel[s3,ui]==0.1.0 --hash=sha256:00', 'gitmodel[ui]==0.1.0')
    """
    if install.startswith("git+"):
        return f"gitmodel[{extra}] @ {install}"
    found = re.match(r"gitmodel(?:\[([^]]*)\])?", install)
    assert found is not None  # the pattern `_INSTALL` allows no package other than gitmodel
    extras = [*filter(None, (found[1] or "").split(",")), extra]
    return f"gitmodel[{','.join(dict.fromkeys(extras))}]{install[found.end() :]}"


def accounts_in(owner: str) -> tuple[str, ...]:
    """Return the accounts on a git host that the text *owner* contains: `@user`, `@org/team` or an e-mail address.

    >>> accounts_in("Ada Example <ada@example.com>"), accounts_in("@org/vision"), accounts_in("the vision group")
    (('ada@example.com',), ('@org/vision',), ())
    """
    words = (word.strip("<>(),;") for word in owner.split())
    return tuple(word for word in words if _ACCOUNT.fullmatch(word) or _MAIL.fullmatch(word))


def code_owners(
    kind: str, rules: Iterable[str], owners: Iterable[str], by_model: Mapping[str, Iterable[str]], stages: Iterable[str]
) -> str:
    """Return the text of CODEOWNERS for the host *kind*, which lists who must approve changes of each path.

    The accounts *owners* approve the paths *rules*, and the stages and aliases of models that *by_model* lacks.
    *by_model* maps the name of a model to the accounts that approve its stages, aliases and description. *stages* are
    the names of all stages.
    """
    of_all = tuple(owners)
    lines = [
        "# The owners who must approve changes of the rules, the models and their stages.",
        "# When these change, run the same command again.",
        "",
    ]
    places = [f"stages/{stage}.toml" for stage in stages] + ["aliases/"]
    lines += [_line(kind, f"models/*/{place}", of_all) for place in places]
    for model, accounts in sorted(by_model.items()):
        lines += ["", *(_line(kind, f"models/{model}/{place}", tuple(accounts)) for place in (*places, "model.toml"))]
    lines += ["", *(_line(kind, path, of_all) for path in rules), "", OWN_PART.rstrip("\n")]
    return "".join(f"{line}\n" for line in lines)


def rule_owners(text: str) -> tuple[str, ...]:
    """Return the accounts of the registry's owners, from the CODEOWNERS *text* that gitmodel generated.

    >>> rule_owners(code_owners("github", ["gitmodel.toml"], ["@org/registry"], {}, []))
    ('@org/registry',)
    """
    for line in text.partition(OWN_PART)[0].splitlines():
        path, *accounts = line.split() or [""]
        if path in ("/gitmodel.toml", r"gitmodel\.toml"):
            return tuple(accounts)
    return ()


def owners_of(text: str, path: str) -> tuple[str, ...]:
    """Return the accounts in the last line of the CODEOWNERS *text* whose pattern matches *path*.

    Understands the patterns that `code_owners` writes, and patterns of gitignore with at most 4 wildcards. Skips other
    lines, such as the headings of GitLab's sections.

    >>> owners_of("* @org/all\\n/models/*/stages/ @org/ml # they decide", "models/iris/stages/production.toml")
    ('@org/ml',)
    """
    read = _glob if made_for(text) == "forgejo" else str
    for line in reversed(text.splitlines()):
        pattern, *accounts = line.partition("#")[0].split() or [""]
        if pattern and not pattern.startswith(("[", "^[")) and _matches(read(pattern), path):
            return tuple(account for account in accounts if accounts_in(account) == (account,))
    return ()


def _glob(pattern: str) -> str:
    """Return *pattern*, a regular expression that `code_owners` wrote for Forgejo, in the syntax of gitignore."""
    return "/" + pattern.removesuffix(".*").replace("[^/]+", "*").replace("\\", "")


def _matches(pattern: str, path: str) -> bool:
    """Return True if *pattern*, in the syntax of gitignore, matches *path* or a folder that contains *path*."""
    if pattern.count("*") > _MOST_WILDCARDS:
        return False
    anchored = "/" in pattern.rstrip("/")
    words = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    found = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(found.get(word) or re.escape(word) for word in words)
    return re.fullmatch(f"{'' if anchored else '(?:.*/)?'}{text}(?:/.*)?", path) is not None


def _line(kind: str, path: str, accounts: tuple[str, ...]) -> str:
    """Return the line of CODEOWNERS that makes *accounts* approve changes of *path*."""
    if kind != "forgejo":
        return " ".join((f"/{path}", *accounts))
    # Forgejo reads patterns as regular expressions, GitHub and GitLab as gitignore does.
    pattern = re.escape(path).replace(r"\*", "[^/]+").replace(r"\-", "-")
    return " ".join((pattern + (".*" if path.endswith("/") else ""), *accounts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
