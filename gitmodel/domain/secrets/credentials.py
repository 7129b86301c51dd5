"""Recognizing credentials in text before it is recorded, by their form or by the name of their field. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from functools import cache
from typing import Any

from gitmodel.domain import addresses
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.record_fields import fields_of
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import with_article
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Refused

# The git setting that allows gitmodel to record text that looks like a credential, for text that is none.
SETTING = "gitmodel.allowCredentials"
OVERRIDE = (
    f"if it is no credential, run the command as `git -c {SETTING}=true model ...` "
    f"(in Python: run `git config {SETTING} true`, and open the Client again)"
)

_START = r"(?<![A-Za-z0-9])"
# A placeholder: ***, <token>, $TOKEN, ${TOKEN}, {{ token }}, %(token)s, none.
_PLACEHOLDER = (
    r"(?:\*+|\.{3}|<[^<>]*>|\[[^\[\]]*\]|\(secret\)|\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\{\{?[^{}]*\}?\}|%\([a-z_]*\)s|%s"
    r"|x{3,}|none|null|nil|true|false|yes|no|redacted|hidden|unset)"
)
# Letters may precede "password" directly, as in PGPASSWORD. Other secret words must be separate words, so that
# pad_token does not match.
_PASSWORD = r"(?:pass_?words?|passwds?)"
_SECRET_WORD = (
    r"(?:pass_?phrase|pwd|secrets?|connection_?string|authorization|(?:api|access|secret|private|account)_?key"
    r"|(?:signing|encryption|master|storage|service|subscription|shared_access)_key|(?:api|access|auth)_?token"
    r"|(?:authentication|bearer|refresh|session|security|secret|private|deploy|job|ci|bot|user|oauth|id|sas|registry"
    r"|runner|github|gh|gitlab|forgejo|gitea|codeberg|bitbucket|hugging_?face|hf|hub|openai|anthropic|slack|npm|pypi"
    r"|wandb|mlflow|vault|azure|aws|gcp|google|databricks|docker)_token)"
)
# Kinds of GitLab's tokens: https://docs.gitlab.com/security/tokens/#token-prefixes
_GITLAB = ("pat", "dt", "rt", "rtr", "cbt", "ptt", "ft", "soat", "oas", "imt", "agent", "ffct", "wt")
# Forms of credentials that issuers publish: kind, marks, pattern. Searching for a pattern takes long, so gitmodel only
# searches texts that contain one of its marks.
PUBLISHED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("an AWS access key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"A(?:KI|SI|BI|CC)A[A-Z0-9]{16}(?![A-Za-z0-9])"),
    (
        "a GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50})",
    ),
    ("a GitLab token", tuple(f"gl{kind}-" for kind in _GITLAB), rf"gl(?:{'|'.join(_GITLAB)})-[A-Za-z0-9_-]{{20}}"),
    ("a Slack token", ("xox", "xapp-"), r"(?:xox[abeoprs]-[A-Za-z0-9-]{10}|xapp-[0-9]-[A-Za-z0-9-]{10})"),
    (
        "a Slack webhook",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{16}",
    ),
    ("a Hugging Face token", ("hf_", "api_org_"), r"(?:hf_[A-Za-z0-9]{30}|api_org_[A-Za-z0-9]{30})"),
    ("a Google API key", ("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
    ("a Google OAuth token", ("ya29.",), r"ya29\.[A-Za-z0-9_-]{20}"),
    ("a Google client secret", ("GOCSPX-",), r"GOCSPX-[A-Za-z0-9_-]{20}"),
    ("a Stripe key", ("k_live_", "k_test_"), r"[sr]k_(?:live|test)_[A-Za-z0-9]{16}"),
    ("an npm token", ("npm_",), r"npm_[A-Za-z0-9]{36}"),
    ("a PyPI token", ("pypi-",), r"pypi-[A-Za-z0-9_-]{50}"),
    ("a Docker token", ("dckr_pat_",), r"dckr_pat_[A-Za-z0-9_-]{20}"),
    ("a DigitalOcean token", ("doo_v1_", "dop_v1_", "dor_v1_"), r"do[opr]_v1_[0-9a-f]{64}"),
    ("a Replicate token", ("r8_",), r"r8_[A-Za-z0-9]{37}"),
    ("a Databricks token", ("dapi",), r"dapi[0-9a-f]{32}(?![0-9a-f])"),
    ("a Vault token", ("hvb.", "hvs."), r"hv[bs]\.[A-Za-z0-9_-]{24}"),
    ("a SendGrid key", ("SG.",), r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    # not sk-learn-logistic-regression
    ("an API key", ("sk-",), r"sk-(?:(?:proj|ant|svcacct|admin|or|lf)-[A-Za-z0-9_-]{20}|[A-Za-z0-9]{20})"),
    ("an Azure key", ("AccountKey=", "SharedAccessKey="), r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/=]{40}"),
    ("an Azure client secret", ("Q~",), r"(?<![_~.-])[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31}"),
    # the lookbehind lets a match start only where a run of these characters starts, so that the time is linear
    ("a JSON web token", ("eyJ",), r"(?<![_-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\."),
)
# In machine learning, tokens are parts of a text. So the value of a field "token" is a credential only if it looks
# random.
_RANDOM_TOKEN = (
    r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])(?:[0-9a-f]{20,}|(?=[0-9a-z]*[A-Z])(?=[0-9A-Z]*[a-z])[A-Za-z0-9]{20,})"
    r"(?![A-Za-z0-9])"
)
# All forms by which a value is a credential, whatever its field is called.
_FORMS: tuple[tuple[str, str], ...] = (
    ("a token", rf"(?i:(?<![A-Za-z])token)[\"']?[=:] ?[\"']?{_RANDOM_TOKEN}"),
    *((what, _START + pattern) for what, _, pattern in PUBLISHED),
    ("a bearer token", _START + r"[Bb]earer [A-Za-z0-9._~+/-]{20}"),
    ("a basic authorization", r"[Aa]uthorization: ?[Bb]asic [A-Za-z0-9+/=]{6}"),
    ("a token", r"[Aa]uthorization: ?[Tt]oken [A-Za-z0-9._~+/-]{16}"),
    ("a private key", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-|AGE-SECRET-KEY-1"),
    ("a password in a URL", rf"(?:{_START}[A-Za-z][A-Za-z0-9+.-]{{0,20}})?://[^/\s:@]*:(?!{_PLACEHOLDER}@)[^/\s@]+@"),
    ("a token in a URL", r"https?://[A-Za-z0-9_-]{20,}@"),
    (
        "a signed URL",
        r"[?&;](?i:sig|signature|x-amz-(?:signature|security-token)|x-goog-signature)=[A-Za-z0-9%+/_.~-]{8}",
    ),
    (
        "a token in a URL",
        rf"[?&;](?i:[a-z_-]*token|api_?key|apikey|auth|secret|client_secret|password|passwd|pwd)="
        rf"(?!(?i:{_PLACEHOLDER})(?:[&;#\s\"']|$))[^&;#\s\"']+",
    ),
    # password=hunter2, in a command line or a connection string
    (
        "a password",
        rf"(?i:{_PASSWORD}|(?<![a-z]){_SECRET_WORD})=[\"']?(?!(?i:{_PLACEHOLDER})(?:[\s\"';,&)]|$))"
        r"[^\s\"';,&)=]{4,}",
    ),
)
# In Python source, this pattern replaces the last one of _FORMS: it ignores calls and variables, as in
# `password=getpass()`, `password=db.password` and `api_key=api_key`.
_IN_EXPRESSIONS = (
    rf"(?i:{_PASSWORD}|(?<![a-z]){_SECRET_WORD})=(?![\"'])(?!(?i:{_PLACEHOLDER})(?:[\s\"';,&)]|$))"
    rf"(?![A-Za-z_][\w.]*[(\[.])(?!(?i:\w*{_PASSWORD}|\w*{_SECRET_WORD})\b)[^\s\"';,&)=]{{4,}}"
)
# A form matches only the start of a credential. This pattern matches the rest, so that gitmodel hides all of it.
# A credential in a URL has no rest after the `@`.
_REST = r"(?:(?<=[^@])[A-Za-z0-9_~+/=%-]+(?:\.[A-Za-z0-9_~+/=%-]+)*)?"
# A whole private key, even if its end is missing or its line breaks are escaped.
_KEY_BLOCK = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:(?!-----BEGIN)[\s\S]){0,20000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:(?:[\s\"'`+,()]|\\+[nrt])*[A-Za-z0-9+/=]{16,})*(?:(?:\s|\\+[nrt])*[A-Za-z0-9+/]{0,15}=)?)"
)
# Each match of a form contains one of these texts. Most values contain none, so gitmodel need not search them for all
# forms.
_HINTS = re.compile(
    r"A[KSBC][IC]A|gh[pousr]_|github_pat|gl[a-z]+-|xox|xapp-|slack|hf_|api_org_|AIza|ya29|GOCSPX|[sr]k_|npm_|pypi-|dckr_"
    r"|dapi|do[opr]_v1_|r8_|[Tt](?:oken|OKEN)|hv[bs]\.|SG\.|sk-|Q~|eyJ|[Bb]earer|[Aa]uthorization|PRIVATE KEY|PuTTY|AGE-SECRET|://|="
)
# An AWS secret key has no prefix: 40 random characters.
_RANDOM = r"(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])[A-Za-z0-9+/]{40}"
_RANDOM_LETTERS = 24
# The ends of names of secret fields: password, db_password, DB-PASSWORD, dbPassword; not max_tokens or pad_token.
_NAME = rf".*{_PASSWORD}|(?:.*[_./ ])?{_SECRET_WORD}"
_NUMERIC = rf".*(?:{_PASSWORD}|pwd|pass_?phrase)"
# Every secret name contains one of these texts, in upper or lower case.
_NAME_HINTS = ("pass", "pwd", "secret", "key", "token", "string", "authorization")
# The lowest number that counts as a password in a field with a secret name. Lower ones are lengths and counts.
_LEAST_NUMBER = 1000
# A user name in an ssh URL that looks like a login and not like a token.
_LOGIN = "[a-z_][a-z0-9_-]{0,31}"
# Fields whose values look random but are not secret: ids from a store.
_IDS = ("version_id",)


def credential_in(value: Any) -> str:
    """Return the kind of the first credential that *value* seems to hold, or "".

    >>> credential_in("https://ada:pw@example.com"), credential_in("0.97"), credential_in({"db_password": "pw"})
    ('a password in a URL', '', 'a db password, by its name')
    >>> credential_in({"max_tokens": 512, "pad_token": "<pad>", "key": "3f8a", "tokenizer": "bpe"})
    ''
    """
    return next((what for _, what in credentials_in(value)), "")


def credentials_in(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the kind of each field in *value* that looks like a credential.

    *name* is the name of *value*, with which the dotted names begin. If a key looks like a credential, yields "a name"
    instead of the name.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            what = _form_of(str(key))
            if what:
                yield f"a name in {name}" if name else "a name", what
            else:
                yield from credentials_in(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from credentials_in(item, name)
    elif what := _named(name, value) or (_form_of(value, name) if isinstance(value, str) else ""):
        yield name, what


def refuse_credentials(values: Mapping[str, Any], where: str, hint: str) -> None:
    """Raise Refused with the *hint* if one of *values*, the fields of the object *where*, looks like a credential."""
    for name, value in values.items():
        if what := credential_in({name: value}):
            raise Refused(f"{'a name' if _form_of(name) else name} of {where} looks like {what}", hint=hint)


def without_credentials(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return *values* without the fields that look like credentials, and these fields with their kinds.

    >>> without_credentials({"accuracy": 0.9, "db": {"host": "db1", "password": "pw"}})
    ({'accuracy': 0.9, 'db': {'host': 'db1'}}, [('db.password', 'a password, by its name')])
    """
    kept, left_out = _kept(values, "")
    return (kept if isinstance(kept, dict) else {}), left_out


