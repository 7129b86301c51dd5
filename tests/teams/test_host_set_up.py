"""`init --ci HOST` commits workflows and code owners for a host, and never overwrites files that people changed."""

import json
import re
from importlib import resources

import editing
import pytest
from editing import BRANCH, edit, read
from transcripts import ask

from gitmodel import Client
from gitmodel.hosts import codeowners, workflows
from gitmodel.hosts.workflows import HostFiles, set_up
from gitmodel.registry.health.checking import check

FILES = {
    "github": [".github/workflows/gitmodel.yml", "CODEOWNERS", ".github/workflows/gitmodel-deploy.yml"],
    "gitlab": [".gitlab/gitmodel.yml", "CODEOWNERS", ".gitlab-ci.yml"],
    "forgejo": [".forgejo/workflows/gitmodel.yml", "CODEOWNERS", ".forgejo/gitmodel-deploy.sh"],
}

COMMIT = "git+https://git.example.org/tools/gitmodel@" + "1a2b" * 10
HASHED = "gitmodel[s3]==0.1.0 --hash=sha256:" + "0a" * 32
INSTALL = ("--install", COMMIT)


@pytest.fixture
def repo(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("iris", owners=["Ada <ada@example.com>", "@org/vision"])
        client.register_model("rose.v2", owners=["@bob"])
        client.register_model("tulip")
        client.get_model("iris").create_version().set_stage("staging")
    return code_repo


@pytest.mark.parametrize("kind", FILES)
def test_init_ci_commits_all_files_of_the_host_in_one_commit(kind, repo, capsys):
    before = editing.run(repo, "rev-parse", BRANCH)
    code, out, err = ask(capsys, "init", "--ci", kind, "--owner", "@org/registry", *INSTALL)
    assert (code, err) == (0, "")
    changed = editing.run(repo, "diff", "--name-only", before, BRANCH).split()
    assert editing.run(repo, "rev-parse", f"{BRANCH}~1") == before
    assert sorted(changed) == sorted(FILES[kind])
    for line in (
        "created CODEOWNERS",
        "see them with: git show gitmodel",
        "Create two identities",
        "next: git model push",
    ):
        assert line in out
    with Client(repo) as client:
        assert check(client.repository) == []
    assert editing.run(repo, "status", "--porcelain") == ""
    again = ask(capsys, "init", "--ci", kind)
    said = "there is a registry on the branch gitmodel\nthe files for the host are up to date\n"
    assert again == (0, said, "")


@pytest.mark.parametrize("kind", FILES)
def test_the_files_of_init_ci_name_the_branch_of_the_registry(kind, code_repo, capsys, git):
    git(code_repo, "config", "gitmodel.branch", "models/registry")
    assert ask(capsys, "-C", code_repo, "init", "--ci", kind, "--owner", "@me", *INSTALL)[0] == 0
    (text,) = {read(code_repo, path, "models/registry") for path in FILES[kind] if path.endswith("gitmodel.yml")}
    assert not re.search(r"@[A-Z]+@", text)
    if kind != "gitlab":  # GitLab's component gets the name of the branch as an input
        assert 'branches: ["models/registry"]' in text
    else:
        assert 'branch: "models/registry"' in read(code_repo, ".gitlab-ci.yml", "models/registry")


def owners(repo):
    """Return the lines of CODEOWNERS without comments."""
    lines = [line for line in read(repo, "CODEOWNERS").splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def approves(repo, path):
    """Return the owners of *path* by the last line of CODEOWNERS that matches it. They must approve changes of *path*.

    The patterns are matched as in `.gitattributes`.
    """
    found = ""
    for pattern, accounts in owners(repo):
        rule = re.escape(pattern.lstrip("/")).replace(r"\*", "[^/]*") + (".*" if pattern.endswith("/") else "")
        found = accounts if re.fullmatch(rule, path) else found
    return found


def test_owners_of_a_model_approve_its_stages_and_owners_of_the_registry_everything_else(repo, capsys):
    assert (
        ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", "--owner", "eve@example.com", *INSTALL)[0]
        == 0
    )
    everybody = "@org/registry eve@example.com"
    assert approves(repo, "models/iris/stages/production.toml") == "@org/vision ada@example.com"
    assert approves(repo, "models/iris/aliases/champion.toml") == "@org/vision ada@example.com"
    assert approves(repo, "models/iris/model.toml") == "@org/vision ada@example.com"
    assert approves(repo, "models/rose.v2/stages/staging.toml") == "@bob"
    assert approves(repo, "models/tulip/stages/production.toml") == everybody
    for rule in ("gitmodel.toml", "allowed_signers", "CODEOWNERS", ".github/workflows/gitmodel.yml"):
        assert approves(repo, rule) == everybody
    assert approves(repo, "models/iris/versions/1.toml") == ""


def test_code_owners_of_forgejo_are_regular_expressions(repo, capsys):
    assert ask(capsys, "init", "--ci", "forgejo", "--owner", "@org/registry", *INSTALL)[0] == 0
    matching = {path: accounts for pattern, accounts in owners(repo) for path in PATHS if re.fullmatch(pattern, path)}
    assert matching == {
        "models/rose.v2/stages/production.toml": "@bob",
        "models/tulip/aliases/champion.toml": "@org/registry",
        "gitmodel.toml": "@org/registry",
        ".forgejo/workflows/gitmodel.yml": "@org/registry",
    }


PATHS = (
    "models/rose.v2/stages/production.toml",
    "models/roseXv2x/stages/production.toml.orig",
    "models/tulip/aliases/champion.toml",
    "gitmodel.toml",
    "gitmodelxtoml",
    ".forgejo/workflows/gitmodel.yml",
)


def test_an_owner_that_is_no_account_adds_no_line_to_code_owners_and_is_reported(repo, capsys):
    with Client(repo) as client:
        client.update_model("tulip", owners=["the flower group", "x\n* @eve", "@ok"])
    code, _, err = ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", *INSTALL)
    assert code == 0
    assert err.count("is not an account of a host") == 1
    assert "warning: owner of tulip: the flower group is not an account of a host" in err
    assert approves(repo, "models/tulip/stages/production.toml") == "@ok @eve"
    assert not any(pattern == "*" for pattern, _ in owners(repo))


def test_init_ci_requires_an_owner(repo, capsys):
    before = editing.run(repo, "rev-parse", BRANCH)
    code, _, err = ask(capsys, "init", "--ci", "github")
    assert (code, "no owner of the registry is named" in err) == (2, True)
    code, _, err = ask(capsys, "init", "--ci", "github", "--owner", "the team")
    assert (code, "'the team' is not an account of a host" in err) == (2, True)
    code, _, err = ask(capsys, "init", "--owner", "@me")
    assert (code, "--owner, --install, --site and --force go with --ci" in err) == (2, True)
    assert editing.run(repo, "rev-parse", BRANCH) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), ("no owner of the registry is named", "nothing says which gitmodel", "--owner @org/team", "--install")),
        (
            ("--install", "gitmodel"),
            ("no owner of the registry is named", "--install names no commit", "--owner @org/team", "DIGEST"),
        ),
    ],
)
@pytest.mark.parametrize("kind", FILES)
def test_init_ci_names_all_missing_options_in_one_error(kind, given, said, code_repo, capsys, git):
    before = git(code_repo, "for-each-ref")
    for more in ((), ("--from", str(code_repo.parent / "nowhere"))) if given else ((),):
        code, out, err = ask(capsys, "-C", code_repo, "init", "--ci", kind, *given, *more)
        assert (code, out) == (2, "")
        assert all(words in err for words in said), err
    assert git(code_repo, "for-each-ref") == before


