"""Settings for a registry by URL from environment variables, such as the maximum age of cached answers."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitmodel.domain.addresses import Terms, is_url
from gitmodel.errors import UsageError

# The environment variables that together identify one attempt of a CI job, in this order: of GitHub and Forgejo,
# GitLab, Bitbucket, Azure Pipelines, Buildkite, Jenkins.
_JOBS = (
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"),
    ("CI_JOB_ID",),
    ("BITBUCKET_STEP_UUID", "BITBUCKET_STEP_RUN_NUMBER"),
    ("SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"),
    ("BUILDKITE_JOB_ID",),
    ("BUILD_TAG",),
)


def names_url(text: str) -> bool:
    """Return True if *text* is the URL of a registry, and not the path of an existing file or folder."""
    return is_url(text) and ("://" in text or not os.path.lexists(text))


def local_file(text: str) -> str:
    """Return the path of the file that *text*, a file: URL, names.

    Return *text* unchanged if it names no existing file.

    >>> local_file("file:///nowhere/iris.bundle"), local_file("https://host/iris.bundle")
    ('file:///nowhere/iris.bundle', 'https://host/iris.bundle')
    """
    scheme, _, place = text.partition("://")
    if scheme.lower() != "file":
        return text
    from urllib.parse import unquote  # imported here: only file: URLs need it

    host, slash, path = place.partition("/")
    file = unquote(slash + path)  # git also decodes such a URL
    return file if host in ("", "localhost") and os.path.isfile(file) else text


def read_terms(environ: Mapping[str, str], *, max_age: float | None, offline: bool | None, timeout: float) -> Terms:
    """Return the limits for a registry by URL: the maximum age of answers in the cache, offline or not, and *timeout*.

    If *max_age* or *offline* is None, `GITMODEL_MAX_AGE` or `GITMODEL_OFFLINE` in *environ* is used. Raises UsageError
    if the maximum age is not a number of seconds.
    """
    said = environ.get("GITMODEL_MAX_AGE", "")
    try:
        age = float(said or 0) if max_age is None else max_age
    except ValueError:
        age = -1.0
    if not age >= 0:
        raise UsageError("GITMODEL_MAX_AGE is not a number of seconds", hint="for example: GITMODEL_MAX_AGE=60")
    cut_off = environ.get("GITMODEL_OFFLINE", "") not in ("", "0") if offline is None else offline
    return Terms(age, cut_off, timeout)


def in_ci(environ: Mapping[str, str]) -> bool:
    """Return True if *environ* are the environment variables of a CI job.

    >>> in_ci({"CI": "true"}), in_ci({"CI_JOB_ID": "71"}), in_ci({"CI": "false"})
    (True, True, False)
    """
    return environ.get("CI", "").lower() not in ("", "0", "false") or bool(job_key(environ))


def job_key(environ: Mapping[str, str]) -> str:
    """Return the id of the current attempt of the current CI job, from variables of its host; "" outside of a CI job.

    >>> job_key({"GITHUB_RUN_ID": "71", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_JOB": "train"})
    'GITHUB_RUN_ID=71 GITHUB_RUN_ATTEMPT=2 GITHUB_JOB=train'
    """
    for names in _JOBS:
        if environ.get(names[0]):
            return " ".join(f"{name}={environ[name]}" for name in names if environ.get(name))
    return ""
