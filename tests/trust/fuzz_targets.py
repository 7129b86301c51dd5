"""Fuzz targets: functions that accept any bytes, and raise an error only if gitmodel breaks a guarantee.

`python tests/trust/fuzz_targets.py NAME [libFuzzer options] FOLDER` fuzzes the target NAME with atheris. The fuzzer
starts with the inputs in `corpus/NAME` and writes new inputs to FOLDER. Add an input that found a bug to `corpus/NAME`.
"""

import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def record(data):
    """Reading bytes returns a record or raises Invalid. Writing and reading the record again changes nothing."""
    from gitmodel.domain.schema import codec, records
    from gitmodel.domain.schema.registry_rules import registry_record
    from gitmodel.errors import Invalid, UsageError

    for kind in (
        registry_record.RegistryRecord,
        records.ModelRecord,
        records.VersionRecord,
        records.NameRecord,
        records.StageRecord,
    ):
        for newer in (False, True):
            try:
                found = codec.decode(kind, data, "fuzzed", newer=newer)
            except Invalid:
                continue
            try:
                written = codec.encode(found)
            except UsageError:  # the canonical form of the record is longer than the limit of a record
                assert len(data) > codec.MAX_BYTES // 8
                continue
            again = codec.decode(kind, written, "written", newer=newer)
            assert codec.encode(again) == written
            # Values with NaN are not equal to themselves; only their text is compared.
            assert again == found or b"nan" in written


def reference(data):
    """Reading text returns a reference or raises a printable UsageError. A written reference is read back equal."""
    from gitmodel.domain.schema.references import VersionRef
    from gitmodel.domain.schema.refs import StageRef
    from gitmodel.errors import UsageError

    text = data.decode("utf-8", "surrogateescape")
    found, said = None, ""
    try:
        found = VersionRef.parse(text)
    except UsageError as error:
        said = error.message + error.hint
    assert said.isprintable()
    if found is not None:
        assert VersionRef.parse(str(found)) == found
        assert StageRef.parse(StageRef(found.model, "production").full) == StageRef(found.model, "production")
    stage = StageRef.parse(text)
    assert stage is None or stage.full == text


def manifest(data):
    """Reading bytes returns a manifest in its canonical form or raises Invalid.

    No path of a manifest leads out of the folder.
    """
    from gitmodel.domain.schema.manifest import format_manifest, parse_manifest
    from gitmodel.errors import Invalid

    entries, said = None, ""
    try:
        entries = parse_manifest(data)
    except Invalid as error:
        said = error.message
    assert said.isprintable()
    if entries is None:
        return
    assert format_manifest(entries) == data
    for entry in entries:
        assert not {"", ".", ".."} & set(entry.path.split("/"))


def tree(data):
    """Reading bytes returns a git tree or raises Invalid.

    Writing a tree whose entries are in git's order gives its bytes.
    """
    from gitmodel.domain.schema.paths import parse_path
    from gitmodel.errors import Invalid
    from gitmodel.git.objects.object_formats import format_tree, parse_tree

    try:
        entries = parse_tree(data)
    except Invalid:
        return
    again = format_tree(entries)
    assert parse_tree(again) == entries
    for name in entries:
        parse_path(f"models/iris/versions/{name}")
        parse_path(f"models/iris/names/00/{name}")


TARGETS = {target.__name__: target for target in (record, reference, manifest, tree)}


def main(name, *options):
    import atheris

    with atheris.instrument_imports(include=["gitmodel"]):
        import gitmodel.domain.schema.codec
        import gitmodel.domain.schema.manifest
        import gitmodel.domain.schema.paths
        import gitmodel.domain.schema.records
        import gitmodel.domain.schema.references
        import gitmodel.git.objects.object_formats  # noqa: F401
    atheris.Setup([sys.argv[0], *options, str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
