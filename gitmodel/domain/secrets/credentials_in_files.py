"""Recognizing credentials in files before they are stored, by the path or the text of the file. Pure.

The names of files are those in the documentation of programs: `.netrc` (curl's manual), `.git-credentials`
(git-credential-store), `.pgpass` and `pgpass.conf` (PostgreSQL, "The Password File"), `.pypirc` (packaging.python.org),
`.npmrc` (docs.npmjs.com), `id_*` (ssh-keygen), `.aws/credentials` (AWS CLI), `.docker/config.json` (docker login),
`.kube/config` (kubernetes.io), `kaggle.json` (Kaggle's API), `.htpasswd` (Apache), `.mylogin.cnf` (MySQL),
`application_default_credentials.json` (gcloud), `.databrickscfg` (Databricks CLI), `.s3cfg` (s3cmd), `.vault-token`
(Vault), `.cargo/credentials.toml` (Cargo), `.gem/credentials` (RubyGems), `.streamlit/secrets.toml` (Streamlit).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from gitmodel.domain.secrets.credentials import PUBLISHED

# A file without NUL in its first HEAD_SIZE bytes is text. gitmodel searches TEXT_SIZE bytes of a text file, and
# HEAD_SIZE bytes of any other file.
HEAD_SIZE = 8 << 10
TEXT_SIZE = 1 << 20


class Found(NamedTuple):
    """A credential in a file: its kind *what*, and its *line* (None: recognized by the path of the file)."""

    what: str
    line: int | None


# Names of files that contain only credentials, as the end of the path in lower case.
_NAMES: tuple[tuple[str, str], ...] = (
    ("environment variables", r"\.env(?:\.[^/]+)?"),
    ("passwords for hosts", r"[._]netrc"),
    ("passwords for git", r"\.git-credentials|\.config/git/credentials"),
    ("passwords for PostgreSQL", r"\.pgpass|pgpass\.conf"),
    ("passwords for MySQL", r"\.mylogin\.cnf"),
    ("passwords of a web server", r"\.htpasswd"),
    ("tokens for PyPI", r"\.pypirc"),
    ("a private key for SSH", r"id_(?:rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk)"),
    ("keys for AWS", r"\.aws/credentials"),
    ("keys for S3", r"\.s3cfg"),
    ("credentials for Google Cloud", r"application_default_credentials\.json"),
    ("credentials for Kubernetes", r"\.kube/config"),
    ("a key for Kaggle", r"kaggle\.json"),
    ("a token for Databricks", r"\.databrickscfg"),
    ("a token for Vault", r"\.vault-token"),
    ("a token for Cargo", r"\.cargo/credentials(?:\.toml)?"),
    ("a key for RubyGems", r"\.gem/credentials"),
    ("secrets of Streamlit", r"\.streamlit/secrets\.toml"),
)
# `.env` files that are made to be shared: their values are placeholders, or encrypted.
_SHARED_ENV = frozenset(
    {"example", "sample", "template", "tmpl", "tpl", "dist", "default", "defaults", "schema", "vault"}
)
# Files that may or may not hold a credential: its kind, the name of the file, and the text that is present if the file
# holds one.
_ORDINARY: tuple[tuple[str, str, str], ...] = (
    ("a token for npm", r"\.npmrc", r"_(?:authToken|auth|password)[ \t]*=[ \t]*[\"']?[^\s$\"'<]"),
    ("a token for npm", r"\.yarnrc\.yml", r"npmAuth(?:Token|Ident)[\"']?:[ \t]*[\"']?[^\s$\"'<]"),
    ("a password for MySQL", r"\.my\.cnf", r"(?m)^[ \t]*password[ \t]*=[ \t]*[\"']?[^\s$\"'<]"),
    (
        "credentials for Docker",
        r"config\.json|\.dockerconfigjson|containers/auth\.json",
        r"\"auths\"\s*:\s*\{[^\[\]]{0,500}?\"(?:auth|identitytoken|registrytoken)\"\s*:\s*\"[A-Za-z0-9+/=._-]{8}",
    ),
)
# A token starts at a word boundary, or after an escaped line break (\n).
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
_BREAK = r"(?:\\+[rn]|\s)"
# The start of a private key. A header without a key, as in code and prose, does not match.
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    rf"(?:{_BREAK}*\Z|[ \t]*(?:\\+[rn]|[\r\n]){_BREAK}*(?!(?i:x{{3}}|your|redacted|placeholder|base64))[A-Za-z0-9+/=]"
    r"|(?:\\[rn]|[\s\"'`+,()\\])*[A-Za-z0-9+/=]{16})"
)
# "-----BEGIN ... PRIVATE KEY" in base64, as in the secrets of Kubernetes
_ENCODED_KEY = r"LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVkFUR|BFQyBQUklWQVRF|BPUEVOU1NIIFBSSVZBVE|BFTkNSWVBURUQgUFJJVk)"
# Placeholders for a password in examples.
_EXAMPLE = r"(?:\*+|x+|\.{3}|\$[A-Za-z_]+|%[A-Za-z_%]+|(?:your|my|the)?[_-]?(?:pass(?:word|wd)?|pwd?|secret|token|key))"
_FORMS = (
    *((what, marks, _START + pattern) for what, marks, pattern in PUBLISHED),
    ("a private key", ("PRIVATE KEY",), _PRIVATE_KEY),
    ("a private key", ("PuTTY-User-Key-File-",), r"PuTTY-User-Key-File-[0-9]: "),
    ("a private key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[A-Z0-9]{20}"),
    ("a private key", ("LS0tLS1CRUdJTi",), _ENCODED_KEY),
    (
        "a password in a URL",
        ("://",),
        rf"://(?P<user>[A-Za-z0-9._%+~!-]{{0,200}}):(?!(?i:{_EXAMPLE}|(?P=user))@)"
        r"[^\s/?#@:\"'`<>(){}\[\]|\\,]{1,200}@[A-Za-z0-9\[]",
    ),
    ("a token in a URL", ("http",), r"https?://[A-Za-z0-9_-]{20,200}@[A-Za-z0-9\[]"),
)
# Pairs of a mark and a form. Searching for a form takes long, so gitmodel only searches texts that contain its mark.
_MARKS = tuple((mark, (what, pattern)) for what, marks, pattern in _FORMS for mark in marks)
# Parts of example tokens in documentation: AKIAIOSFODNN7EXAMPLE, ghp_xxxxxxxx, hf_YOUR_TOKEN.
_IN_EXAMPLE = re.compile(r"(?i)example|x{4}|your|placeholder|redacted|\.{3}|(.)\1{9}")
# Words with hyphens, as in the URL of an article (pypi-packages-that-steal-data), are no token.
_WORDS = re.compile(r"[a-z]+(?:[-_][a-z]+){2,}-?")


def credentials_in_file(content: bytes, *paths: str) -> Iterator[Found]:
    r"""Yield the credentials in a file. *content* is the part of the file to search, *paths* are all paths of the file.

    Recognizes names of files that always hold credentials, ignoring case, and forms of credentials that their issuers
    publish. Yields the first credential of each form with its line. Ignores names of fields, such as `password`, and
    examples from documentation.

    >>> list(credentials_in_file(b"", "weights/.ENV")), list(credentials_in_file(b"TOKEN=", ".env.example"))
    ([Found(what='environment variables', line=None)], [])
    >>> list(credentials_in_file(b"see\n-----BEGIN PRIVATE KEY-----\nMIIE", "notes.txt"))
    [Found(what='a private key', line=2)]
    """
    lowered = [path.casefold() for path in paths]
    for path in lowered:
        named = _names().search(path)
        if named and not _is_shared(path):
            yield Found(_NAMES[int(str(named.lastgroup)[1:])][0], None)
            return
    text = content.decode("latin-1")  # Latin-1 decodes all bytes, and all forms are ASCII
    for what, name, inside in _ordinary():
        if any(map(name.search, lowered)) and (match := inside.search(text)):
            yield Found(what, _line(text, match.start()))
    for what, at in _published(text):
        yield Found(what, _line(text, at))


def credential_in_path(path: str) -> str:
    """Describe a credential in *path* itself, such as a token or a URL with a password; "" if there is none."""
    return next((what for what, _ in _published(path)), "")


def _published(text: str) -> Iterator[tuple[str, int]]:
    """Yield the first credential of each published form in *text*: its kind and its position."""
    for what, pattern in dict.fromkeys([form for mark, form in _MARKS if mark in text]):
        for match in _compiled(pattern).finditer(text):
            if not _IN_EXAMPLE.search(match[0]) and not _WORDS.fullmatch(match[0]):
                yield what, match.start()
                break


def _is_shared(lowered: str) -> bool:
    name = lowered.rpartition("/")[2]
    return name.startswith(".env") and not _SHARED_ENV.isdisjoint(name.split("."))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


@cache
def _names() -> re.Pattern[str]:
    return re.compile("|".join(rf"(?P<n{index}>(?:^|/)(?:{name})\Z)" for index, (_, name) in enumerate(_NAMES)))


@cache
def _ordinary() -> tuple[tuple[str, re.Pattern[str], re.Pattern[str]], ...]:
    return tuple((what, re.compile(rf"(?:^|/)(?:{name})\Z"), re.compile(inside)) for what, name, inside in _ORDINARY)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile *pattern* when it is first needed: compiling takes up to 1 ms, and most texts need few patterns."""
    return re.compile(pattern)