class TestInstallOption:
    @pytest.mark.parametrize("kind", FILES)
    @pytest.mark.parametrize("spec", [COMMIT, HASHED, f"gitmodel[s3,skops] @ {COMMIT}"])
    def test_the_option_install_is_written_to_the_workflow_and_kept_by_the_next_init(self, kind, spec, repo, capsys):
        assert ask(capsys, "init", "--ci", kind, "--owner", "@org/registry", "--install", spec)[0] == 0
        assert f'"{spec}"' in read(repo, FILES[kind][0])
        with Client(repo) as client:
            client.update_model("tulip", owners=["@eve"])
        assert ask(capsys, "init", "--ci", kind)[0] == 0
        assert f'"{spec}"' in read(repo, FILES[kind][0])
        other = COMMIT.replace("1a2b", "3c4d")
        assert ask(capsys, "init", "--ci", kind, "--install", other)[0] == 0
        assert f'"{other}"' in read(repo, FILES[kind][0])

    @pytest.mark.parametrize("kind", FILES)
    def test_init_ci_requires_the_option_install(self, kind, code_repo, capsys, git):
        before = git(code_repo, "for-each-ref")
        code, out, err = ask(capsys, "-C", code_repo, "init", "--ci", kind, "--owner", "@org/registry")
        assert (code, out) == (2, "")
        assert err == (
            "error: nothing says which gitmodel the jobs install: it has no release yet\n"
            'hint: name a full commit, --install "git+https://HOST/OWNER/gitmodel@COMMIT", or a version with its hash, '
            '--install "gitmodel==VERSION --hash=sha256:DIGEST"; for an extra: "gitmodel[s3] @ git+https://..."\n'
        )
        assert git(code_repo, "for-each-ref") == before

    @pytest.mark.parametrize(
        "spec",
        [
            "gitmodel",
            "gitmodel==0.1.0",
            "gitmodel>=0.1.0 --hash=sha256:" + "0a" * 32,
            "gitmodel==0.1.0 --hash=md5:" + "0a" * 16,
            "gitmodel==0.1.0 --hash=sha256:0a",
            "other==0.1.0 --hash=sha256:" + "0a" * 32,
            "git+https://git.example.org/tools/gitmodel",
            "git+https://git.example.org/tools/gitmodel@main",
            "git+https://git.example.org/tools/gitmodel@v0.1.0",
            "git+https://git.example.org/tools/gitmodel@1a2b3c4",
            "git+http://git.example.org/tools/gitmodel@" + "1a2b" * 10,
            "git+https://ada:hunter2@git.example.org/tools/gitmodel@" + "1a2b" * 10,
            COMMIT + " --extra-index-url https://evil.example.org",
            COMMIT + '"; curl evil.example.org',
            COMMIT + "\n",
            HASHED + " --no-require-hashes",
            "gitmodel @ https://example.org/gitmodel.whl",
            "${{ secrets.GITMODEL_APPLY_KEY }}",
            ".",
        ],
    )
    def test_the_option_install_accepts_only_a_commit_or_a_version_with_hashes(self, spec, code_repo, capsys, git):
        before = git(code_repo, "for-each-ref")
        code, out, err = ask(capsys, "-C", code_repo, "init", "--ci", "github", "--owner", "@me", "--install", spec)
        assert (code, out) == (2, "")
        assert "error: --install names no commit of a repository and no version with hashes\n" in err
        assert "hunter2" not in err
        assert git(code_repo, "for-each-ref") == before

    def test_init_ci_ignores_an_install_without_hashes_in_an_old_workflow(self, repo, capsys):
        old = codeowners.marked("github", 'env:\n  GITMODEL_INSTALL: "gitmodel==0.1.0"\n')
        edit(repo, {FILES["github"][0]: old})
        code, _, err = ask(capsys, "init", "--ci", "github", "--owner", "@me")
        assert (code, "nothing says which gitmodel the jobs install" in err) == (2, True)


