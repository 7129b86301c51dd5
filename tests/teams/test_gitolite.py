"""gitolite has rules for each person: the developer may register versions, the releaser may put production in force."""

import os
import shutil
import subprocess

import editing
import pytest
from hosting import merge_within
from servers import GITOLITE, SSHD, gitolite_server
from teamwork import BRANCH, refs

from gitmodel import Client, Refused
from gitmodel.domain.schema.refs import StageRef

# all tests of this file share one server
pytestmark = pytest.mark.xdist_group("gitolite")

TAG = "refs/tags/model/iris/production"
# The developer may push branches, and stage tags except those of production. Nobody may rewind the metadata branch.
RULES = """\
repo models
    -                                       = nobody
    RW+CD refs/heads/propose/               = developer
    RWC   refs/heads/gitmodel               = developer releaser
    -     refs/tags/model/[^/]+/production  = developer
    RW+CD refs/tags/model/                  = developer releaser
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A running gitolite: the beginning of its URLs, the ssh command of each user, and the folder of its repository."""
    if GITOLITE is None or SSHD is None:
        assert not os.environ.get("CI"), "CI has no gitolite: apt-get install openssh-server gitolite3"
        pytest.skip("there is no gitolite: apt-get install openssh-server gitolite3")
    folder = tmp_path_factory.mktemp("gitolite") / "server"
    with gitolite_server(folder, ["developer", "releaser"], RULES) as (url, commands):
        yield url, commands, folder / "home" / "repositories" / "models.git"


@pytest.fixture
def people(team, served, tmp_path_factory):
    """The developer and the releaser. Each has a clone and a key, and the developer has pushed three versions."""
    url, commands, bare = served
    kept = tmp_path_factory.getbasetemp() / "gitolite-clones"
    team.url = f"{url}/models"

    def open(name):
        environ = {**team.environ(name), "GIT_SSH_COMMAND": commands[name]}
        client = Client(team.folder / name, store=team.store, environ=environ)
        team.opened.callback(client.close)
        return client

    if not kept.exists():
        for name in commands:
            team.clone(name)
        iris = open("developer").register_model("iris")
        for _ in range(3):
            iris.create_version()
        open("developer").push()
        open("releaser").pull()
        for name in commands:
            shutil.copytree(team.folder / name, kept / name)
        shutil.copytree(bare, kept / "bare", symlinks=True)
    else:
        for name in commands:
            shutil.copytree(kept / name, team.folder / name)
        shutil.rmtree(bare)
        shutil.copytree(kept / "bare", bare, symlinks=True)
    return [open(name) for name in commands]


def test_a_developer_can_push_branches_and_the_tag_of_staging(people, served):
    developer, _ = people
    developer.get_version("iris@2").set_stage("staging")
    developer.push()
    assert refs(served[2]) == refs(developer.repository.common_dir)
    assert "refs/tags/model/iris/staging" in refs(served[2])


def test_a_promotion_to_production_that_the_developer_pushed_is_recorded_but_not_in_force(people, served):
    developer, releaser = people
    before = refs(served[2])
    developer.get_version("iris@2").set_stage("production")
    mine = refs(developer.repository.common_dir)
    with pytest.raises(Refused, match=r"DENIED by refs/tags/model/\[\^/\]\+/production") as refused:
        developer.push()
    assert refused.value.exit_code == 6
    assert "must run `git model apply --push`" in refused.value.hint
    assert TAG in mine
    recorded = {**before, BRANCH: mine[BRANCH]}
    assert refs(served[2]) == refs(developer.repository.common_dir) == recorded
    developer.push()
    releaser.pull()
    assert releaser.apply(push=True).moved == (StageRef("iris", "production"),)


def test_the_releaser_applies_what_the_developer_proposed(people, served):
    developer, releaser = people
    bare = served[2]
    made = developer.propose(("iris@3", "production"), push=True)
    merge_within(bare, made)
    with pytest.raises(Refused, match="DENIED"):
        developer.apply(push=True)
    assert TAG not in refs(bare)
    assert releaser.apply(push=True).moved == (StageRef("iris", "production"),)
    assert refs(bare)[TAG] == refs(releaser.repository.common_dir)[TAG]
    developer.pull()
    assert developer.get_version("iris@production").number == 3


def test_gitolite_refuses_a_push_that_rewinds_the_metadata_branch(people, served):
    developer, _ = people
    repo = developer.repository.git.top
    before = refs(served[2])
    editing.run(repo, "update-ref", BRANCH, f"{BRANCH}~1")
    command = developer.repository.git.environ["GIT_SSH_COMMAND"]
    with pytest.raises(subprocess.CalledProcessError):
        editing.run(repo, "-c", f"core.sshCommand={command}", "push", "-q", "--force", "origin", BRANCH)
    assert refs(served[2]) == before


def test_a_promotion_whose_tag_the_server_refused_is_not_in_force_locally(people, served):
    developer, _ = people
    merge_within(served[2], developer.propose(("iris@3", "production"), push=True))
    with pytest.raises(Refused, match="DENIED"):
        developer.apply(push=True)
    assert TAG not in refs(developer.repository.common_dir)
    developer.get_model("iris").create_version()
    assert developer.push().commits == 1
    assert refs(served[2]) == refs(developer.repository.common_dir)


def test_a_refused_push_of_locally_applied_tags_names_the_command_for_the_releaser(people, served):
    developer, releaser = people
    for number in (3, 2):
        merge_within(served[2], developer.propose((f"iris@{number}", "production"), push=True))
        developer.pull()
        assert developer.apply().moved
        developer.get_model("iris").create_version()
        with pytest.raises(Refused, match="DENIED") as refused:
            developer.push()
        assert "`git model apply --push`" in refused.value.hint
        developer.push()
        assert refs(served[2]) == refs(developer.repository.common_dir)
        releaser.apply(push=True)
        developer.pull()
