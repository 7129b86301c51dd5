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
# The workflow file for each kind of host, from the template KIND.yml. Each `git model init --ci` generates it again.
_WORKFLOWS = {
    "github": ".github/workflows/gitmodel.yml",
    "gitlab": ".gitlab/gitmodel.yml",
    "forgejo": ".forgejo/workflows/gitmodel.yml",
}
# A second file for each kind of host, and its template. `git model init --ci` writes it only if it does not exist,
# because the team edits it.
_TEAM_FILES = {
    "github": (".github/workflows/gitmodel-deploy.yml", "github-deploy.yml"),
    "gitlab": (".gitlab-ci.yml", "gitlab-deploy.yml"),
    "forgejo": (".forgejo/gitmodel-deploy.sh", "forgejo-deploy.sh"),
}
_SITE_PARTS = {NO_SITE: (), ARTIFACT: ("site",), PUBLISHED: ("site", "publish")}
# The maximum size in bytes of a file that is read from the branch, and of the CODEOWNERS that hosts read.
_LONGEST = 3 << 20
_SPEC = (
    'name a full commit, --install "git+https://HOST/OWNER/gitmodel@COMMIT", or a version with its hash, '
    '--install "gitmodel==VERSION --hash=sha256:DIGEST"; for an extra: "gitmodel[s3] @ git+https://..."'
)
_RULES = {"github": (".github/",), "gitlab": (".gitlab-ci.yml", ".gitlab/"), "forgejo": (".forgejo/",)}


class HostSetUp(Frozen):
    """The result of `set_up`: the paths of new files (*written*) and of *changed* files.

    *unknown* has a text "MODEL: OWNER" for each owner without an account of a git host. *advice* tells the user which
    settings to enable on the host, and which two identities to create there: one that registers versions, and one that
    puts changes in force.
    """

    written: tuple[str, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]
    advice: str


class HostFiles(Frozen):
    """The files that `set_up` should write for the host *kind*.

    *owners* are the accounts that must approve changes of the registry's rules. *install* is the pinned package that
    pip installs in CI jobs (see `codeowners.is_pinned`). *site* is one of `SITES`. For an empty value, `set_up` uses
    the value in the existing files. If *force*, it replaces files that people changed or wrote.
    """

    kind: str
    owners: tuple[str, ...] = ()
    install: str = ""
    site: str = ""
    force: bool = False


def set_up(repository: Repository, wanted: HostFiles) -> HostSetUp:
    """Commit the files that *wanted* describes to the metadata branch. Makes no commit if they are up to date.

    Raises UsageError if neither *wanted* nor the existing files have *owners* or *install*, or if *site* is "publish"
    and the host cannot publish pages; Conflict if people changed or wrote a file and *force* of *wanted* is False.
    """
    return transact(repository, _planned(repository, wanted))


def check(repository: Repository, wanted: HostFiles, *, ask: bool) -> None:
    """Raise the errors of `set_up`. If *ask* and this clone lacks the branch, fetch it from a remote first."""
    tip = repository.tip() or (repository.latest() if ask else None)
    _planned(repository, wanted)(repository.snapshot_at(tip))


def check_given(owners: Collection[str], install: str) -> None:
    """Raise UsageError if the package *install* is given but not pinned. The message also reports empty *owners*."""
    if install and not codeowners.is_pinned(install):
        _refuse_missing(owners, install)


def _refuse_missing(owners: Collection[str], install: str) -> None:
    """Raise UsageError if the registry has no *owners*, or if the package *install* is not pinned."""
    why, hints = [], []
    if not owners:
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


