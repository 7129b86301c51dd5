"""The current commit of a registry: the tip of its local branch, or else of the copy of a remote's branch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gitmodel.branch.stages.stage_tags import StageTags
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.digests import sha256
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import RULES_TAGS, STAGE_TAGS, remote_branch_ref
from gitmodel.domain.snapshots.commit_records import holds_registry
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused, Unreachable
from gitmodel.git.refs.ref_commands import list_refs
from gitmodel.git.running.process import Git
from gitmodel.git.settings.configuration import list_remotes, read_values

# The arguments of `git fetch` that fetch stage tags and rules tags, for hints.
_FETCHED_TAGS = " ".join(f"'+{prefix}*:{prefix}*'" for prefix in (STAGE_TAGS, RULES_TAGS))


@dataclass(eq=False)
class Tips:
    """Finds the tip of the metadata branch *branch*, and the last known state of remotes."""

    git: Git
    tags: StageTags
    branch: str
    config: Mapping[str, str]
    _last_with_registry: Oid | None = None  # the last commit in which `_registry_at` found a registry

    def __post_init__(self) -> None:
        self.reader = self.tags.commits.trees.reader

    @property
    def name(self) -> str:
        """The name of the branch, without `refs/heads/`."""
        return self.branch.removeprefix("refs/heads/")

    def readable(self) -> Oid | None:
        """Return the tip of the local branch, or else of a remote-tracking branch, from which reads start.

        If there is no such branch, returns None, or raises NotFound if the remote may have one that this clone does not
        fetch. Also raises NotFound if the commit has no registry.
        """
        found = self._registry_at(self.find(), NotFound)
        if not found:
            self._refuse_partial_clone()
        return found

    def writable(self) -> Oid | None:
        """Return the commit of `find`, on which a write builds. Raises Refused if this commit has no registry."""
        return self._registry_at(self.find(), Refused)

    def find(self) -> Oid | None:
        """Return the tip of the local branch or else of a remote-tracking branch, or None.

        The commit need not have a registry. Raises Invalid if the local branch exists, but its commit is missing.
        """
        found = self.reader.resolve(self.branch)
        if found is None:
            refs = list_refs(self.git, self.branch, self.fetched_ref("*"))
            self._refuse_lost_tip(refs.pop(self.branch, None))
            tracking = self._first_tracking(refs)
            found = self.reader.resolve(tracking) if tracking else None
        if found is not None and found.type != "commit":
            raise Invalid(f"{self.branch} is not a commit", hint="run `git fsck`")
        return found.id if found else None

    def require_registry(self, files: Files, error: type[GitModelError], where: str = "") -> None:
        """Raise an error of the type *error* if *files*, of a commit of the branch, have no registry.

        The message names the branch, followed by *where*, such as " of origin".
        """
        if not holds_registry(files):
            raise error(
                f"the branch {self.name}{where} holds no registry: it has no {paths.REGISTRY}",
                hint="name another branch for the registry with `git config gitmodel.branch NAME` or GITMODEL_BRANCH",
            )

    def tracking_branch(self) -> str | None:
        """Return the full name of the remote-tracking branch of the metadata branch, `origin` first; or None."""
        return self._first_tracking(list_refs(self.git, self.fetched_ref("*")))

    def remote_name(self) -> str:
        """Return the name of the remote that `pull` and `push` use by default; "" if there is none."""
        urls = (key for key in self.config if key.startswith("remote.") and key.endswith(".url"))
        remotes = [name for url in urls if (name := url[len("remote.") : -len(".url")])]
        remote = self.config.get("gitmodel.remote") or ("origin" if "origin" in remotes else "".join(remotes[:1]))
        return remote if remote in remotes else ""

    def shared(self) -> Oid | None:
        """Return the tip of the metadata branch of the remote `remote_name`, as this clone last saw it, or None."""
        remote = self.remote_name()
        for ref in (remote_branch_ref(remote, self.branch), self.fetched_ref(remote)) if remote else ():
            found = self.reader.resolve(ref)
            if found is not None and found.type == "commit":
                return found.id
        return None

    def fetched_ref(self, remote: str) -> str:
        """Return the ref to which a plain `git fetch` from *remote* copies its metadata branch."""
        return f"refs/remotes/{remote}/{self.name}"

    def missing_tags(self) -> str:
        """Return the shell command that fetches the remote's stage tags if this clone may lack these tags; else ""."""
        remote = self.remote_name()
        if not remote or not self.shared() or self.reader.resolve(remote_branch_ref(remote, self.branch)):
            return ""
        if self.tags.all():
            return ""
        return f"git fetch {remote} {_FETCHED_TAGS}"

    def lacks_tags(self) -> str:
        """Return the result of `missing_tags` if this clone was made with `git clone --no-tags`; else ""."""
        said = self.config.get(f"remote.{self.remote_name()}.tagopt")
        return self.missing_tags() if said == "--no-tags" else ""

    def fingerprint(self) -> str:
        """Return a text that differs after any change of the branch, a stage tag, the rules tag or a proposal."""
        proposals = ("refs/heads/propose/", "refs/remotes/*/propose/**")
        refs = list_refs(self.git, STAGE_TAGS, RULES_TAGS, "refs/gitmodel/remotes/", *proposals)
        found = "\n".join((str(self.find()), *(f"{ref} {id}" for ref, id in sorted(refs.items()))))
        return sha256(found.encode())

    def fetched(self) -> Oid | None:
        """Fetch the metadata branch from the first remote that has it, and return its tip; None if no remote has it.

        `origin` comes first. Raises Unreachable if a remote cannot be reached, Refused if the tip has no registry.
        """
        # imported here because most commands do not fetch
        from gitmodel.git.repositories.remote_commands import fetch_refs, has_remote_ref, silence_timeout

        for remote in sorted(list_remotes(self.git), key=lambda remote: (remote != "origin", remote)):
            silence = silence_timeout(self.config)
            try:
                there = has_remote_ref(self.git, remote, self.branch, silence)
            except GitModelError as error:
                raise Unreachable(
                    f"this clone has no registry, and remote {remote} cannot be asked for one: {error.message}",
                    hint="try again when the remote can be reached, or begin a registry of your own with "
                    "`git model init --new`",
                ) from None
            if there:
                tags = (f"+{prefix}*:{prefix}*" for prefix in (STAGE_TAGS, RULES_TAGS))
                branch = f"+{self.branch}:{self.fetched_ref(remote)}"
                fetch_refs(self.git, remote, branch, *tags, prune=False, silence=silence)
                return self.writable()
        return None

    def _registry_at(self, commit: Oid | None, error: type[GitModelError]) -> Oid | None:
        """Return *commit* if it is None or has a registry. Otherwise raise an error of the type *error*."""
        if commit and commit != self._last_with_registry:
            with suppress(Invalid):  # the first read of the damaged file raises the error
                self.require_registry(self.tags.commits.files(commit), error)
            self._last_with_registry = commit
        return commit

    def _refuse_partial_clone(self) -> None:
        """Raise NotFound if the remote may have a registry that `git fetch` does not fetch into this clone."""
        remote = self.remote_name()
        specs = read_values(self.git, f"remote.{remote}.fetch") if remote else []
        sources = [spec.lstrip("+").partition(":")[0] for spec in specs if not spec.startswith("^")]
        if not remote or (
            not self.tags.commits.shallow and any(fnmatchcase(self.branch, source) for source in sources)
        ):
            return
        raise NotFound(
            f"the registry is not in this clone: it has no branch {self.name}, and does not fetch all of {remote}",
            hint=f"fetch it with `git fetch {remote} '+{self.branch}:{self.fetched_ref(remote)}' "
            f"{_FETCHED_TAGS}`; if {remote} has none, begin one with `git model init`",
        )

    def _first_tracking(self, refs: Iterable[str]) -> str | None:
        """Return the remote-tracking branch of `origin` in *refs*, or else the first one of a remote, or None."""
        tracking = (ref for ref in refs if ref.startswith("refs/remotes/"))
        return min(tracking, key=lambda ref: (ref != self.fetched_ref("origin"), ref), default=None)

    def _refuse_lost_tip(self, id: Oid | None) -> None:
        """Raise Invalid if the local branch exists, but its commit *id* is missing or its file is damaged.

        `git cat-file` takes such a branch for missing. Then a new registry would hide the damage. *id* is the commit to
        which git lists the ref of the branch; None if git lists no such ref.
        """
        path = self.git.common_dir / self.branch
        content = b"ref:"
        with suppress(OSError):
            content = path.read_bytes()
        if (id is None and content.startswith(b"ref:")) or self.reader.resolve(self.branch) is not None:
            return  # there is no branch, or another process has just created it
        if id:
            raise Invalid(f"git object {id}, the tip of {self.branch}, is missing", hint="run `git fsck`")
        # A power cut can leave an empty file.
        raise Invalid(
            f"{path} is damaged: it names no commit",
            hint=f"`git reflog {self.name}` shows what it was: write that id into the file",
        )
