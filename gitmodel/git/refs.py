"""A move of a ref, as a value. Pure: `git update-ref --stdin` carries it out."""

from __future__ import annotations

from dataclasses import dataclass

from gitmodel.errors import Invalid
from gitmodel.git.process import ZERO, is_id


@dataclass(frozen=True)
class RefMove:
    """Set *ref* to the object *new* (None: delete it), if it is *old* (None: absent) until then.

    Equal ids, or None twice, verify that the ref stays as it is. Raises Invalid for what is not an object id: git would
    take an empty new id for a deletion, and exit 0.

    >>> RefMove("refs/heads/main", new="1" * 40, old=None).line
    'update refs/heads/main 1111111111111111111111111111111111111111 0000000000000000000000000000000000000000'
    """

    ref: str
    new: str | None
    old: str | None

    def __post_init__(self) -> None:
        for id in (self.new, self.old):
            if id is not None and not is_id(id):
                raise Invalid(f"{self.ref} cannot be set to {self.new!a} from {self.old!a}", hint="please report this")

    @property
    def verifies(self) -> bool:
        """True if the ref must only be what it is."""
        return self.new == self.old

    @property
    def line(self) -> str:
        """The line of `git update-ref --stdin`."""
        if self.verifies:
            return f"verify {self.ref} {self.old or ZERO}"
        return f"update {self.ref} {self.new} {self.old or ZERO}" if self.new else f"delete {self.ref} {self.old}"
