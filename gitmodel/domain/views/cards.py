"""A model card: Markdown with the YAML header of model hubs, from the records of a model and a version. Pure.

The keys of the header are those of https://huggingface.co/docs/hub/model-cards. Measurements are in its `model-index`,
a format of Papers with Code. The YAML is written in a form that all YAML readers interpret equally.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gitmodel.domain.schema.records import ATTACHMENT, HEADINGS, ArtifactLink, ModelRecord, VersionRecord
from gitmodel.domain.views.picture_files import PICTURES

# The identifiers of licenses that the hub supports. Other licenses need `license_name`.
_LICENSES = frozenset(
    re.findall(
        r"\S+",
        """
        afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
        bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
        cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
        cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
        cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
        etalab-2.0 eupl-1.1 eupl-1.2 gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl lgpl-2.1
        lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl
        odc-by ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl zlib
        """,
    )
)
# The name of a format in gitmodel, and the name that the Hugging Face Hub uses for its library.
_LIBRARIES = {"skops": "sklearn"}
# File names that a card shows unchanged. In place of another one, it shows the name of the artifact and a suffix.
_FILE = re.compile(r"[\w -]+(\.[\w -]+)+")
# Metadata with these names is copied to the header if it is text or a list of texts. Metadata of the version comes
# before metadata of the model.
_HEADER_KEYS = ("language", "library_name", "pipeline_tag", "datasets", "metrics", "base_model")
_UNKNOWN_DATASET = "not recorded"
# The id of a dataset on the hub: NAME or OWNER/NAME.
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/+-]*( [A-Za-z0-9._/+-]+)*")
# Text that YAML 1.1 reads as another type.
_WORDS = frozenset(("y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf"))


def card(
    model: str,
    described: ModelRecord,
    version: VersionRecord,
    parameters: Mapping[str, Any] | None = None,
    *,
    repeatable: bool = False,
) -> str:
    """Return the card of a version that a run with *parameters* made. Equal records give equal bytes.

    If *repeatable* is True, the card shows the command that runs the pipeline again.
    """
    header = "".join(f"{line}\n" for line in _yaml(_header(model, described, version))) or "{}\n"
    body = "\n\n".join(block for block in _body(model, described, version, parameters or {}, repeatable) if block)
    return f"---\n{header}---\n\n{body}\n"


def metrics(version: VersionRecord) -> list[tuple[str, str, float]]:
    """Return measurements in the metadata of a version, as (dataset, name, value).

    These are the finite numbers whose names the metadata lists under the key `metrics`; without this key, all finite
    floats. Numbers in an inner table are measurements on the dataset with the table's name. Other numbers are
    measurements on the dataset that the key `dataset` names; "not recorded" without this key.
    """
    named = _texts(version.metadata.get("metrics"))
    found = []
    tables = [(str(version.metadata.get("dataset", _UNKNOWN_DATASET)), version.metadata)]
    tables += [(name, table) for name, table in version.metadata.items() if isinstance(table, Mapping)]
    for dataset, table in tables:
        for name, value in table.items():
            wanted = name in named if named else isinstance(value, float)
            if wanted and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                found.append((dataset, name, value))
    return found


def _header(model: str, described: ModelRecord, version: VersionRecord) -> dict[str, Any]:
    facts = {**described.metadata, **version.metadata}
    given = {key: facts[key] for key in _HEADER_KEYS if _texts(facts.get(key))}
    measured = metrics(version)
    datasets = [id for id in _texts(given.get("datasets")) if _DATASET.fullmatch(id)]
    libraries = [_LIBRARIES[link.format] for link in version.artifacts if link.format in _LIBRARIES]
    header = {
        **_license(described.license),
        "language": given.get("language"),
        "library_name": given.get("library_name") or next(iter(libraries), None),
        "pipeline_tag": given.get("pipeline_tag"),
        "tags": sorted({*described.tags, *version.tags}),
        "datasets": datasets,
        "metrics": sorted({name for _, name, _ in measured}),
        "base_model": given.get("base_model"),
        "model-index": _results(model, str(given.get("pipeline_tag", "other")), measured, datasets),
    }
    return {key: value for key, value in header.items() if value not in (None, "", [])}


def _license(text: str) -> dict[str, str]:
    known = re.sub(r"-(only|or-later)$", "", text.strip().lower())
    if not known:
        return {}
    return {"license": known} if known in _LICENSES else {"license": "other", "license_name": text}


def _results(model: str, task: str, measured: Sequence[tuple[str, str, float]], declared: Sequence[str]) -> list[Any]:
    results = []
    for dataset in dict.fromkeys(dataset for dataset, _, _ in measured):
        # A hub shows an id in `type` as a link, so `type` is an id only if the header declares this dataset.
        is_shown = dataset in declared or not _DATASET.fullmatch(dataset)
        values = [{"type": name, "value": value} for of, name, value in measured if of == dataset]
        about = {"type": dataset if is_shown else _UNKNOWN_DATASET, "name": dataset}
        results.append({"task": {"type": task}, "dataset": about, "metrics": values})
    return [{"name": model, "results": results}] if results else []


def _body(
    model: str, described: ModelRecord, version: VersionRecord, parameters: Mapping[str, Any], repeatable: bool
) -> Iterator[str]:
    yield f"# {_cell(described.title or model)}"
    yield _prose(described.description)
    yield _prose(version.description)
    named = f" ({version.name})" if version.name else ""
    about = [
        ("version", f"`{model}@{version.number}`{named}"),
        ("created", f"{version.created:%Y-%m-%d %H:%M} UTC"),
        ("license", _cell(described.license)),
        ("owners", _cell(", ".join(described.owners))),
    ]
    yield _table(("", ""), [row for row in about if row[1]])
    known = {key: value for key, value in described.metadata.items() if key not in _HEADER_KEYS}
    yield _section("About the model", ("", ""), [(_cell(key), _cell(_shown(value))) for key, value in known.items()])
    for field, title in HEADINGS.items():
        if text := _prose(getattr(described, field)):
            yield f"## {title}\n\n{text}"
    measured = [(_cell(name), _number(value), _cell(dataset)) for dataset, name, value in metrics(version)]
    yield _section("Evaluation", ("metric", "value", "dataset"), measured)
    if pictures := [link for link in version.links if _suffix(link) in PICTURES]:
        yield "## Pictures\n\n" + "\n\n".join(_picture(f"{model}@{version.number}", link) for link in pictures)
    given = [(_cell(name), _cell(_shown(value))) for name, value in parameters.items()]
    yield _section("Parameters", ("parameter", "value"), given)
    links = [(link.name, link.kind, link.format, str(link.size), f"`{link.digest}`") for link in version.artifacts]
    yield _section("Artifacts", ("name", "kind", "format", "bytes", "digest"), links)
    attached = [(each.name, each.format, str(each.size), f"`{each.digest}`") for each in version.attachments]
    yield _section("Attachments", ("name", "format", "bytes", "digest"), attached)
    yield "\n".join(["## How it was made", "", *_making(model, version, repeatable)])


def _making(model: str, version: VersionRecord, repeatable: bool) -> Iterator[str]:
    code = version.code
    if code is not None and code.commit:
        changed = ", with changes that are not in it" if code.dirty else ""
        yield f"- code: commit `{code.commit}`{changed}"
        if code.repository:
            yield f"- repository: {_cell(code.repository)}"
    for run in version.runs:
        yield f"- run: `{run}`"
    if code is not None and code.commit:
        yield f"- to get its code and files: `git model checkout {model}@{version.number} FOLDER`"
    if repeatable:
        yield f"- to run its pipeline again: `git model reproduce {model}@{version.number}`"


def _picture(reference: str, link: ArtifactLink) -> str:
    """Return the Markdown that shows the picture *link* from a file, and the command that downloads this file."""
    file = link.file_name if _FILE.fullmatch(link.file_name) else f"{link.name}.{_suffix(link)}"
    name = f"--attachment {link.name}" if link.kind == ATTACHMENT else link.name
    command = f"git model get {reference} {name} -o {shlex.quote(file)}"
    return f"![{link.name}]({quote(file)})\n\n`{command}` writes this file beside the card."


def _suffix(link: ArtifactLink) -> str:
    return link.file_name.rpartition(".")[2].lower() if "." in link.file_name else link.format


def _shown(value: Any) -> str:
    """Return the value of a parameter or of metadata as text."""
    if isinstance(value, str):
        return value
    return _number(value) if type(value) in (int, float) else json.dumps(value, default=str, ensure_ascii=False)


def _section(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"## {title}\n\n{_table(heads, rows)}" if rows else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Escape *text* for a cell of a table, on one line."""
    return _escape_inline(" ".join(_harmless(text).split()))


