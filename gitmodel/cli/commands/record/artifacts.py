"""Commands on artifacts: get, link, unlink."""

from __future__ import annotations

import os
import shlex
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.cli.version_view import note_frozen, print_version
from gitmodel.domain.changes.versions import artifact
from gitmodel.domain.schema.paths import run_file
from gitmodel.domain.views import cell_text
from gitmodel.errors import NotFound, UsageError

if TYPE_CHECKING:
    from gitmodel.client import Artifact, ModelVersion
    from gitmodel.client.values import Run


@command(example="git model get iris@production classifier -o model.skops")
@options.reference_words("[ARTIFACT]", first="REF|RUN")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="PATH",
    help="Output path, or a folder to write a file into. Default: its own name, in the current folder.",
)
@click.option("--file", "file", metavar="PATH", help="Fetch one file of a folder artifact, by its path in the folder.")
@click.option("--run", "run", metavar="RUN", help="Fetch an output of this run on the version.")
@click.option("--attachment", metavar="NAME", help="Fetch this attachment instead of an artifact.")
@options.jobs
@options.at
def get(
    invocation: Invocation,
    words: tuple[str, ...],
    target: str | None,
    file: str | None,
    run: str | None,
    attachment: str | None,
    jobs: int,
) -> None:
    """Download an artifact or attachment and verify it.

    Write REF and then the ARTIFACT. You can leave ARTIFACT out if there is only one model object, or only one artifact.
    Two words without @ are MODEL VERSION. The artifact gets the name of the file or folder that was stored, such as
    model.onnx, unless PATH names another. PATH is created only after all bytes are verified. An interrupted download
    resumes when you run the command again. --file downloads one file of a folder.

    If the version has no artifact of this name, an output of this name is taken from the runs that worked on the
    version. If several runs made different outputs, select one with --run. To download an output of a run without a
    version, give the id of the run instead of REF: git model get RUN OUTPUT.
    """
    options.refuse_stdout(target, "get writes a file or folder")
    version = None
    if run_file(words[0]):
        of_run, chosen = _output(invocation, words, run=run, attachment=attachment)
        here = of_run.id
    else:
        version, chosen = _artifact(invocation, words, run=run, attachment=attachment)
        here = version.reference
    link = chosen.link
    path = Path(target if target is not None else os.path.basename(file) if file else link.file_name)
    if target is None and os.path.lexists(path):
        raise UsageError(
            f"{path} already exists", hint=f"choose another path with -o; -o {shlex.quote(str(path))} overwrites it"
        )
    digest, size = link.digest, link.size
    what = f"{file} in {link.name}" if file else link.name
    output = invocation.output
    with output.late_warnings() as warn, output.progress(f"getting {link.name}") as progress:
        if file is None:
            path = chosen.download(path, jobs=jobs, progress=progress, warn=warn)
        else:
            entry = chosen.fetch_file(file, path, progress=progress)
            digest, size = entry.digest, entry.size
    fields = {"reference": here, "artifact": link.name, "path": str(path), "digest": digest, "size": size}
    said = f"wrote {what} of {here} to {path} ({cell_text.size(size)}, verified)"
    invocation.output.outcome(said, shapes.FETCHED, fields, name=str(path))
    if version is not None:
        note_frozen(invocation, version.frozen)


@command(example="git model link iris@2 --data validation=validation.csv --deployment api=deploy.json")
@options.reference_words()
@options.artifact_paths
@options.jobs
@click.option(
    "--attachment",
    "attachments",
    multiple=True,
    metavar="NAME=PATH",
    help="A file or folder to add to any version, also one in a stage; repeat for more.",
)
@click.option(
    "--external", is_flag=True, help="Link single files where they are, by URI or path, without storing them."
)
@click.option("--by-digest", is_flag=True, help="Give digests of objects that the store has, not paths.")
@click.option("--provider-digest", is_flag=True, help="With --external: use the SHA-256 that the store recorded.")
@options.renumbered
def link(
    invocation: Invocation,
    /,
    words: tuple[str, ...],
    data: tuple[str, ...],
    model_object: tuple[str, ...],
    deployment: tuple[str, ...],
    as_formats: tuple[str, ...],
    attachments: tuple[str, ...],
    external: bool,
    by_digest: bool,
    provider_digest: bool,
    renumbered: bool,
    **given: Any,
) -> None:
    """Store files or folders and link them to a version.

    The default is the latest version. If a stage or alias names the version, or the version is archived, its existing
    artifacts cannot change. With --external, a file stays where it is (s3://bucket/key, https://..., a path): gitmodel
    reads the file once to compute its hash, and stores nothing. To record a new location, link the same bytes again.
    With --by-digest, write NAME=sha256:... for an object that the store has; --as-format NAME=folder for a folder.

    With --follow-links, a symbolic link to a file or folder in ROOT is stored as that file or folder. Folders of
    Hugging Face, DVC and git-annex need this option, because their files are links into a cache.

    With --attachment, a picture, report or other file is added apart from the artifacts, at any time. Promotions do not
    cover attachments. The name of an attachment must differ from the names of the artifacts.
    """
    usage = "git model link MODEL@VERSION --data NAME=PATH` or `git model link MODEL@VERSION --attachment NAME=PATH"
    ref, _ = options.read_reference(words, usage=usage)
    paths = options.read_artifacts(stored=not external, data=data, model_objects=model_object, deployments=deployment)
    attached = options.read_artifacts(attachments=attachments)["attachments"]
    if attached and (any(paths.values()) or external or by_digest or provider_digest):
        raise UsageError(
            "attachments are added apart from artifacts", hint="use --attachment in a command without the other options"
        )
    if not attached and not any(paths.values()):
        raise UsageError("there is nothing to link", hint=f"for example: git model link {ref} --data train=train.csv")
    options.refuse_both("--external", external, "--follow-links", given["follow_links"])
    options.refuse_both("--by-digest", by_digest, "--external", external)
    options.refuse_both("--by-digest", by_digest, "--follow-links", given["follow_links"])
    if provider_digest and not external:
        raise UsageError("--provider-digest is for --external", hint="stored artifacts are always read and hashed")
    version = invocation.client.get_version(ref, renumbered=renumbered, for_change=True)
    output, given["formats"] = invocation.output, options.read_formats(as_formats)
    with output.late_warnings() as warn, output.progress_of_each("reading" if external else "storing") as progress:
        given.update(progress=progress, warn=warn)
        if attached:
            version.attach_all(attached, **given)
        else:
            given.update(paths, external=external, provider_digest=provider_digest, by_digest=by_digest)
            version.link_artifacts(**given)
    done, names = ("attached", attached) if attached else ("linked", chain(*paths.values()))
    print_version(invocation, version, f"{done} {cell_text.commas(names)} to {version.reference}")