def _planned(repository: Repository, wanted: HostFiles) -> Callable[[Snapshot], Change[HostSetUp]]:
    kind = wanted.kind
    given = [account for owner in wanted.owners for account in _accounts(owner)]
    if kind == "forgejo" and wanted.site == PUBLISHED:
        raise UsageError("Forgejo has no pages of its own", hint="--site keeps them as an artifact of the job")
    workflow, (team_file, team_template) = _WORKFLOWS[kind], _TEAM_FILES[kind]

    def plan(snapshot: Snapshot) -> Change[HostSetUp]:
        now = {path: _text(repository, snapshot, path) for path in (workflow, team_file, CODEOWNERS)}
        owners = given or codeowners.rule_owners(now[CODEOWNERS] or "")
        install = wanted.install or codeowners.installed_by(now[workflow] or "")
        site = wanted.site or _kept_site(kind, now[workflow] or "")
        _refuse_missing(owners, install)
        accounts, unknown = _model_accounts(snapshot)
        texts = {
            workflow: codeowners.marked(kind, _with_site(repository, f"{kind}.yml", install, site)),
            CODEOWNERS: _code_owners(snapshot, kind, owners, accounts),
        }
        for path, text in texts.items():
            old = now[path]
            if old is not None and not codeowners.is_untouched(old) and not wanted.force:
                what = "was changed by hand" if codeowners.made_for(old) else "was made by somebody else"
                raise Conflict(
                    f"{path} on {repository.branch_name} {what}; nothing was written",
                    hint=f"see it: git show {repository.branch_name}:{path}; --force replaces it",
                )
            texts[path] = codeowners.keep_own_part(text, old or "")
        if now[team_file] is None:
            texts[team_file] = _template(repository, team_template, install)
        files = {path: text.encode() for path, text in texts.items() if text != now[path]}
        new = tuple(path for path in files if now[path] is None)
        changed = tuple(path for path in files if path not in new)
        advice = _with_site(repository, f"{kind}.txt", install, site).rstrip("\n")
        done = HostSetUp(new, changed, unknown, advice)
        verb = "Update" if any(now.values()) else "Add"
        return Change(done, subject=f"{verb} the files that {NAMES[kind]} reads", files=files)

    return plan


def is_stale(repository: Repository) -> str:
    """Return the kind of host for which CODEOWNERS was generated, if models, owners or stages changed since; else "".

    Compares the file with the one that `set_up` would write now. Also returns "" if people changed the generated part,
    or if a record that is needed for this is damaged.
    """
    snapshot = repository.snapshot()
    try:
        now = _text(repository, snapshot, CODEOWNERS) if snapshot.commit else None
        kind = codeowners.made_for(now or "")
        if now is None or kind not in HOSTS or not codeowners.is_untouched(now):
            return ""
        current = _code_owners(snapshot, kind, codeowners.rule_owners(now), _model_accounts(snapshot)[0])
    except GitModelError:
        return ""  # `check` reports damaged records
    return "" if codeowners.keep_own_part(current, now) == now else kind


def _code_owners(snapshot: Snapshot, kind: str, owners: Iterable[str], by_model: Mapping[str, tuple[str, ...]]) -> str:
    rules = (paths.REGISTRY, paths.SIGNERS, CODEOWNERS, *_RULES[kind])
    text = codeowners.code_owners(kind, rules, owners, by_model, snapshot.registry().stage_names)
    head, line, own = text.partition(codeowners.OWN_PART)
    return codeowners.marked(kind, head) + line + own


def _model_accounts(snapshot: Snapshot) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the accounts of each model's owners, by model, and "MODEL: OWNER" for each owner without an account."""
    by_model, unknown = {}, []
    for model in snapshot.model_names():
        try:
            owners = snapshot.model(model).owners
        except GitModelError:
            continue  # `check` reports damaged records
        accounts = tuple(dict.fromkeys(account for owner in owners for account in codeowners.accounts_in(owner)))
        unknown += [f"{model}: {owner}" for owner in owners if not codeowners.accounts_in(owner)]
        if accounts:
            by_model[model] = accounts
    return by_model, tuple(unknown)


def _accounts(owner: str) -> tuple[str, ...]:
    found = codeowners.accounts_in(owner)
    if not found:
        raise UsageError(f"{owner!a} is not an account of a host", hint="write @user, @org/team or an e-mail address")
    return found


def _text(repository: Repository, snapshot: Snapshot, path: str) -> str | None:
    try:
        id = repository.files(snapshot.commit).id(path)
        return None if id is None else repository.reader.get(id, limit=_LONGEST).data.decode("utf-8", "surrogateescape")
    except Invalid as error:
        raise Conflict(f"{path} cannot be read: {error.message}", hint="run `git model check`") from None


def _with_site(repository: Repository, name: str, install: str, site: str) -> str:
    """Return the text of the template *name*, such as `github.yml`, and of those for *site* (`github-site.yml`)."""
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