def redacted(text: str, *, is_python: bool = False) -> str:
    """Return *text* with each part that looks like a credential replaced by its kind.

    If *is_python* is True, *text* is Python source, in which expressions such as `password=getpass()` stay.

    >>> redacted("cannot reach https://ada:pw@example.com")
    'cannot reach (a password in a URL)example.com'
    >>> redacted("connect(password=getpass(), api_key=api_key)", is_python=True)
    'connect(password=getpass(), api_key=api_key)'
    """
    if not _HINTS.search(text):
        return text
    text = re.sub(_KEY_BLOCK, "(a private key)", text)
    for what, pattern in _whole_searches(is_python):
        text = pattern.sub(f"({what})", text)
    return text


def recordable_url(url: str) -> str | None:
    """Return the *url* of a remote without credentials and query; None for a local path.

    >>> recordable_url("https://ada:secret@example.com/iris.git?private_token=abc")
    'https://example.com/iris.git'
    >>> recordable_url("ada:secret@example.com:iris.git"), recordable_url("git@example.com:iris.git")
    ('example.com:iris.git', 'git@example.com:iris.git')
    >>> [recordable_url(url) for url in ("/home/ada/iris", "file:///home/ada/iris", "../iris", "C:/iris")]
    [None, None, None, None]
    """
    url = url.strip()
    if scheme := re.match(r"(?i)([a-z][a-z0-9+.-]*)(::|://)", url):
        if scheme[2] == "::" or scheme[1].lower() == "file":
            return None  # a path, or the command line of a remote helper
        clean = re.split(r"[?#]", addresses.without_credentials(url), maxsplit=1)[0]
        if not re.match(r"[^:]+://(?:\[[^\]/]*\]|[^/:]*)(?::[0-9]*)?(?:/|$)", clean):
            return None  # perhaps a user and a password with a slash, which look like a host and its port
        if login := re.match(rf"(?:git\+)?ssh(?:\+git)?://({_LOGIN})@(?=[^@]*$)", url):
            clean = clean.replace("://", f"://{login[1]}@", 1)
    else:
        # the part before the last @ is the user, with a password if it contains a colon
        found = re.fullmatch(r"(?:([^/]*)@)?(\[[0-9A-Fa-f:.]+\]|[^/:@\[\]]{2,}):(.+)", url)
        if found is None:
            return None
        user, host, path = found.groups()
        if "@" in path.partition("/")[0] or (user or "").startswith("["):
            return None  # a URL without slashes, or in brackets
        plain = user and re.fullmatch(_LOGIN, user)
        clean = f"{user}@{host}:{path}" if plain else f"{host}:{path}"
        clean = re.split(r"[?#]", clean, maxsplit=1)[0]
    return None if credential_in(clean) or not clean.isprintable() else clean


