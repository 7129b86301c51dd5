"""The invariants of `gitmodel.toml` and `allowed_signers`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitmodel.domain.rules.invariants import case_faults, format_faults, problem_of
from gitmodel.domain.schema import codec, paths, record_values
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.registry_rules import signers
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.commit_records import read_registry
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.domain.urls import holds_credentials
from gitmodel.errors import Invalid


def registry_faults(files: Files, expression_fault: Callable[[str], str]) -> tuple[RegistryRecord, list[Problem]]:
    """Return the record in `gitmodel.toml` (the default record if it is unreadable), and the problems of the file.

    *expression_fault* returns the problem of a gate's expression, or "".
    """
    path = paths.REGISTRY
    try:
        data = files.read(path)
        if data is None:
            return RegistryRecord(), [Problem(path, "", "registry.record", "is missing")]
        table = codec.parse_table(data, path)
        written = table.get("format")
        newer = isinstance(written, str) and record_values.is_newer(written)
        record, problems = read_registry(files), codec.inspect(RegistryRecord, table, path, newer=newer)[1]
        problems += _direction_faults(data)
    except Invalid as error:
        return RegistryRecord(), [problem_of(path, error, "registry.record")]
    problems += [fault for fault in record.faults if fault.rule in ("registry.stages", "registry.rules")]
    problems += [
        Problem(path, f"stages.{rule.name}", "registry.rules", f"gate {gate.name}: {fault}")
        for rule in record.stages
        for gate in rule.gates
        if (fault := expression_fault(gate.expression))
    ]
    problems += _store_faults(record)
    try:
        problems += _signer_faults(record, (files.read(paths.SIGNERS) or b"").decode("utf-8", "replace"))
    except Invalid as error:
        problems.append(problem_of(paths.SIGNERS, error, "registry.signers"))
    return record, [*problems, *format_faults(record, path, record)]


def _direction_faults(data: bytes) -> Iterator[Problem]:
    """Yield a problem if the file, which people edit by hand, has characters that change the direction of text."""
    found = codec.find_bidi(data.decode())
    if found:
        message = f"has the character U+{ord(found):04X}, which reorders what a reviewer sees: write it as an escape"
        yield Problem(paths.REGISTRY, "", "record.canonical", message)


def _store_faults(record: RegistryRecord) -> Iterator[Problem]:
    """Yield the problems of the names and URLs of the stores in `gitmodel.toml`."""
    path = paths.REGISTRY
    for key, url in (("store", record.store or ""), *((f"stores.{name}", url) for name, url in record.stores.items())):
        if holds_credentials(url):
            yield Problem(path, key, "registry.stores", "holds credentials")
    yield from case_faults(record.stores, f"{path}, stores.{{}}")


def _signer_faults(record: RegistryRecord, text: str) -> Iterator[Problem]:
    """Yield the problems of the file `allowed_signers` with the content *text*."""
    for fault in signers.faults(text):
        yield Problem(paths.SIGNERS, "", "registry.signers", fault)
    asking = next((rule.name for rule in record.stages if rule.signed), "")
    if asking and next(signers.read_signers(text), None) is None:
        yield Problem(paths.SIGNERS, "", "registry.signers", f"lists nobody, and {asking} asks for signatures")
