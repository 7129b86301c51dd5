"""Contents of gitmodel.toml and stage files that tests commit with plain git, and a model for them to promote."""

import editing
from hosting import merge_commit

from gitmodel.domain.schema.records import links_digest

STAGE = "models/iris/stages/production.toml"
TWO_STAGES = """\
format = "1.2"

[[stages]]
name = "staging"

[[stages]]
name = "production"
"""
PROPOSAL_ONLY = f"{TWO_STAGES}proposal_only = true\n"
GOOD = '[[stages.gates]]\nname = "good"\nexpression = "metadata.accuracy >= 0.9"\nmessage = "production needs 0.9"\n'
BETTER = '[[stages.gates]]\nname = "better"\nexpression = "metadata.accuracy > holder.metadata.accuracy"\n'


def rules(*, production="", staging=""):
    """Return gitmodel.toml with the given keys and gates of the two stages, as files for `editing.edit`."""
    head, gates = production.split("[[", 1) if "[[" in production else (production, "")
    text = TWO_STAGES.replace('name = "staging"\n', f'name = "staging"\n{staging}')
    return {"gitmodel.toml": text + head + ("\n[[" + gates.replace("\n[[", "\n\n[[") if gates else "")}


def register_iris(client, *accuracies, production=None, **fields):
    """Register iris with *fields*, and create a version for each of *accuracies* (None: a version without accuracy).

    If *production* is given, put the version with this number into production. Returns the model.
    """
    iris = client.register_model("iris", **fields)
    for accuracy in accuracies:
        iris.create_version(metadata={} if accuracy is None else {"accuracy": accuracy})
    if production is not None:
        iris.get_version(production).set_stage("production")
    return iris


def stage_text(iris, number, extra=""):
    """Return the text of a stage or alias file for version *number* of the model *iris*, with more lines in *extra*."""
    return f'version = {number}\nartifacts = "{links_digest(iris.get_version(number).view.record.artifacts)}"\n{extra}'


def merge(repo, files):
    """Commit *files* to a branch, and merge this branch as the merge button of a host does."""
    editing.run(repo, "update-ref", "refs/heads/topic", editing.BRANCH)
    return merge_commit(repo, editing.edit(repo, files, "Propose", onto="refs/heads/topic"))