def refuse_new(snapshot: Snapshot, change: Change[Any]) -> None:
    """Raise Refused if *change* would record a new value that looks like a credential.

    Accepts values that are recorded already, because otherwise nobody could change the rest of their record.
    """
    for field, text in (("the reason", change.reason), ("the message", change.subject)):
        what = _form_of(text)
        if what:
            raise Refused(f"{field} looks like it holds {what}; nothing was written", hint=OVERRIDE)
    known: Set[str] | None = None
    for path, data in change.files.items():
        for field, what, value in _in_record(path, data):
            if known is None:
                known = frozenset(_texts(snapshot, change))
            if repr(value) not in known:
                raise Refused(f"{field} of {_owner(path)} looks like {what}; nothing was written", hint=OVERRIDE)


def in_record(path: str, data: bytes | None) -> list[tuple[str, str]]:
    """Return the fields of the record in *data* that look like credentials, each with its kind, for a warning."""
    return list(dict.fromkeys((f"{field} of {_owner(path)}", what) for field, what, _ in _in_record(path, data)))


def _in_record(path: str, data: bytes | None) -> Iterator[tuple[str, str, Any]]:
    found = paths.parse_path(path)
    if data is None or found is None or found.kind == "archived":
        return
    for name in (found.model, found.key):
        what = _form_of(name)
        if what:
            yield "the name", what, name
    for field, value in fields_of(data, path).items():
        table, _, key = field.partition(".")
        what = _form_of(key)
        if what:
            yield f"a name in {table}", what, key
            continue
        for name, what in credentials_in(value, field):
            yield name, what, value