@pytest.mark.parametrize("arguments", [(), ("--owner", "the team", *INSTALL), INSTALL])
def test_a_refused_init_ci_creates_no_registry(arguments, code_repo, capsys, git):
    before = git(code_repo, "for-each-ref")
    assert ask(capsys, "-C", code_repo, "init", "--ci", "github", *arguments)[0] == 2
    assert git(code_repo, "for-each-ref") == before


def test_a_second_init_ci_updates_code_owners_for_new_models_owners_and_stages(repo, capsys):
    ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", *INSTALL)
    assert ask(capsys, "check") == (0, "", "all records are valid\n")
    with Client(repo) as client:
        client.update_model("tulip", owners=["@eve"])
    assert ask(capsys, "check") == (
        0,
        "",
        "all records are valid\n"
        "warning: CODEOWNERS is out of date: it does not match the models, owners and stages\n"
        "hint: run `git model init --ci github`\n",
    )
    code, out, _ = ask(capsys, "init", "--ci", "github", "--format", "json")
    assert (code, json.loads(out)["written"]) == (0, ["CODEOWNERS"])
    assert approves(repo, "models/tulip/stages/staging.toml") == "@eve"
    assert ask(capsys, "check")[2] == "all records are valid\n"
    ask(capsys, "init", "--ci", "github", "--owner", "@bob")
    assert approves(repo, "gitmodel.toml") == "@bob"


def test_check_of_a_damaged_registry_does_not_warn_about_code_owners(repo, capsys):
    ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", *INSTALL)
    edit(repo, {"gitmodel.toml": "format = 1\n"})
    code, _, err = ask(capsys, "check")
    assert (code, "CODEOWNERS" in err) == (5, False)


