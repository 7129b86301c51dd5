"""The move of one ref as a value, with the new object id and the object id that the ref must have before."""

from __future__ import annotations

from gitmodel.domain.schema.object_ids import NO_OBJECT, Oid, is_oid
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen


class RefMove(Frozen):
    """Set *ref* to the object *new* (None: delete the ref) if the ref is still at *old* (None: does not exist).

    If *new* and *old* are equal, also if both are None, the move only verifies that the ref is at *old*. Raises Invalid
    if *new* or *old* is no object id, because git would treat an empty new id as a deletion and exit with 0.

    >>> RefMove("refs/heads/main", new="1" * 40, old=None).line
    'update refs/heads/main 1111111111111111111111111111111111111111 0000000000000000000000000000000000000000'
    """

    ref: str
    new: Oid | None
    old: Oid | None

    def __post_init__(self) -> None:
        for id in (self.new, self.old):
            if id is not None and not is_oid(id):
                raise Invalid(f"{self.ref} cannot be set to {self.new!a} from {self.old!a}", hint="please report this")

    @property
    def verifies(self) -> bool:
        """True if the move only verifies that the ref is at *old*."""
        return self.new == self.old

    @property
    def line(self) -> str:
        """The line that makes this move in the input of `git update-ref --stdin`."""
        if self.verifies:
            return f"verify {self.ref} {self.old or NO_OBJECT}"
        return f"update {self.ref} {self.new} {self.old or NO_OBJECT}" if self.new else f"delete {self.ref} {self.old}"
