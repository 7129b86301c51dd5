"""Settings of a registry by URL from the environment: the maximum age of cached answers, and the id of the CI job."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitmodel.domain.addresses import Terms, is_url
from gitmodel.errors import UsageError

# The variables that identify one attempt of a job: GitHub and Forgejo, GitLab, Bitbucket, Azure Pipelines,
# Buildkite, Jenkins.
_JOBS = (
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"),
    ("CI_JOB_ID",),
    ("BITBUCKET_STEP_UUID", "BITBUCKET_STEP_RUN_NUMBER"),
    ("SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"),
    ("BUILDKITE_JOB_ID",),
    ("BUILD_TAG",),
)


def names_url(text: str) -> bool:
    """Return True if *text* is a registry's URL and not an existing file or folder."""
    return is_url(text) and ("://" in text or not os.path.lexists(text))


def local_file(text: str) -> str:
    """Return the path of the local file that the URL *text* names, or *text* itself if it names no such file.

    >>> local_file("file:///nowhere/iris.bundle"), local_file("https://host/iris.bundle")
    ('file:///nowhere/iris.bundle', 'https://host/iris.bundle')
    """
    scheme, _, place = text.partition("://")
    if scheme.lower() != "file":
        return text
    from urllib.parse import unquote  # imported here: only file: URLs need it

    host, slash, path = place.partition("/")
    file = unquote(slash + path)  # decoded, as git does
    return file if host in ("", "localhost") and os.path.isfile(file) else text


def read_terms(environ: Mapping[str, str], *, max_age: float | None, offline: bool | None, timeout: float) -> Terms:
    """Return the limits for a registry by URL. `GITMODEL_MAX_AGE` and `GITMODEL_OFFLINE` replace None.

    Raises UsageError if the age is not a number of seconds.
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
    """Return True in a job of a CI host.

    >>> in_ci({"CI": "true"}), in_ci({"CI_JOB_ID": "71"}), in_ci({"CI": "false"})
    (True, True, False)
    """
    return environ.get("CI", "").lower() not in ("", "0", "false") or bool(job_key(environ))


def job_key(environ: Mapping[str, str]) -> str:
    """Return the CI host's id of this attempt of this job; "" outside of CI.

    >>> job_key({"GITHUB_RUN_ID": "71", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_JOB": "train"})
    'GITHUB_RUN_ID=71 GITHUB_RUN_ATTEMPT=2 GITHUB_JOB=train'
    """
    for names in _JOBS:
        if environ.get(names[0]):
            return " ".join(f"{name}={environ[name]}" for name in names if environ.get(name))
    return ""
