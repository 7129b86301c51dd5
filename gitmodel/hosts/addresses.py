"""Git hosts, recognized by the URLs of remotes, and the URLs of their pages. Pure: text in, text out."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from gitmodel.frozen import Frozen

# Servers and terminals cut or refuse longer addresses.
LONGEST_ADDRESS = 4_000
KINDS = ("github", "gitlab", "forgejo", "bitbucket")
# Words in a host's name that reveal the host's kind. If a name has none of them, `git config gitmodel.host` sets the
# kind.
_WORDS = {
    "github": "github",
    "gitlab": "gitlab",
    "bitbucket": "bitbucket",
    "forgejo": "forgejo",
    "gitea": "forgejo",
    "codeberg": "forgejo",
}
# The field for the description in the form for a new pull request, which the page fills in from its URL.
_DESCRIPTIONS = {"github": "body", "forgejo": "body", "gitlab": "description"}
_URL = re.compile(r"(?P<scheme>https?|ssh|git)://(?:[^/@]*@)?(?P<host>[^/:@]+)(?P<port>:[0-9]+)?/(?P<path>.+)")
_NAME = re.compile(r"[a-z0-9.-]+")
_SCP = re.compile(r"(?:[^/:@]+@)?(?P<host>[^/:@]+):(?!/)(?P<path>.+)")


class Host(Frozen):
    """A repository on a git host: the host's *kind* (one of `KINDS`) and URL *site*, and the *path* below this URL."""

    kind: str
    site: str
    path: str

    def new_pull_request(self, base: str, branch: str, title: str = "", text: str = "") -> str:
        """Return the URL of the page on which a person opens a pull request from *branch* into the branch *base*.

        The page shows *title*, and also the description *text* if the host can take it from the URL and the URL is not
        longer than `LONGEST_ADDRESS`.

        >>> find_host("git@github.com:org/models.git").new_pull_request("gitmodel", "propose/iris/production/4-1a2b3c4")
        'https://github.com/org/models/compare/gitmodel...propose/iris/production/4-1a2b3c4?expand=1'
        """
        short = {"title": title} if title else {}
        field = _DESCRIPTIONS.get(self.kind) if text else None
        address = self._new_request(base, branch, {**short, field: text} if field else short)
        return address if len(address) <= LONGEST_ADDRESS else self._new_request(base, branch, short)

    def push_options(self, base: str, title: str, text: str) -> tuple[str, ...]:
        r"""Return options of `git push` that make GitLab open a merge request into *base*; () for other hosts.

        *text* is the description of the merge request. Its line breaks become a backslash and an n, which GitLab reads
        as a line break, because an option of `git push` cannot contain line breaks.

        >>> find_host("https://gitlab.com/org/models").push_options("gitmodel", "Promote it", "a\nb")[-1]
        'merge_request.description=a\\nb'
        """
        if self.kind != "gitlab":
            return ()
        title = " ".join(title.split())
        options = ["create", f"target={base}", f"title={title}", "description=" + "\\n".join(text.splitlines())]
        return tuple(f"merge_request.{option}" for option in options)

    def _new_request(self, base: str, branch: str, fields: dict[str, str]) -> str:
        """Return the URL of the page with the form for a new pull request, in which *fields* are filled in."""
        if self.kind == "github":
            return f"{self._compared(base, branch)}?{urlencode({'expand': '1', **fields})}"
        if self.kind == "forgejo":
            return self._compared(base, branch) + (f"?{urlencode(fields)}" if fields else "")
        if self.kind == "gitlab":
            fields = {"source_branch": branch, "target_branch": base, **fields}
            query = urlencode({f"merge_request[{key}]": value for key, value in fields.items()})
            return f"{self.site}/{self.path}/-/merge_requests/new?{query}"
        return f"{self.site}/{self.path}/pull-requests/new?{urlencode({'source': branch, 'dest': base, **fields})}"

    def comparison(self, old: str, new: str) -> str:
        """Return the URL of the page that compares the commits *old* and *new*.

        >>> find_host("https://gitlab.example.org/team/code").comparison("a" * 7, "b" * 7)
        'https://gitlab.example.org/team/code/-/compare/aaaaaaa...bbbbbbb'
        """
        if self.kind == "gitlab":
            return f"{self.site}/{self.path}/-/compare/{_quoted(old)}...{_quoted(new)}"
        if self.kind == "bitbucket":
            return f"{self.site}/{self.path}/branches/compare/{_quoted(new)}..{_quoted(old)}"
        return self._compared(old, new)

    def commit(self, id: str) -> str:
        """Return the URL of the host's page about the commit *id*.

        >>> find_host("https://gitlab.example.org/team/code").commit("a" * 7)
        'https://gitlab.example.org/team/code/-/commit/aaaaaaa'
        """
        inner = {"gitlab": "-/commit", "bitbucket": "commits"}.get(self.kind, "commit")
        return f"{self.site}/{self.path}/{inner}/{_quoted(id)}"

    def pull_request(self, request: str) -> str:
        """Return the URL of the host's page about the pull or merge request *request*, such as "#12" or "!12".

        >>> find_host("https://gitlab.example.org/team/models").pull_request("!12")
        'https://gitlab.example.org/team/models/-/merge_requests/12'
        """
        inner = {"github": "pull", "gitlab": "-/merge_requests", "forgejo": "pulls", "bitbucket": "pull-requests"}
        return f"{self.site}/{self.path}/{inner[self.kind]}/{_quoted(request.lstrip('#!'))}"

    def _compared(self, old: str, new: str) -> str:
        return f"{self.site}/{self.path}/compare/{_quoted(old)}...{_quoted(new)}"


def find_host(url: str, kind: str = "") -> Host | None:
    """Return the git host and repository at *url*, the URL of a remote.

    *kind* is the kind of the host, one of `KINDS`; "": the kind that the host's name reveals, such as "gitlab". Returns
    None if *url* is a path or the kind is unknown. The result leaves out a user name and password in *url*.

    >>> find_host("https://ada:secret@git.example.org:8443/org/models.git", kind="forgejo")
    Host(kind='forgejo', site='https://git.example.org:8443', path='org/models')
    >>> find_host("/srv/models.git") is None
    True
    """
    match = _URL.fullmatch(url) or _SCP.fullmatch(url)
    if match is None:
        return None
    groups = match.groupdict()
    name = groups["host"].lower()
    found = kind if kind in KINDS else next((kind for word, kind in _WORDS.items() if word in name), "")
    path = groups["path"].strip("/").removesuffix(".git")
    if not found or not path or not _NAME.fullmatch(name):
        return None
    web = groups.get("scheme") in ("http", "https")
    scheme = groups["scheme"] if web else "https"
    return Host(found, f"{scheme}://{name}{groups['port'] or '' if web else ''}", quote(path, safe="/~._-"))


def _quoted(ref: str) -> str:
    return quote(ref, safe="/._-")