@command(example="git model unlink iris@2 validation --yes")
@options.reference_words("[ARTIFACT]")
@click.option("--attachment", metavar="NAME", help="Remove this attachment instead of an artifact.")
@options.renumbered
@options.yes
def unlink(invocation: Invocation, words: tuple[str, ...], attachment: str | None, renumbered: bool, yes: bool) -> None:
    """Remove an artifact or attachment from a version.

    Write REF and then the ARTIFACT. REF must include the version. The bytes stay in the store. If a stage or alias
    names the version, or the version is archived, its artifacts cannot change, but its attachments can.
    """
    if attachment is not None:
        ref, _ = options.read_reference(words, usage="git model unlink MODEL@VERSION --attachment NAME")
        version = invocation.client.get_version(ref.required("unlink"), renumbered=renumbered, for_change=True)
        version.get_attachment(attachment)
        options.confirm(invocation, f"Remove the attachment {attachment} from {version.reference}?", yes=yes)
        version.detach(attachment)
        return print_version(invocation, version, f"removed the attachment {attachment} from {version.reference}")
    ref, (name,) = options.read_reference(words, after=1, usage="git model unlink MODEL@VERSION ARTIFACT")
    version = invocation.client.get_version(ref.required("unlink"), renumbered=renumbered, for_change=True)
    artifact(version.view.record, version.model.name, name)
    options.confirm(invocation, f"Remove {name} from {version.reference}?", yes=yes)
    version.unlink(name)
    print_version(invocation, version, f"unlinked {name} from {version.reference}")


def _artifact(
    invocation: Invocation, words: tuple[str, ...], *, run: str | None, attachment: str | None
) -> tuple[ModelVersion, Artifact]:
    """Return the version at the start of *words*, and its artifact that the next word names.

    If *attachment* is given, returns the attachment with this name instead. If several runs wrote different outputs
    with the name, *run* is the id of one of them.
    """
    has_name = len(words) > (1 if "@" in words[0] else 2)
    ref, rest = options.read_reference(words, after=int(has_name), usage="git model get MODEL@VERSION ARTIFACT -o PATH")
    name = rest[0] if rest else None
    try:
        version = invocation.client.get_version(ref)
    except NotFound as error:
        if name is None and ref.selector and "@" not in words[0]:
            error.hint = (
                f"{error.hint}; for an artifact of the latest version: git model get {ref.model}@latest {ref.selector}"
            )
        raise
    if attachment is not None and (name is not None or run is not None):
        raise UsageError(
            f"an attachment is not {'an output of a run' if name is None else f'the artifact {name}'}",
            hint="give either --attachment or the artifact",
        )
    return version, version.get_artifact(name, run=run) if attachment is None else version.get_attachment(attachment)


def _output(
    invocation: Invocation, words: tuple[str, ...], *, run: str | None, attachment: str | None
) -> tuple[Run, Artifact]:
    """Return the run whose id is the first of *words*, and its output that the second word names, or its only output.

    Raises UsageError if no output is named and the run has several or none, or for *run*, *attachment* or a third word.
    """
    if len(words) > 2 or run is not None or attachment is not None:
        raise UsageError(
            "the output of a run is named by RUN and its name only", hint=f"write `git model get {words[0]} OUTPUT`"
        )
    found = invocation.client.get_run(words[0])
    if len(words) == 1 and len(found.outputs) != 1:
        names = ", ".join(found.outputs) or "none"
        raise UsageError(f"run {found.id} has {len(found.outputs)} outputs", hint=f"name one of: {names}")
    return found, found.outputs[words[1] if len(words) == 2 else next(iter(found.outputs))]