def _texts(snapshot: Snapshot, change: Change[Any]) -> Iterator[str]:
    """Yield the values and keys, as `repr`, that the records at the paths of *change* already have in *snapshot*."""
    for path in change.files:
        if (found := paths.parse_path(path)) is not None:
            fields = fields_of(snapshot.files.read(path), path)
            keys = (field.partition(".")[2] for field in fields)
            yield from map(repr, (found.model, *fields.values(), *keys))


def _owner(path: str) -> str:
    found = paths.parse_path(path)
    if found is None or not found.model:
        return f"run {found.key}" if found is not None and found.kind == "run" else path
    return f"{found.model}@{found.key}" if found.kind == "version" else found.model


def _kept(value: Any, name: str) -> tuple[Any, list[tuple[str, str]]]:
    if not isinstance(value, Mapping):
        found = list(credentials_in(value, name))
        return (None if found else value), found[:1]
    kept: dict[str, Any] = {}
    left_out: list[tuple[str, str]] = []
    for key, item in value.items():
        what = _form_of(str(key))
        if what:
            left_out.append((f"a name in {name}" if name else "a name", what))
            continue
        inner, found = _kept(item, f"{name}.{key}" if name else str(key))
        left_out += found
        if not found or isinstance(item, Mapping):
            kept[key] = inner
    return kept, left_out


