"""Changing skops files by hand, as an attacker would."""

import io
import json
import zipfile

import skops.io


def with_schema(model, change):
    """Return a skops file of *model* with a changed schema. *change* is called with the parsed schema and edits it."""
    source, content = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))), io.BytesIO()
    schema = json.loads(source.read("schema.json"))
    change(schema)
    with zipfile.ZipFile(content, "w") as target:
        for name in source.namelist():
            target.writestr(name, json.dumps(schema) if name == "schema.json" else source.read(name))
    return content.getvalue()