@pytest.mark.parametrize("path", FILES["github"][:2])
def test_init_ci_does_not_overwrite_a_file_that_was_changed_by_hand(path, repo, capsys):
    ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", *INSTALL)
    edit(repo, {path: read(repo, path).replace("\n", "\n# mine\n", 2)})
    tip = editing.run(repo, "rev-parse", BRANCH)
    code, out, err = ask(capsys, "init", "--ci", "github")
    assert (code, out) == (4, "")
    assert err == (
        f"error: {path} on gitmodel was changed by hand; nothing was written\n"
        f"hint: see it: git show gitmodel:{path}; --force replaces it\n"
    )
    assert editing.run(repo, "rev-parse", BRANCH) == tip
    assert ask(capsys, "check")[2] == "all records are valid\n"
    code, out, _ = ask(capsys, "init", "--ci", "github", "--force")
    assert (code, f"changed {path}\n" in out) == (0, True)
    assert "# mine" not in read(repo, path)


def test_init_ci_does_not_overwrite_a_file_that_gitmodel_did_not_create(repo, capsys):
    edit(repo, {"CODEOWNERS": "* @ada\n"})
    code, _, err = ask(capsys, "init", "--ci", "gitlab", "--owner", "@org/registry", *INSTALL)
    assert (code, "CODEOWNERS on gitmodel was made by somebody else" in err) == (4, True)
    assert ask(capsys, "check")[2] == "all records are valid\n"


def test_init_ci_keeps_lines_that_a_team_added_to_code_owners(repo, capsys):
    ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", *INSTALL)
    edit(repo, {"CODEOWNERS": read(repo, "CODEOWNERS") + "/models/*/stages/production.toml @org/release\n"})
    with Client(repo) as client:
        client.register_model("lily", owners=["@eve"])
    assert "CODEOWNERS is out of date" in ask(capsys, "check")[2]
    assert ask(capsys, "init", "--ci", "github")[0] == 0
    assert approves(repo, "models/lily/stages/staging.toml") == "@eve"
    assert approves(repo, "models/lily/stages/production.toml") == "@org/release"


def test_init_ci_does_not_overwrite_the_deploy_file_even_with_force(repo, capsys):
    deploy = FILES["github"][2]
    edit(repo, {deploy: "name: mine\n"})
    code, out, _ = ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", "--force", *INSTALL)
    assert (code, deploy in out) == (0, False)
    assert read(repo, deploy) == "name: mine\n"


def test_check_reports_a_pull_request_that_changes_workflows_as_a_change_of_rules(repo, capsys):
    ask(capsys, "init", "--ci", "github", "--owner", "@org/registry", *INSTALL)
    code, _, err = ask(capsys, "check", "gitmodel~1..gitmodel")
    assert code == 0
    for path in FILES["github"]:
        assert f"warning: {path} is changed; this file controls permissions" in err


@pytest.mark.parametrize("kind", codeowners.HOSTS)
def test_gitmodel_finds_the_owners_of_a_path_in_the_code_owners_that_it_generated(kind):
    owned = {"iris": ["@org/iris", "ada@example.com"], "iris-2.x": ["@grace"]}
    text = codeowners.code_owners(kind, ["gitmodel.toml", ".github/"], ["@me"], owned, ["production"])
    text = codeowners.marked(kind, text)
    for path, owners in [
        ("models/iris/stages/production.toml", ("@org/iris", "ada@example.com")),
        ("models/iris-2.x/stages/production.toml", ("@grace",)),
        ("models/iris-2yx/stages/production.toml", ("@me",)),
        ("models/iris/aliases/best.toml", ("@org/iris", "ada@example.com")),
        ("models/rose/aliases/best.toml", ("@me",)),
        (".github/workflows/gitmodel.yml", ("@me",)),
        ("models/iris/versions/1.toml", ()),
    ]:
        assert codeowners.owners_of(text, path) == owners


@pytest.mark.parametrize(
    ("lines", "owners"),
    [
        ("* @all", ("@all",)),
        ("* @all\n/models/ @ml # of models", ("@ml",)),
        ("stages/ @none\nstages @ml", ("@ml",)),
        ("/stages/ @root", ()),
        ("*.toml @toml\n*.md @md", ("@toml",)),
        ("models/**/production.toml @deep", ("@deep",)),
        ("models/*.toml @shallow", ()),
        ("* @all\n/models/iris/", ()),
        ("[Section] @heading\n^[Optional][2]\n* @all", ("@all",)),
        ("* <b> @all |", ("@all",)),
        ("*a*a*a*a*a*a* @slow", ()),
    ],
)
def test_the_last_line_that_matches_a_path_names_its_owners(lines, owners):
    assert codeowners.owners_of(lines, "models/iris/stages/production.toml") == owners