def _named(name: str, value: Any) -> str:
    """Return the kind of credential that *value* is because of the *name* of its field, or ""."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not name:
        return ""
    folded = name.casefold()
    if not any(hint in folded for hint in _NAME_HINTS):
        return ""
    last = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).casefold().replace("-", "_")
    if re.fullmatch(_NAME, last) is None:
        return ""
    if isinstance(value, int):
        if abs(value) < _LEAST_NUMBER or re.fullmatch(_NUMERIC, last) is None:
            return ""
    elif not value.strip() or re.fullmatch(_PLACEHOLDER, value.strip(), re.IGNORECASE):
        return ""
    word = last.rpartition(".")[2].replace("_", " ")
    return f"{with_article(word)}, by its name"


def _form_of(text: str, name: str = "") -> str:
    """Return the kind of credential that *text* holds, by its form, or "". *name* is the name of its field, if any."""
    if _HINTS.search(text):
        for what, pattern in _searches():
            if pattern.search(text):
                return what
    if name.rpartition(".")[2].casefold() == "token" and re.fullmatch(_RANDOM_TOKEN, text):
        return "a token"
    is_random = len(text) == 40 and len(set(text)) >= _RANDOM_LETTERS and re.fullmatch(_RANDOM, text)
    return "a secret key" if is_random and not name.endswith(_IDS) else ""


@cache
def _searches() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compile the patterns of credentials when a text first has a hint of one, because this takes 20 ms."""
    return tuple((what, re.compile(pattern)) for what, pattern in _FORMS)


@cache
def _whole_searches(is_python: bool) -> list[tuple[str, re.Pattern[str]]]:
    """Compile the patterns of credentials, each with one for the rest of the credential, to hide all of it."""
    forms = [(what, pattern + _REST) for what, pattern in _FORMS]
    if is_python:
        forms[-1] = ("a password", _IN_EXPRESSIONS)
    return [(what, re.compile(pattern)) for what, pattern in forms]
