"""Notes on commits (`git help notes`)."""

from __future__ import annotations

from collections.abc import Mapping

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.git.running.process import Git


def write_notes(git: Git, ref: str, texts: Mapping[Oid, str], author: str, message: str) -> None:
    """Set *ref* to a new commit with only the notes *texts*, which maps each annotated commit to its text.

    *author* is `Name <email> seconds zone`. The new commit has no parents, so the same texts, author and message give
    the same commit id.
    """
    said = message.encode()
    stream = [b"feature done\ncommit %s\n" % ref.encode()]
    stream.append(b"committer %s\ndata %d\n%s\n" % (author.encode(), len(said), said))
    for commit in sorted(texts):
        text = texts[commit].encode()
        stream.append(b"N inline %s\ndata %d\n%s\n" % (commit.encode(), len(text), text))
    git.run("fast-import", "--quiet", "--done", "--force", input=b"".join([*stream, b"done\n"]))
