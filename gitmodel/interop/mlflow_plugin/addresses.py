"""The URIs by which MLflow names a gitmodel registry and an artifact in it. Pure: strings in, strings out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import parse_qsl

from gitmodel.errors import UsageError

SCHEME = "gitmodel:"
# Separates the registry from the version in the URI of an artifact.
_BETWEEN = "/-/"
_OPTIONS = {"artifacts": ("store", "link"), "prompts": ("refuse", "store"), "proposals": ("refuse", "open")}


@dataclass(frozen=True)
class RegistryAddress:
    """The parts of the URI of a registry: its path or URL *registry*, and the options after the "?".

    If *links_only* is True, a new version records the location of its files, and the files are not copied. If
    *opens_proposals* is True, a change of a stage that needs a review becomes a proposal. If *stores_prompts* is True,
    MLflow's prompts are stored as models.
    """

    registry: str
    links_only: bool = False
    opens_proposals: bool = False
    stores_prompts: bool = False

    @classmethod
    def parse(cls, uri: str) -> RegistryAddress:
        """Parse the URI of a registry. Raises UsageError if it has an unknown option or no registry.

        >>> RegistryAddress.parse("gitmodel:///srv/models?proposals=open").opens_proposals
        True
        >>> RegistryAddress.parse("gitmodel:https://git.example.org/models.git").registry
        'https://git.example.org/models.git'
        """
        place, _, query = uri.removeprefix(SCHEME).partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        for option, value in options.items():
            _check_option(option, value)
        return cls(
            _registry(place),
            links_only=options.get("artifacts") == "link",
            opens_proposals=options.get("proposals") == "open",
            stores_prompts=options.get("prompts") == "store",
        )


@dataclass(frozen=True)
class ArtifactAddress:
    """The parts of the URI of an artifact of a version.

    *registry* is a path or URL, *reference* a reference such as `iris@3`, and *artifact* the name of the artifact. If
    the artifact is a folder, *inside* is a path in it. MLflow also passes URIs without their last
    parts: *reference* and *artifact* are "" if they are missing.
    """

    registry: str
    reference: str
    artifact: str
    inside: str = ""

    def __str__(self) -> str:
        """Return the URI of the artifact.

        >>> str(ArtifactAddress("/srv/models", "iris@3", "model"))
        'gitmodel:/srv/models/-/iris@3/model'
        """
        return f"{SCHEME}{self.registry}{_BETWEEN}{self.reference}/{self.artifact}"

    @classmethod
    def parse(cls, uri: str, path: str = "") -> ArtifactAddress:
        """Parse the URI *uri*/*path*. MLflow may divide the URI of an artifact into these two parts at any "/".

        >>> ArtifactAddress.parse("gitmodel:/srv/models/-/iris@3", "model/MLmodel")
        ArtifactAddress(registry='/srv/models', reference='iris@3', artifact='model', inside='MLmodel')
        """
        place, _, rest = f"{uri.removeprefix(SCHEME)}/".partition(_BETWEEN)
        reference, artifact, *inside = [part for part in f"{rest}/{path}".split("/") if part] + ["", ""]
        return cls(_registry(place), reference, artifact, "/".join(inside).rstrip("/"))


def _registry(place: str) -> str:
    """Return the path or URL of a registry from the part *place* of a URI: `///srv/models` means `/srv/models`.

    Raises UsageError if *place* is "".
    """
    if not place:
        # Refused, because to the client "" means the current folder's repository, and an unset variable in a URI must
        # not select it.
        raise UsageError(
            "the URI names no registry",
            hint="write its path or URL after gitmodel:, such as gitmodel:. for the current folder",
        )
    if place.startswith("//"):
        place = "/" + place.lstrip("/")
    return os.path.abspath(place) if "://" not in place and "@" not in place else place


def _check_option(option: str, value: str) -> None:
    known = ", ".join(f"{name}={word}" for name, words in _OPTIONS.items() for word in words)
    if value not in _OPTIONS.get(option, ()):
        raise UsageError(f"unknown option {option}={value} in the URI of a registry", hint=f"the options: {known}")