def test_code_owners_of_a_thousand_models_fit_the_limit_of_hosts(repo):
    """The file needs more than 64 KiB, the limit of a record. Hosts read up to 3 MB."""
    owned = {f"model-{number:04}": ("@org/a-team-of-some-length",) for number in range(1000)}
    text = codeowners.code_owners("github", ["gitmodel.toml"], ["@me"], owned, ["staging", "production"])
    assert 1 << 16 < len(text) < 3 << 19
    edit(repo, {"CODEOWNERS": codeowners.marked("github", text)})
    with Client(repo) as client:
        assert set_up(client.repository, HostFiles("github", install=INSTALL[1], force=True)).changed == ("CODEOWNERS",)
    assert owners(repo)[-4] == ("/gitmodel.toml", "@me")


@pytest.mark.parametrize("kind", ["github", "gitlab", "forgejo"])
def test_the_printed_advice_on_host_settings_fits_in_80_columns(kind):
    text = (resources.files("gitmodel.hosts") / "templates" / f"{kind}.txt").read_text(encoding="utf-8")
    # lines of a single word, such as a URL, may be longer, because they cannot be wrapped
    long = [line for line in text.replace("@BRANCH@", "gitmodel").splitlines() if len(line) > 80]
    assert [line for line in long if " " in line.strip()] == []


def test_the_package_contains_exactly_the_templates_that_init_ci_writes():
    names = {path.name for path in (resources.files("gitmodel.hosts") / "templates").iterdir()}
    team_files = {template for _, template in workflows._TEAM_FILES.values()}
    parts = [
        f"{kind}-{part}" for kind in FILES for part in ("site", "publish") if (kind, part) != ("forgejo", "publish")
    ]
    of_sites = {f"{part}.{extension}" for part in parts for extension in ("yml", "txt")}
    assert names == team_files | {f"{kind}.{extension}" for kind in FILES for extension in ("yml", "txt")} | of_sites


class TestSite:
    """`init --ci HOST --site`: the job that builds the pages."""

    @pytest.fixture
    def workflow(self, repo, capsys):
        """A function that runs `init --ci KIND` with more words, and returns the workflow and the output."""

        def write(kind, *words):
            code, out, err = ask(capsys, "init", "--ci", kind, "--owner", "@org/registry", *INSTALL, *words)
            assert (code, err) == (0, "")
            return read(repo, FILES[kind][0]), out

        return write

    @pytest.mark.parametrize("kind", FILES)
    def test_the_option_site_adds_the_job_for_pages_and_the_value_none_removes_it(self, workflow, kind):
        plain, out = workflow(kind)
        assert ("git-model site" in plain, "pages" in out) == (False, kind == "gitlab" and "pages" in out)
        text, out = workflow(kind, "--site")
        assert text.count("git-model site") == 1
        assert f'GITMODEL_INSTALL: "gitmodel[ui] @ {COMMIT}"' in text
        assert "Everybody who can read the" in out
        assert "fork" in text
        assert "--public" not in text
        assert "pages: write" not in text
        assert workflow(kind)[0] == text
        assert workflow(kind, "--site", "none")[0] == plain

    @pytest.mark.parametrize(("kind", "warned"), [("github", "Everybody on the internet"), ("gitlab", "Visibility")])
    def test_pages_are_published_only_on_request_and_without_e_mail_addresses(self, workflow, kind, warned):
        text, out = workflow(kind, "--site", "publish")
        assert "--public" in text
        assert ("pages: write" if kind == "github" else "\npages:\n") in text
        assert warned in out
        assert workflow(kind)[0] == text
        assert "--public" not in workflow(kind, "--site", "artifact")[0]

    def test_init_ci_refuses_to_publish_pages_on_forgejo(self, repo, capsys):
        before = editing.run(repo, "rev-parse", BRANCH)
        code, _, err = ask(capsys, "init", "--ci", "forgejo", "--owner", "@me", *INSTALL, "--site=publish")
        assert (code, "Forgejo has no pages" in err) == (2, True)
        assert editing.run(repo, "rev-parse", BRANCH) == before
