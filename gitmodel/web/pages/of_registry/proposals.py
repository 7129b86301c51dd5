"""The page with the open proposals, and a page for each that shows its merge as `git model plan` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from gitmodel.domain.rules.gates import Outcome
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.names import ARCHIVED
from gitmodel.domain.views.comparison import Compared
from gitmodel.domain.views.lineage import ARTIFACT, Lineage, Node
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import GitModelError, NotFound
from gitmodel.frozen import Frozen
from gitmodel.svg.scales import number_text
from gitmodel.teams.plans import plan_texts
from gitmodel.teams.plans.gate_limits import gate_limits, worse_numbers
from gitmodel.teams.plans.holder_trends import gate_keys
from gitmodel.teams.plans.planning import CodeRange, Plan, PlannedChange
from gitmodel.teams.plans.stored_contents import TextChange
from gitmodel.teams.proposing.proposals import Proposal
from gitmodel.web.page import Page
from gitmodel.web.pages.of_model.model import Chart
from gitmodel.web.registry_data.registry_data import RegistryData
from gitmodel.web.shown_text import safe_url

# The greatest number of rows of a table; `git model plan` shows all rows.
_MOST_ROWS = 100


class ProposalRow(Frozen):
    """An open proposal: its *changes*, the *verdict* of the rules in words, and the *state* that colours the verdict.

    *worse* has the numbers that gates read and that would become worse, in words. *approvals* says who must approve.
    *address* is the URL of the page on the host that opens the pull request, "" if the host is not known.
    """

    id: str
    subject: str
    author: str
    created: datetime
    branch: str
    changes: tuple[str, ...]
    verdict: str
    state: str
    worse: tuple[str, ...]
    approvals: tuple[str, ...]
    address: str


class ProposalsPage(Frozen):
    """The open proposals whose branches this repository has, sorted by branch."""

    proposals: tuple[ProposalRow, ...]


class Rule(Frozen):
    """A rule of a stage and its *result* for the new version: passed, forced (failed, but overridden) or FAILED."""

    name: str
    result: str
    expression: str
    found: str
    message: str


class Difference(Frozen):
    """A value, digest or package that differs between the old and the new version; "-" if a version does not have it.

    *gated* is True for a value that a gate reads, and *worse* if it moved in the direction in which the gate fails.
    """

    name: str
    kind: str
    old: str
    new: str
    change: str = ""
    gated: bool = False
    is_number: bool = False
    worse: bool = False


class Differences(Frozen):
    """The differences of one kind, such as packages. *more* is the number of rows that the page leaves out."""

    title: str
    rows: tuple[Difference, ...]
    more: int


class StageChange(Frozen):
    """The change of one stage or alias, as `git model plan` describes it.

    *effect* is the effect of the merge, in words. *verdict* is the result of the rules in words, and *state* colours
    it. *worse* has, in words, the numbers that gates read and that would become worse, or "". *better* has other
    versions that have a better number than *new*. *approval* says who must approve; "" if nobody must. *signature* says
    who signed, or why no signature counts. *chart* has the headline numbers of *new* and of the versions that were in
    the stage most recently. *dependents* are the versions in a stage or with an alias whose run read an artifact of
    *old*.
    """

    model: str
    place: str
    alias: bool
    old: int | None
    new: int | None
    effect: str
    verdict: str
    state: str
    worse: str
    better: tuple[str, ...]
    signature: str
    lacks_signature: bool
    approval: str
    approvers: tuple[str, ...]
    reviewed: bool
    who: str
    reason: str
    maker: str
    owners: tuple[str, ...]
    code: CodeRange
    rules: tuple[Rule, ...]
    metrics: tuple[Difference, ...]
    chart: Chart | None
    sources: Lineage | None
    differences: tuple[Differences, ...]
    texts: tuple[TextChange, ...]
    dependents: tuple[str, ...]


class ProposalPage(Frozen):
    """A proposal and the effect of its merge into *base*. *address* is the URL that opens its pull request, or ""."""

    id: str
    subject: str
    author: str
    created: datetime
    branch: str
    commit: str
    base: str
    address: str
    command: str
    changes: tuple[StageChange, ...]
    versions: tuple[str, ...]
    renamed: tuple[str, ...]
    rule_changes: tuple[str, ...]
    permissions: tuple[str, ...]
    problems: tuple[str, ...]


def read_all(registry: RegistryData) -> ProposalsPage:
    """Return the value of the page of all proposals."""
    return ProposalsPage(tuple(_row(registry, proposal) for proposal in registry.proposals.values()))


def read(registry: RegistryData, id: str) -> ProposalPage:
    """Return the value of the page of the open proposal *id*. Raises NotFound if there is none."""
    found = registry.proposals.get(id)
    if found is None:
        raise NotFound(f"there is no open proposal {id!a}", hint="`git model proposals` lists them")
    plan = _whole_plan(registry, found)
    return ProposalPage(
        id, found.subject, found.author, found.created, found.branch, found.commit, plan.base, safe_url(found.address),
        f"git model plan {registry.branch}..{found.commit[:10]}",
        tuple(_change(registry, change) for change in plan.changes), plan.versions,
        tuple(f"{old} is renamed to {new}; its stages do not change" for old, new in plan.renamed),
        plan.rule_changes, plan.rules, tuple(map(_problem_text, plan.problems)),
    )  # fmt: skip


def _whole_plan(registry: RegistryData, proposal: Proposal) -> Plan:
    """Return the plan of *proposal*, with packages and texts from the artifact store if the site may show artifacts."""
    if not registry.options.artifacts:
        return proposal.plan
    try:
        return registry.plan(f"{proposal.base}..{proposal.commit}")
    except GitModelError:
        return proposal.plan


def _row(registry: RegistryData, proposal: Proposal) -> ProposalRow:
    plan = proposal.plan
    changes = [f"{change.model}: " * (change.new is None) + plan_texts.effect_text(change) for change in plan.changes]
    changes += [f"{old} is renamed to {new}" for old, new in plan.renamed]
    verdict, state = _verdict([outcome for change in plan.changes for outcome in change.outcomes])
    if plan.problems:
        verdict, state = "not to be merged", "forged"
    said = (proposal.subject, proposal.author, proposal.created, proposal.branch)
    worse = tuple(filter(None, map(plan_texts.worse_text, plan.changes)))
    approvals = tuple(dict.fromkeys(filter(None, (_approval(registry, change) for change in plan.changes))))
    if plan.changes and not (plan.renamed or plan.rule_changes):
        approvals = approvals or ("not required",)
    lines = (*changes, *plan.rule_changes)
    return ProposalRow(plan.id, *said, lines, verdict, state, worse, approvals, safe_url(proposal.address))


def _approval(registry: RegistryData, change: PlannedChange) -> str:
    return plan_texts.approval_text(change, registry.rules_of_text.text)


def _verdict(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """Return the result of the rules in words, and the state that colours it."""
    if not outcomes:
        return "no rules", "plain"
    failed = [outcome for outcome in outcomes if outcome.stops]
    forced = [outcome for outcome in outcomes if outcome.forced and not outcome.passed]
    passed = len(outcomes) - len(failed) - len(forced)
    said = f"{passed} of {len(outcomes)} rules passed" + (f", {len(forced)} forced" if forced else "")
    return said, "forged" if failed else "pending" if forced else "in-force"


def _change(registry: RegistryData, change: PlannedChange) -> StageChange:
    kinds = (("Data", change.datasets), ("Artifacts", change.artifacts), ("Packages", change.packages))
    verdict, state = _verdict(change.outcomes)
    valid = change.signature is not None and not change.signature.fault
    return StageChange(
        change.model, change.place, change.alias, change.old, change.new, plan_texts.effect_text(change),
        verdict, state, plan_texts.worse_text(change), tuple(_better(registry, change)),
        plan_texts.signature_text(change), change.signed and not valid,
        _approval(registry, change), change.approvers, change.reviewed,
        change.who, change.reason, change.maker, change.owners, change.code,
        tuple(
            Rule(one.gate, plan_texts.mark(one), one.expression, one.explained, one.message)
            for one in change.outcomes
        ),
        tuple(_metrics(change)),
        _chart(change), _named(registry, change.sources) if change.sources else None,
        tuple(_differences(title, rows) for title, rows in kinds if rows),
        change.texts,
        tuple(_dependents(registry, change)),
    )  # fmt: skip


def _better(registry: RegistryData, change: PlannedChange) -> Iterator[str]:
    """Yield, for each number that a gate limits, a text with the version that has the best value of all versions.

    Yields nothing for a number that the new version lacks, or whose best value the new or the current version has.
    """
    limits = {limit.key: limit for limit in gate_limits(change.outcomes)}
    for key, limit in limits.items() if change.model in registry.models else ():
        numbers = registry.numbers(change.model).get(key, {})
        best = (max if limit.sign.startswith(">") else min)(numbers, key=numbers.__getitem__, default=None)
        new = numbers.get(change.new) if change.new is not None else None
        old = numbers.get(change.old) if change.old is not None else None
        if best is not None and new is not None and numbers[best] not in (old, new):
            yield f"version {best} has a better {key}: {number_text(numbers[best])}"


def _metrics(change: PlannedChange) -> Iterator[Difference]:
    """Yield the metadata that differs or that a gate reads: the values that gates read first, then other numbers."""
    gated = gate_keys(change.outcomes)
    metrics = [row for row in change.metadata if row.name in gated or not row.same]
    worse = worse_numbers(change.outcomes, change.metadata)
    metrics.sort(key=lambda row: (row.name not in gated, row.change is None))
    for row in metrics[:_MOST_ROWS]:
        values = plan_texts.pair(row)
        is_number = row.change is not None
        yield Difference(row.name, "", *values, row.shown_change, row.name in gated, is_number, row.name in worse)


def _named(registry: RegistryData, lineage: Lineage) -> Lineage:
    """Return *lineage* with kind, size and version added to each input that is an artifact of a version."""

    def named(node: Node) -> Node:
        if node.kind != ARTIFACT or node.facts.get("versions"):
            return node
        facts: dict[str, object] = {}
        for model, number in registry.holders_of(node.id)[:1]:
            view = registry.version(model, number)
            link = next(link for link in view.record.links if link.digest == node.id)
            facts = {"kind_of_artifact": link.kind, "size": link.size, "versions": [f"{view}:{link.name}"]}
        return replace(node, facts={**node.facts, **facts})

    return replace(lineage, nodes=tuple(map(named, lineage.nodes)))


def _dependents(registry: RegistryData, change: PlannedChange) -> Iterator[str]:
    """Yield the versions in a stage or with an alias whose run read an artifact of the version that leaves."""
    held = _version(registry, change.model, change.old)
    made = (one for link in (held.record.artifacts if held else ()) for one in registry.readers_of(link.digest))
    for model, number in dict.fromkeys(made):
        view = _version(registry, model, number)
        places = [place for place in (view.stage, *view.aliases) if place and place != ARCHIVED] if view else []
        if places:
            yield f"{view} {', '.join(places)}"


def _problem_text(problem: Problem) -> str:
    """Return the message of *problem* after its model and stage, or after the path of the file if it has no model."""
    what = paths.parse_path(problem.path)
    place = " ".join(filter(None, (what.model, what.key))) if what is not None else problem.path
    return f"{place}: {problem.message}" if place else problem.message


def _version(registry: RegistryData, model: str, number: int | None) -> VersionView | None:
    """Return the version *number* of *model*; None if only the branch of the proposal has it."""
    return registry.versions(model).get(number) if number is not None and model in registry.models else None


def _chart(change: PlannedChange) -> Chart | None:
    trend = change.trend
    if trend is None or len(trend.points) < 2:
        return None
    held = [(change.old, change.place)] if change.old is not None else []
    marks = [*held, (change.new, "new")] if change.new is not None else held
    shown = {number for number, _ in trend.points}
    limits = [limit for limit in gate_limits(change.outcomes) if limit.key == trend.metric]
    return Chart(
        trend.metric,
        trend.points,
        tuple((number, name) for number, name in marks if number in shown),
        tuple((f"gate: {limit.sign} {number_text(limit.number)}", limit.number) for limit in limits),
    )


def _differences(title: str, rows: Sequence[Compared]) -> Differences:
    shown = tuple(Difference(row.name, row.kind, _short(row.old), _short(row.new)) for row in rows[:_MOST_ROWS])
    return Differences(title, shown, max(0, len(rows) - _MOST_ROWS))


def _short(value: str | None) -> str:
    """Return the first digits of *value* if it is a digest, or *value* unchanged if it is the version of a package."""
    return plan_texts.short_digest(value) if value is None or value.startswith("sha256:") else value


PROPOSALS = Page("proposals", "/proposals/", read_all, template="proposals.html", label="Proposals")
PROPOSAL = Page(
    "proposal", "/proposals/{id}", read, lambda registry: ({"id": id} for id in registry.proposals), "proposal.html"
)
