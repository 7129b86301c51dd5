"""Pull and push: two registries that were changed apart come together, one operation a line, nothing lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gitmodel.domain import history, paths
from gitmodel.domain.merging import Renumbering, replay, reworded
from gitmodel.domain.records import ArtifactLink
from gitmodel.domain.refs import StageRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.domain.views import usable
from gitmodel.errors import Conflict, Invalid, Refused, Unreachable
from gitmodel.storage import artifacts, remotes
from gitmodel.storage.artifacts import ArtifactStore, Progress
from gitmodel.storage.git import Locked, Moved, is_id
from gitmodel.storage.log import changed_paths, changes_between
from gitmodel.storage.remotes import RemoteMoved, RemoteState
from gitmodel.storage.repository import Repository

_ATTEMPTS = 20


@dataclass
class Pulled:
    """What a pull did: *tip* is the branch now; *replayed* local commits were made anew on the remote's.

    *renumbered* versions got another number ("iris 4 -> 5"); of *conflicts* the remote's side stands.
    """

    remote: str
    tip: str
    changed: bool = False
    replayed: int = 0
    renumbered: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    moved: list[StageRef] = field(default_factory=list)


@dataclass
class Pushed:
    """What a push did: *commits* that the remote did not have, *artifacts* uploaded, stage tags *moved*."""

    remote: str
    tip: str
    commits: int = 0
    artifacts: int = 0
    moved: list[StageRef] = field(default_factory=list)
    pulled: list[Pulled] = field(default_factory=list)


def pull(repository: Repository, remote: str, *, rewound: bool = False) -> Pulled:
    """Bring the metadata branch and the stage tags of *remote* together with the local ones.

    Local commits that the remote lacks are replayed on its tip, record by record. A remote that does not descend from
    what was last seen is a Conflict, unless *rewound* says that it may. Raises Unreachable, and Refused for unrelated
    histories and for signed commits that would have to be replayed.
    """
    state = remotes.fetch(repository, remote)
    if state.last_seen and not rewound and not (state.tip and _reaches(repository, state.tip, state.last_seen)):
        raise Conflict(
            f"{remote} was rewound: its metadata branch no longer has the commit {state.last_seen[:10]} seen there",
            hint="ask who rewound it; `git model pull --rewound` takes it as it is, and local work is kept",
        )
    for _ in range(_ATTEMPTS):
        try:
            return _join(repository, state)
        except (Moved, Locked):
            repository.reader.close()
            time.sleep(random.uniform(0, 0.05))
    raise Conflict("others kept changing this registry while it was pulled", hint="try again")


def push(
    repository: Repository,
    remote: str,
    store: ArtifactStore,
    local: ArtifactStore,
    *,
    timeout: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    progress: Progress | None = None,
) -> Pushed:
    """Upload missing artifacts from *local* to *store*, then push branch and stage tags, all or nothing.

    If the remote was changed meanwhile, its changes are pulled, ours replayed, and the push tried again, for *timeout*
    seconds. Raises Unreachable for artifacts that others could not reach, Refused if a rule of the host forbids it.
    """
    ends = clock() + timeout
    done = Pushed(remote, repository.tip())
    while True:
        pulled = pull(repository, remote)
        if pulled.changed or pulled.conflicts:
            done.pulled.append(pulled)
        state = RemoteState(remote, _seen(repository, remote), remotes.remote_tags(repository, remote), "")
        tip = repository.tip()
        moves, moved = _moves(repository, state, tip)
        done.tip, done.moved = tip, moved
        if not moves:
            return done
        done.commits = len(changes_between(repository, state.tip, tip)) if state.tip else _count(repository, tip)
        done.artifacts += _upload(repository, state.tip, tip, store, local, progress)
        try:
            remotes.push(repository, remote, moves)
        except RemoteMoved:
            if clock() > ends:
                raise
            time.sleep(random.uniform(0, 0.2))
            continue
        except Unreachable:
            # A push that reports failure may have landed.
            if remotes.fetch(repository, remote).tip != tip:
                raise
        _remember(repository, remote, moves)
        return done


def _join(repository: Repository, state: RemoteState) -> Pulled:
    local = repository.reader.resolve(repository.branch)
    ours, theirs = local.id if local else "", state.tip
    done = Pulled(state.remote, ours or theirs)
    if not theirs:
        return done
    renumbered: Renumbering = {}
    if not ours or _reaches(repository, theirs, ours):
        done.tip = theirs
    elif not _reaches(repository, ours, theirs):
        done.tip = _replay_all(repository, ours, theirs, renumbered, done)
    done.renumbered = [f"{model} {old} -> {new}" for (model, old), new in renumbered.items()]
    done.changed = done.tip != ours
    moves = [f"update {repository.branch} {done.tip} {ours or '0' * 40}"] if done.changed else []
    seen = remotes.branch_ref(state.remote)
    last = repository.reader.resolve(seen)
    if last is None or last.id != theirs:
        moves.append(f"update {seen} {theirs} {last.id if last else '0' * 40}")
    tags, drops = _tag_moves(repository, state, done)
    if moves or tags:
        repository.move([*moves, *tags], f"gitmodel: pull {state.remote}")
    for ref, old in drops:
        repository.drop_tag(ref, old)
    return done


def _replay_all(repository: Repository, ours: str, theirs: str, renumbered: Renumbering, done: Pulled) -> str:
    if not repository.git.lines("merge-base", ours, theirs, answers=(0, 1)):
        raise Refused(
            f"the registry here and the one of {done.remote} have nothing in common",
            hint="keep one: `git branch -m gitmodel gitmodel-old` puts the local one aside, then pull again",
        )
    onto = theirs
    for id, changed in changes_between(repository, theirs, ours):
        commit = repository.tags.commit(id)
        if b"\ngpgsig" in repository.reader.get(id).data.split(b"\n\n", 1)[0]:
            raise Refused(
                f"commit {id[:10]} is signed, and replaying it would lose the signature",
                hint=f"push it before others do, or make the change again on {done.remote}'s branch",
            )
        before = repository.files(commit.parents[0] if commit.parents else "")
        again = replay(before, repository.files(id), changed, repository.snapshot(onto), renumbered)
        done.conflicts += again.conflicts
        if again.files:
            onto = repository.add_commit(
                onto, again.files, commit.author, reworded(commit.message, renumbered, again.lost_names)
            )
            done.replayed += 1
    return onto


def _tag_moves(
    repository: Repository, state: RemoteState, done: Pulled
) -> tuple[list[str], list[tuple[StageRef, str]]]:
    """What makes each local stage tag equal the remote's, but for stages that unpushed commits change."""
    ours = {ref: repository.tags.id(ref) for ref in repository.tags.all()}
    changed = _changed_stages(repository, state.tip, done.tip)
    moves, drops = [], []
    for ref in sorted({*ours, *state.tags, *changed}):
        old = ours.get(ref, "")
        if ref in changed:
            wanted = repository.tags.recorded_at(done.tip, ref)
            if wanted is not None and wanted.id != old:
                repository.objects.write([wanted])
            new = wanted.id if wanted else ""
        else:
            new = state.tags.get(ref, "")
        if new and new != old:
            moves.append(f"update {ref.full} {new} {old or '0' * 40}")
            done.moved.append(ref)
        elif old and not new:
            drops.append((ref, old))
            done.moved.append(ref)
    return moves, drops


