"""Setting up a git host: workflow files and CODEOWNERS on the metadata branch, and advice on settings."""

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
# Files that a later run updates.
_KEPT = {
    "github": {".github/workflows/gitmodel.yml": "github.yml"},
    "gitlab": {".gitlab/gitmodel.yml": "gitlab.yml"},
    "forgejo": {".forgejo/workflows/gitmodel.yml": "forgejo.yml"},
}
# Files that are written once, for the team to edit.
_BEGUN = {
    "github": {".github/workflows/gitmodel-deploy.yml": "github-deploy.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab-ci.yml"},
    "forgejo": {".forgejo/gitmodel-deploy.sh": "forgejo-deploy.sh"},
}
_SITE_PARTS = {NO_SITE: (), ARTIFACT: ("site",), PUBLISHED: ("site", "publish")}
# The maximum size of a CODEOWNERS file that hosts read. It has lines for each model.
_LONGEST = 3 << 20
_SPEC = (
    'name a full commit, --install "git+https://HOST/OWNER/gitmodel@COMMIT", or a version with its hash, '
    '--install "gitmodel==VERSION --hash=sha256:DIGEST"; for an extra: "gitmodel[s3] @ git+https://..."'
)
_RULES = {"github": (".github/",), "gitlab": (".gitlab-ci.yml", ".gitlab/"), "forgejo": (".forgejo/",)}


class HostSetUp(Frozen):
    """The result of the set-up: new files *written*, files *changed*, owners of models that are *unknown* to hosts.

    *advice* lists the settings to enable on the host and the two identities to create.
    """

    written: tuple[str, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]
    advice: str


class HostFiles(Frozen):
    """The wanted files for the host *kind*. *owners* are the accounts responsible for the registry.

    *install* is the package that pip installs in the jobs (`codeowners.is_pinned`), and *site* one of `SITES`. If one
    of these is empty, its previous value is used. With *force*, files that were changed by hand are replaced.
    """

    kind: str
    owners: tuple[str, ...] = ()
    install: str = ""
    site: str = ""
    force: bool = False


def set_up(repository: Repository, wanted: HostFiles) -> HostSetUp:
    """Commit the files for a host to the metadata branch, unless they are up to date.

    Raises UsageError if a value in *wanted* is empty and has no previous value, and if the host cannot publish pages;
    Conflict, without *force*, for a file that was changed by hand or not generated.
    """
    return transact(repository, _planned(repository, wanted))


def check(repository: Repository, wanted: HostFiles, *, ask: bool) -> None:
    """Raise the errors that `set_up` would raise. With *ask*, contact the remotes if there is no registry here."""
    tip = repository.tip() or (repository.latest() if ask else None)
    _planned(repository, wanted)(repository.snapshot_at(tip))


def check_given(owners: Collection[str], install: str) -> None:
    """Raise UsageError if *install* is given and not pinned. The message also reports missing *owners*."""
    if install and not codeowners.is_pinned(install):
        _refuse_missing(owners, install)


def _refuse_missing(in_charge: Collection[str], install: str) -> None:
    """Raise UsageError if *in_charge* (the owners) is empty or *install* is not pinned.

    The message reports both problems.
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
    """Return the host whose CODEOWNERS lacks current models, owners or stages; "" if it is up to date."""
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
    """Return the accounts of each model's owners, and the owners that name no account."""
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
    """Return the template *name*, followed by those for the pages: `github.yml`, `github-site.yml`."""
    kind, _, extension = name.partition(".")
    names = (name, *(f"{kind}-{part}.{extension}" for part in _SITE_PARTS[site]))
    return "".join(_template(repository, each, install, site) for each in names)


def _kept_site(kind: str, text: str) -> str:
    """Return the choice of `SITES` with which the workflow file *text* was generated."""
    sites = SITES if kind != "forgejo" else SITES[: SITES.index(PUBLISHED)]
    return [site for site in sites if all(_first_job(kind, part) in text for part in _SITE_PARTS[site])][-1]


def _first_job(kind: str, part: str) -> str:
    """Return the line that begins the job of the template *part*."""
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