def _prose(text: str) -> str:
    """Return text written by the model's owners without HTML, links, images, headings or tables; lists stay."""
    return "\n".join(map(_prose_line, _harmless(text).split("\n")))


def _prose_line(line: str) -> str:
    line = line.expandtabs(4)
    text = re.sub(r"^[*] +", "- ", line.lstrip(" "))
    indent = " " * min(len(line) - len(line.lstrip(" ")), 3)  # four spaces would make a block of code
    if re.fullmatch(r"[-=][-= ]*", text):
        return f"{indent}\\{text}"  # a line of - or = would be drawn, or make the line above a heading
    return indent + _escape_inline(text)


def _escape_inline(text: str) -> str:
    r"""Escape text that Markdown or HTML would interpret.

    >>> print(_escape_inline("a <b> & [c](https://d) ![e](f)"))
    a &lt;b&gt; &amp; [c\]\(https://d) !\[e\]\(f)
    """
    # Escaping the closing bracket is enough, because a link or an image needs it.
    text = re.sub(r"[\\`*_|#~$]|\]\(?|(?<=!)\[", lambda found: "".join(f"\\{c}" for c in found[0]), text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _harmless(text: str) -> str:
    """Return *text* without terminal controls and characters that change the direction of text."""
    return "".join(c if _is_harmless(c) else f"U+{ord(c):04X}" for c in text).strip()


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in "\n\t" or (character.isspace() and ord(character) > 0x9F)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return list(value) if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value) else []


def _yaml(value: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield f"{before}{_scalar(key)}:"
            yield from _yaml(item, f"{before}  ")
        elif isinstance(item, (list, tuple)):
            yield f"{before}{_scalar(key)}:"
            yield from _yaml_list(item, before)
        else:
            yield f"{before}{_scalar(key)}: {_scalar(item)}"


def _yaml_list(items: Sequence[Any], before: str) -> Iterator[str]:
    for item in items:
        if not isinstance(item, Mapping):
            yield f"{before}- {_scalar(item)}"
            continue
        first, *rest = _yaml(item, f"{before}  ")
        yield f"{before}- {first.strip()}"
        yield from rest


def _scalar(value: Any) -> str:
    if isinstance(value, (int, float)):
        return _number(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _number(value: float) -> str:
    text = repr(value)
    # YAML 1.1 reads 1e-07 as text
    return re.sub(r"^(-?\d+)e", r"\1.0e", text)
