"""Setting up a git host: writing workflow files and CODEOWNERS to the metadata branch, and advice on its settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import resources

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import paths
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, GitModelError, Invalid, UsageError
from gitmodel.frozen import Frozen
from gitmodel.hosts import codeowners
from gitmodel.hosts.codeowners import ARTIFACT, CODEOWNERS, HOSTS, NO_SITE, PUBLISHED, SITES
from gitmodel.registry.writing.transacting import transact

NAMES = {"github": "GitHub", "gitlab": "GitLab", "forgejo": "Forgejo"}
# The files that each `git model init --ci` generates again: for each kind of host, the path and the template of each
# file.
_KEPT = {
    "github": {".github/workflows/gitmodel.yml": "github.yml"},
    "gitlab": {".gitlab/gitmodel.yml": "gitlab.yml"},
    "forgejo": {".forgejo/workflows/gitmodel.yml": "forgejo.yml"},
}
# The files that `git model init --ci` writes only if they do not exist, because the team edits them.
_BEGUN = {
    "github": {".github/workflows/gitmodel-deploy.yml": "github-deploy.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab-ci.yml"},
    "forgejo": {".forgejo/gitmodel-deploy.sh": "forgejo-deploy.sh"},
}
_SITE_PARTS = {NO_SITE: (), ARTIFACT: ("site",), PUBLISHED: ("site", "publish")}
# The maximum size in bytes of a file that is read from the branch. CODEOWNERS can be large, because it has lines for
# each model; hosts read no larger one.
_LONGEST = 3 << 20
_SPEC = (
    'name a full commit, --install "git+https://HOST/OWNER/gitmodel@COMMIT", or a version with its hash, '
    '--install "gitmodel==VERSION --hash=sha256:DIGEST"; for an extra: "gitmodel[s3] @ git+https://..."'
)
_RULES = {"github": (".github/",), "gitlab": (".gitlab-ci.yml", ".gitlab/"), "forgejo": (".forgejo/",)}


class HostSetUp(Frozen):
    """The result of `set_up`: the paths of new files (*written*) and of *changed* files, and the *unknown* owners.

    An unknown owner is an owner of a model whose text contains no account of a git host. *advice* is a text for the
    user: the settings to enable on the host, and the two identities to create there.
    """

    written: tuple[str, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]
    advice: str


class HostFiles(Frozen):
    """The files that `set_up` should write for the host *kind*.

    *owners* are the accounts that are responsible for the registry.

    *install* is the pinned package that pip installs in CI jobs (see `codeowners.is_pinned`). *site* is one of `SITES`.
    If *owners*, *install* or *site* is empty, its value in the existing files is used. If *force* is True, files that
    people changed or wrote are replaced.
    """

    kind: str
    owners: tuple[str, ...] = ()
    install: str = ""
    site: str = ""
    force: bool = False


def set_up(repository: Repository, wanted: HostFiles) -> HostSetUp:
    """Commit the files that *wanted* describes to the metadata branch. No commit is made if they are up to date.

    Raises UsageError if *owners* or *install* of *wanted* is empty and the existing files do not have it either, or if
    *site* is "publish" and the host cannot publish pages. Raises Conflict if people changed or wrote one of the files,
    unless *force* of *wanted* is True.
    """
    return transact(repository, _planned(repository, wanted))


def check(repository: Repository, wanted: HostFiles, *, ask: bool) -> None:
    """Raise the errors that `set_up` would raise, and write nothing.

    If this repository has no registry and *ask* is True, the registry is read from a remote.
    """
    tip = repository.tip() or (repository.latest() if ask else None)
    _planned(repository, wanted)(repository.snapshot_at(tip))


def check_given(owners: Collection[str], install: str) -> None:
    """Raise UsageError if the package *install* is given but not pinned.

    The message also reports if *owners* is empty.
    """
    if install and not codeowners.is_pinned(install):
        _refuse_missing(owners, install)


def _refuse_missing(in_charge: Collection[str], install: str) -> None:
    """Raise UsageError if *in_charge* (the registry's owners) is empty, or if the package *install* is not pinned.

    If both are wrong, the message reports both.
    """
    why, hints = [], []
    if not in_charge:
        why.append("no owner of the registry is named")
        hints.append("name one or more: --owner @org/team")
    if not install:
        why.append("nothing says which gitmodel the jobs install: it has no release yet")
    elif not codeowners.is_pinned(install):
        why.append("--install names no commit of a repository and no version with hashes")
    if not codeowners.is_pinned(install):
        hints.append(_SPEC)
    if why:
        raise UsageError(", and ".join(why), hint="; and ".join(hints))


def _planned(repository: Repository, asked: HostFiles) -> Callable[[Snapshot], Change[HostSetUp]]:
    kind = asked.kind
    given = [account for owner in asked.owners for account in _accounts(owner)]
    if kind == "forgejo" and asked.site == PUBLISHED:
        raise UsageError("Forgejo has no pages of its own", hint="--site keeps them as an artifact of the job")

    def plan(snapshot: Snapshot) -> Change[HostSetUp]:
        now = {path: _text(repository, snapshot, path) for path in (*_KEPT[kind], *_BEGUN[kind], CODEOWNERS)}
        in_charge = given or codeowners.rule_owners(now[CODEOWNERS] or "")
        before = "".join(now[path] or "" for path in _KEPT[kind])
        spec = asked.install or codeowners.installed_by(before)
        site = asked.site or _kept_site(kind, before)
        _refuse_missing(in_charge, spec)
        wanted = {
            path: codeowners.marked(kind, _with_site(repository, name, spec, site))
            for path, name in _KEPT[kind].items()
        }
        owned, unknown = _owned(snapshot)
        wanted[CODEOWNERS] = _code_owners(snapshot, kind, in_charge, owned)
        for path, text in wanted.items():
            old = now[path]
            if old is not None and not codeowners.is_untouched(old) and not asked.force:
                raise _by_hand(path, old, repository.branch_name)
            wanted[path] = codeowners.keep_own_part(text, old or "")
        wanted |= {path: _template(repository, name, spec) for path, name in _BEGUN[kind].items() if now[path] is None}
        files = {path: text.encode() for path, text in wanted.items() if text != now[path]}
        new = tuple(path for path in files if now[path] is None)
        done = HostSetUp(
            new,
            tuple(path for path in files if path not in new),
            unknown,
            _with_site(repository, f"{kind}.txt", spec, site).rstrip("\n"),
        )
        verb = "Update" if any(now.values()) else "Add"
        return Change(done, subject=f"{verb} the files that {NAMES[kind]} reads", files=files)

    return plan


def is_stale(repository: Repository) -> str:
    """Return the kind of host for which CODEOWNERS should be generated again; "" if it is up to date.

    It is out of date if it does not have the current models, owners and stages. Returns "" also if there is no
    CODEOWNERS, or if people changed the generated part.
    """
    snapshot = repository.snapshot()
    try:
        now = _text(repository, snapshot, CODEOWNERS) if snapshot.commit else None
        kind = codeowners.made_for(now or "")
        if now is None or kind not in HOSTS or not codeowners.is_untouched(now):
            return ""
        wanted = _code_owners(snapshot, kind, codeowners.rule_owners(now), _owned(snapshot)[0])
    except GitModelError:
        return ""  # `check` reports damaged records
    return "" if codeowners.keep_own_part(wanted, now) == now else kind


def _code_owners(snapshot: Snapshot, kind: str, owners: Iterable[str], owned: Mapping[str, tuple[str, ...]]) -> str:
    rules = (paths.REGISTRY, paths.SIGNERS, CODEOWNERS, *_RULES[kind])
    text = codeowners.code_owners(kind, rules, owners, owned, snapshot.registry().stage_names)
    head, line, own = text.partition(codeowners.OWN_PART)
    return codeowners.marked(kind, head) + line + own


def _owned(snapshot: Snapshot) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the accounts of the owners by model, and "MODEL: OWNER" for each owner without an account."""
    owned, unknown = {}, []
    for model in snapshot.model_names():
        try:
            owners = snapshot.model(model).owners
        except GitModelError:
            continue  # `check` reports damaged records
        accounts = tuple(dict.fromkeys(account for owner in owners for account in codeowners.accounts_in(owner)))
        unknown += [f"{model}: {owner}" for owner in owners if not codeowners.accounts_in(owner)]
        if accounts:
            owned[model] = accounts
    return owned, tuple(unknown)


def _accounts(owner: str) -> tuple[str, ...]:
    found = codeowners.accounts_in(owner)
    if not found:
        raise UsageError(f"{owner!a} is not an account of a host", hint="write @user, @org/team or an e-mail address")
    return found


def _by_hand(path: str, text: str, branch: str) -> Conflict:
    what = "was changed by hand" if codeowners.made_for(text) else "was made by somebody else"
    return Conflict(
        f"{path} on {branch} {what}; nothing was written",
        hint=f"see it: git show {branch}:{path}; --force replaces it",
    )


def _text(repository: Repository, snapshot: Snapshot, path: str) -> str | None:
    try:
        id = repository.files(snapshot.commit).id(path)
        return None if id is None else repository.reader.get(id, limit=_LONGEST).data.decode("utf-8", "surrogateescape")
    except Invalid as error:
        raise Conflict(f"{path} cannot be read: {error.message}", hint="run `git model check`") from None


def _with_site(repository: Repository, name: str, install: str, site: str) -> str:
    """Return the text of the template *name*, such as `github.yml`, and of the templates that *site* adds.

    Those for publishing pages are named like `github-site.yml`.
    """
    kind, _, extension = name.partition(".")
    names = (name, *(f"{kind}-{part}.{extension}" for part in _SITE_PARTS[site]))
    return "".join(_template(repository, each, install, site) for each in names)


def _kept_site(kind: str, text: str) -> str:
    """Return the value of `SITES` with which the workflow file *text* for the host *kind* was generated."""
    sites = SITES if kind != "forgejo" else SITES[: SITES.index(PUBLISHED)]
    return [site for site in sites if all(_first_job(kind, part) in text for part in _SITE_PARTS[site])][-1]


def _first_job(kind: str, part: str) -> str:
    """Return the line that begins the CI job in the template `KIND-PART.yml`, with a line break before and after it."""
    text = _read(f"{kind}-{part}.yml")
    return next(f"\n{line}\n" for line in text.splitlines() if re.fullmatch(r" *[a-z-]+:", line))


def _template(repository: Repository, name: str, install: str, site: str = NO_SITE) -> str:
    filled = {
        "@BRANCH@": repository.branch_name,
        "@INSTALL@": install,
        "@SITE_INSTALL@": codeowners.with_extra(install, "ui"),
        "@SITE_OPTIONS@": " --public" if site == PUBLISHED else "",
    }
    text = _read(name)
    for key, value in filled.items():
        text = text.replace(key, value)
    return text


def _read(name: str) -> str:
    return (resources.files("gitmodel.hosts") / "templates" / name).read_text(encoding="utf-8")