def _moves(repository: Repository, state: RemoteState, tip: str) -> tuple[dict[str, tuple[str, str]], list[StageRef]]:
    """What a push has to move on the remote: each ref with its new and its expected old id."""
    moves = {} if tip == state.tip else {repository.branch: (tip, state.tip)}
    ours = {ref: repository.tags.read(ref) for ref in repository.tags.all()}
    moved = []
    for ref in sorted({*ours, *state.tags}):
        found, there = ours.get(ref), state.tags.get(ref, "")
        if found is None and there:
            moves[ref.full] = ("", there)
        elif found is not None and found.id != there:
            judged = repository.tags.judge(ref, found, tip)
            if judged.forged:
                raise Invalid(
                    f"the tag {ref.name} does not count: {judged.forged}", hint="run `git model doctor --fix`"
                )
            moves[ref.full] = (found.id, there)
        else:
            continue
        moved.append(ref)
    return moves, moved


def _upload(
    repository: Repository, old: str, new: str, store: ArtifactStore, local: ArtifactStore, progress: Progress | None
) -> int:
    """Put the artifacts of the versions between *old* and *new* where others can reach them; returns how many."""
    links = {link.digest: (link, version) for version, link in _new_links(repository, old, new)}
    if links and not store.shared:
        link, version = next(iter(links.values()))
        raise Unreachable(
            f"{link.name} of {version} is in {store.url}, which only this machine can reach",
            hint="run `git model init --store URL` (for example file:///srv/models) to name a store that all can reach",
        )
    missing = [(link, version) for digest, (link, version) in links.items() if not store.holds(digest)]
    for link, version in missing:
        if not local.holds(link.digest):
            raise Unreachable(
                f"{link.name} of {version} is neither in {store.url} nor on this machine",
                hint=f"run `git model unlink {version} {link.name}`, or link the file again",
            )
        artifacts.copy_artifact(local, store, link.digest, folder=link.is_folder, progress=progress)
    return len(missing)


def _new_links(repository: Repository, old: str, new: str) -> Iterable[tuple[str, ArtifactLink]]:
    snapshot: Snapshot = repository.snapshot(new)
    changed = (
        changed_paths(repository, old, new) if old else [path for path, _ in repository.files(new).walk(paths.MODELS)]
    )
    for path in changed:
        what = paths.parse_path(path)
        if what is not None and what.kind == "version" and snapshot.files.read(path) is not None:
            for record in usable(snapshot.versions(what.model, [int(what.key)])):
                for link in record.artifacts:
                    yield f"{what.model}@{record.number}", link


def _changed_stages(repository: Repository, old: str, new: str) -> set[StageRef]:
    if old == new:
        return set()
    found = (paths.parse_path(path) for path in changed_paths(repository, old, new))
    return {StageRef(what.model, what.key) for what in found if what is not None and what.kind in ("stage", "alias")}


def _remember(repository: Repository, remote: str, moves: dict[str, tuple[str, str]]) -> None:
    """Move our copies of the remote's refs to what was just pushed."""
    lines = []
    for ref, (new, _) in moves.items():
        parsed = StageRef.parse(ref)
        copy = (
            remotes.branch_ref(remote)
            if parsed is None
            else f"{remotes.tags_prefix(remote)}{parsed.model}/{parsed.stage}"
        )
        if new:
            lines.append(f"update {copy} {new}")
        else:
            repository.git.run("update-ref", "-d", copy)
    repository.git.run(
        "update-ref",
        "-m",
        history.one_line(f"gitmodel: push {remote}"),
        "--stdin",
        input="".join(f"{x}\n" for x in lines).encode(),
    )


def _seen(repository: Repository, remote: str) -> str:
    found = repository.reader.resolve(remotes.branch_ref(remote))
    return found.id if found else ""


def _reaches(repository: Repository, tip: str, commit: str) -> bool:
    return tip == commit or repository.git.lines("merge-base", tip, commit, answers=(0, 1)) == [commit]


def _count(repository: Repository, tip: str) -> int:
    return int(repository.git.lines("rev-list", "--count", "--first-parent", tip)[0]) if is_id(tip) else 0
