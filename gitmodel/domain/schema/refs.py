"""The names of the git refs that gitmodel uses, and parsing stage tags. Pure: strings in, strings out."""

from __future__ import annotations

from gitmodel.domain.schema import names
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.frozen import Frozen

DEFAULT_BRANCH = "refs/heads/gitmodel"
STAGE_TAGS = "refs/tags/model/"
PROPOSALS = "refs/heads/propose/"
RESERVED = "refs/gitmodel/reserved/"
RENUMBERED = "refs/gitmodel/renumbered"
REMOTES = "refs/gitmodel/remotes/"
# Not inside the folder of stage tags, where a model called `rules` would have the same refs.
RULES_TAGS = "refs/tags/gitmodel-rules/"
SEEN_RULES = "refs/gitmodel/rules/"
KEPT_CODE = "refs/gitmodel/code/"
CODE_NOTES = "refs/notes/gitmodel"


class StageRef(Frozen):
    """The tag of a stage or alias of a model.

    >>> StageRef(model="churn", stage="production").full
    'refs/tags/model/churn/production'
    >>> StageRef.parse('refs/tags/model/churn/production').stage
    'production'
    """

    model: str
    stage: str

    def __lt__(self, other: StageRef) -> bool:
        return (self.model, self.stage) < (other.model, other.stage)

    @property
    def full(self) -> str:
        return f"{STAGE_TAGS}{self.model}/{self.stage}"

    @property
    def name(self) -> str:
        """The tag's short name, as for `git show` and inside the tag object.

        >>> StageRef("churn", "production").name
        'model/churn/production'
        """
        return f"model/{self.model}/{self.stage}"

    @classmethod
    def parse(cls, ref: str) -> StageRef | None:
        """Parse the full name *ref* of a stage tag; return None if no stage tag can have this name.

        >>> StageRef.parse("refs/tags/model/-x/production") is None
        True
        """
        parts = ref.removeprefix(STAGE_TAGS).split("/")
        if not ref.startswith(STAGE_TAGS) or len(parts) != 2 or any(names.fault_in(part) for part in parts):
            return None
        return cls(*parts)


def reserved_ref(model: str, number: int) -> str:
    """Return the ref that reserves *number* of *model* for one writer.

    >>> reserved_ref("churn", 4)
    'refs/gitmodel/reserved/churn/4'
    """
    return f"{RESERVED}{model}/{number}"


def reserved_name_ref(model: str, name: str) -> str:
    """Return the ref that reserves the *name* of a version of *model* for one run.

    It differs from the refs that reserve numbers, because no name is all digits.

    >>> reserved_name_ref("churn", "RC1")
    'refs/gitmodel/reserved/churn/rc1'
    """
    return f"{RESERVED}{model}/{names.fold(name)}"


def vouched_ref(ref: StageRef, commit: Oid) -> str:
    """Return the tag that records that a user accepted *commit* as a valid change of the stage *ref*.

    It differs from every stage tag, because no model name contains `@`. A host that protects the tags
    `model/*/production` protects this tag, too.

    >>> vouched_ref(StageRef("churn", "production"), "9fceb02")
    'refs/tags/model/churn@9fceb02/production'
    """
    return f"{STAGE_TAGS}{ref.model}@{commit}/{ref.stage}"


def rules_ref(branch: str) -> str:
    """Return the tag that says which rules of the metadata branch *branch* are in force.

    >>> rules_ref("refs/heads/gitmodel")
    'refs/tags/gitmodel-rules/gitmodel'
    """
    return f"{RULES_TAGS}{branch.removeprefix('refs/heads/')}"


def seen_rules_ref(branch: str) -> str:
    """Return the local ref of the rules tag that this clone saw last, to notice if somebody moves the tag back."""
    return f"{SEEN_RULES}{branch.removeprefix('refs/heads/')}"


def remote_branch_ref(remote: str, branch: str) -> str:
    """Return the ref of a remote's metadata branch as gitmodel last fetched it.

    A plain `git fetch` never moves this ref.

    >>> remote_branch_ref("origin", "refs/heads/gitmodel")
    'refs/gitmodel/remotes/origin/branches/gitmodel'
    """
    return f"{REMOTES}{remote}/branches/{branch.removeprefix('refs/heads/')}"


def remote_rules_ref(remote: str, branch: str) -> str:
    """Return the ref of a remote's rules tag as gitmodel last fetched it."""
    return f"{REMOTES}{remote}/rules/{branch.removeprefix('refs/heads/')}"


def kept_ref(commit: Oid) -> str:
    """Return the ref in the code repository that keeps git from deleting the code *commit* of a version."""
    return f"{KEPT_CODE}{commit}"
