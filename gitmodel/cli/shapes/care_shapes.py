"""The fields of JSON and TSV output about checks, artifact stores and formats."""

from __future__ import annotations

from gitmodel.cli.shapes.shape import shape

VERIFIED = shape(
    "verified",
    "An artifact that `verify` hashed. Each artifact is listed once, even if several versions have it.",
    digest="text: the digest of the artifact; empty if the record of the version cannot be read",
    size="number of bytes",
    versions="list of text: the versions that have the artifact, as `MODEL@NUMBER`, or a model whose versions are lost",
    error="text: the problem, or empty",
    unreachable="true if the store could not be reached, so the state of the artifact is unknown",
    uri="text: the location of an external artifact, or empty",
    purged="text: the parts that were erased permanently, when and why; or empty",
)
PROBLEM = shape(
    "problem",
    "A problem on the metadata branch. Printed by `check`.",
    path="text: the file on the metadata branch",
    key="text: the key in the file, or empty",
    rule="text: the name of the rule on the page of the format",
    message="text: the problem",
)
FINDING = shape(
    "finding",
    "A finding about this clone. Printed by `doctor`.",
    about="text: the kind of finding, such as lock, tag or artifact",
    message="text: the finding",
    hint="text: how to solve the problem",
    fixable="true if `doctor --fix` can repair the problem",
    grave="true if the problem stops gitmodel from working",
    fixed="true if this command repaired the problem",
)
MAINTAINED = shape(
    "maintained",
    "The result of `maintenance`.",
    commits="number of commits of the metadata branch that are indexed by path",
    packed="number of loose objects that were packed",
)
STORE = shape(
    "store",
    "An artifact store of the registry, as this machine reaches it. Printed by `store list`, `store add`, `store use`, "
    "`store trust`.",
    name='text: the name of the store; "default" for the default store; empty for a URL of no store of the registry',
    url="text: the URL of the store on this machine",
    source="text: the file, variable or default that sets the URL",
    trusted="true if this machine may send credentials to the store, or the store needs none",
    read_only="true if this machine does not write to the store",
    models="list of text: the models that use the store; for the default store, the models without another store",
)
FORMAT = shape(
    "format",
    "A format in which gitmodel can load artifacts. Printed by `formats list`.",
    name="text: the name of the format, as in a record",
    extensions="list of text: the suffixes of its files, such as .csv; empty if the content alone decides",
    package="text: the package that adds the format; empty for a format of gitmodel",
    unsafe="true if loading can run code from the file, so that `trusted=True` is needed",
    error="text: why the format of a package cannot be used; empty if it can",
    trusted_names="list of text: the classes and functions that this machine trusts for files of this format",
)
TRUSTED_NAMES = shape(
    "trusted_names",
    "The classes and functions that files may use when they are loaded. Printed by `formats trust`.",
    names="list of text: the full names that this machine trusts now",
)
STORE_STATUS = shape(
    "store_status",
    "The artifacts in each store. Printed by `store status`.",
    stores="list of objects: `name`, `url`, `objects` and `size` (total bytes), `error` "
    '(why it could not be reached, or empty); "clone" is the store in the clone if another is the default',
    models="list of objects: `model`, `versions`, `artifacts`, `size`, `where` "
    "(object: each store and its number of artifacts), `missing` (in no store), `unknown` (perhaps in a "
    "store that could not be reached), `external`, `purged`. Each artifact counts once per model",
    missing="list of objects: `digest` (for a folder, of its first missing file), `artifact`, `size`, "
    "`versions` (as `MODEL@NUMBER`), `files` (their number)",
    damaged="list of text: records that could not be read",
)
COPIED = shape(
    "copied",
    "The result of `store copy`.",
    source="text: the URL of the store that was copied",
    target="text: the URL of the store that was copied to",
    copied="number of objects that were copied",
    size="number of bytes that were copied",
    there="number of objects that the target already had",
    failed="object: the digest of each object that could not be copied, and the reason",
)
GARBAGE = shape(
    "garbage",
    "Objects that no version, run or tag needs. Printed by `store gc`.",
    store="text: the URL of the store",
    digests="list of text: the objects that can be removed, or were removed",
    leftovers="number of unfinished uploads",
    size="number of bytes of the objects and leftovers",
    purged="number of objects in `digests` that were purged",
    needed="number of objects that are needed and stay",
    recent="number of objects that are not needed and stay because they are recent",
    removed="true if the objects were removed, false if they were only listed",
)
PURGED = shape(
    "purged",
    "The result of `store purge`.",
    digests="list of text: the digests that have a tombstone; for a folder, also those of its files",
    versions="list of text: the versions that have the artifact, as `MODEL@NUMBER`",
    removed="list of text: the URLs of the stores from which bytes were removed",
    kept="list of text: files of the folder that stay because other artifacts need them",
    pending="true if the bytes stay until the tombstone is on the remote",
)
