"""Reading a registry by URL: the number of requests, errors, cached answers, damaged caches and secrets."""

import inspect
import os
import shutil
import threading
from datetime import datetime, timezone

import pytest
from url_caches import entry, objects, trips

from gitmodel import Client, Invalid, NotFound, Unreachable, UsageError
from gitmodel.branch.by_url import url_server
from gitmodel.branch.by_url.url_cache import UrlCache, cache_folder
from gitmodel.domain.addresses import Address
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, records
from gitmodel.registry.writing.transacting import transact


@pytest.fixture
def service(team, host):
    """A client with an empty cache, whose registry is on an HTTP server."""
    return team.by_url("service", host.registry)


def test_a_service_gets_the_version_in_production_by_url(team, url, tmp_path):
    service = team.by_url("service", url)
    version = service.get_version("iris@production")
    assert (version.number, version.metadata) == (2, {"accuracy": 0.2})
    artifact = version.get_artifact("train")
    assert artifact.download(tmp_path / "train.txt").read_text() == "data 2"
    assert (artifact.path().name, artifact.path().read_text()) == ("source.txt", "data 2")
    assert artifact.open().read() == b"data 2"
    assert (entry(service) / "single.git" / "shallow").read_text().count("\n") == objects(
        service, "single.git", "commit"
    )
    assert objects(service, "branch.git", "commit") == 0


def test_a_service_that_needs_only_the_tag_fetches_one_commit_and_few_files(service):
    version = service.get_version("iris@production")
    assert [artifact.size for artifact in version.artifacts] == [6]
    assert objects(service, "single.git", "commit") == 1
    assert objects(service, "single.git", "tag") == 1
    assert objects(service, "single.git", "blob") == 5  # README.md, gitmodel.toml, model.toml, production.toml, 2.toml


def test_a_service_refuses_bytes_other_than_the_promoted_ones(team, host, tmp_path):
    version = team.by_url("service", host.registry).get_version("iris@production")
    digest = version.get_artifact("train").digest.removeprefix("sha256:")
    held = tmp_path / "store" / "sha256" / digest[:2] / digest[2:]
    held.chmod(0o644)
    held.write_text("data 9")
    with pytest.raises(Invalid):
        version.get_artifact("train").download(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_read_by_url_sends_few_requests_and_two_if_nothing_changed(team, service, host):
    assert trips(host, lambda: service.get_version("iris@production")) == 6
    assert trips(host, lambda: service.get_version("iris@production")) == 2
    assert {name for _, name in host.seen} == {"git-upload-pack"}
    again = team.by_url("service", host.registry)
    assert trips(host, lambda: again.get_version("iris@production")) == 2
    # At most 7 requests. Two of them read the rules in force, which are in an older commit than the newest
    # gitmodel.toml.
    assert trips(host, again.list_models) <= 7
    assert trips(host, again.list_models) == 2
    lazy = team.by_url("service", host.registry, max_age=60)
    assert trips(host, lambda: lazy.get_version("iris@production")) == 0
    assert trips(host, lazy.list_models) == 0


def test_many_versions_are_fetched_by_url_with_few_requests(service, ada, host, monkeypatch):
    monkeypatch.setattr(url_server, "_FEW", 50)
    files = {
        f"models/iris/versions/{f'{n // 100}xx/' if n > 99 else ''}{n}.toml": codec.encode(
            records.VersionRecord(number=n, created=datetime(2026, 11, 23, tzinfo=timezone.utc), metadata={"seed": n}),
        )
        for n in range(4, 350)
    }
    transact(ada.repository, lambda _: Change(None, subject="Add many", files=files))
    ada.push()
    assert trips(host, lambda: service.get_model("iris").list_versions()[0].metadata) <= 15
    assert len(service.get_model("iris").list_versions()) == 349


def test_properties_of_a_handle_send_no_requests(service, host):
    version, model = service.get_version("iris@production"), service.get_model("iris")
    versions = model.versions
    told = lambda: [(v.metadata, v.stage, v.tags, v.artifacts) for v in (version, *versions)] + [model.license]  # noqa: E731
    assert trips(host, told) == 0


def test_the_attribute_frozen_of_a_version_names_the_stage_tag_that_it_was_read_from(service, ada):
    ada.get_version("iris@2").log_metadata(checked="by hand")
    ada.push()
    version = service.get_version("iris@production")
    assert (version.metadata, version.frozen) == ({"accuracy": 0.2}, "model/iris/production")
    assert version.stage == "production"
    same = service.get_version("iris@2")
    assert (same.metadata, same.frozen) == ({"accuracy": 0.2, "checked": "by hand"}, "")


def test_a_handle_shows_the_new_uri_after_the_same_bytes_were_linked_again(team, ada, host, tmp_path):
    for name in ("near", "far"):
        (tmp_path / f"{name}.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    ada.get_version("iris@3").link_external("raw", tmp_path / "near.csv")
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    version = team.by_url("service", host.registry).get_version("iris@production")
    assert version.frozen == "model/iris/production"
    linked = version.link_external("raw", tmp_path / "far.csv")
    assert (linked.uri, version.frozen) == ((tmp_path / "far.csv").as_uri(), "")
    assert version.get_artifact("raw").uri == linked.uri


def test_a_handle_from_a_stage_tag_stays_frozen_until_a_change_through_it_succeeds(team, ada, host):
    ada.get_version("iris@2").log_metadata(checked="by hand")
    ada.push()
    version = team.by_url("service", host.registry).get_version("iris@production")
    properties = [name for name, value in inspect.getmembers(type(version)) if isinstance(value, property)]
    for name in properties:
        getattr(version, name)
    with pytest.raises(UsageError):
        version.set_stage("nowhere")
    assert (version.metadata, version.frozen) == ({"accuracy": 0.2}, "model/iris/production")
    version.update(description="x")
    assert (version.metadata["checked"], version.description, version.frozen) == ("by hand", "x", "")


def test_each_call_of_the_client_asks_the_host_again(service, ada):
    assert service.get_version("iris@production").number == 2
    assert len(service.get_model("iris").versions) == 3
    ada.get_version("iris@3").set_stage("production")
    ada.get_model("iris").create_version()
    ada.push()
    assert service.get_version("iris@production").number == 3
    assert service.get_version("iris").number == 4
    assert len(service.get_model("iris").versions) == 4


def test_a_client_by_url_finds_a_version_by_every_kind_of_reference(team, ada, host):
    iris = ada.get_model("iris")
    iris.create_version("1.2.3+gpu", metadata={"named": True})
    iris.get_version(1).add_alias("champion")
    ada.update_model("iris", new_name="blossom")
    ada.push()
    for reference, number in (
        ("iris@production", 2),
        ("iris@champion", 1),
        ("iris@3", 3),
        ("iris@1.2.3+gpu", 4),
        ("iris", 4),
        ("blossom@latest", 4),
        ("blossom@production", 2),
    ):
        found = team.by_url("service", host.registry).get_version(reference)
        assert (found.model.name, found.number) == ("blossom", number), reference


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("rose@production", "there is no model rose", "git model register rose"),
        ("iris@staging", "no version of iris is in staging", "git model show iris"),
        ("iris@champion", "there is no iris@champion", "git model show iris"),
        ("iris@9", "there is no version 9 of iris", "git model version list iris"),
    ],
)
def test_an_unknown_reference_by_url_is_not_found_and_the_hint_helps(team, host, reference, message, hint):
    with pytest.raises(NotFound, match=message) as error:
        team.by_url("service", host.registry).get_version(reference)
    assert hint in error.value.hint


def test_by_url_a_pending_promotion_is_not_in_force(team, ada, host, git, bare):
    ada.get_version("iris@3").set_stage("staging")
    ada.push()
    git(bare, "update-ref", "-d", "refs/tags/model/iris/staging")
    with pytest.raises(NotFound, match="iris 3 is recorded in staging, but not in force yet"):
        team.by_url("service", host.registry).get_version("iris@staging")


def test_a_deleted_version_by_url_is_not_found_and_the_error_has_the_reason(team, ada, host):
    ada.get_version("iris@3").delete(reason="trained on the test set")
    ada.push()
    with pytest.raises(NotFound, match="version 3 of iris was deleted: trained on the test set"):
        team.by_url("service", host.registry).get_version("iris@3")


def test_an_empty_repository_by_url_has_no_model(team, tmp_path, git):
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    client = team.by_url("service", (tmp_path / "empty.git").as_uri())
    assert client.list_models() == ()
    with pytest.raises(NotFound, match="there is no model iris"):
        client.get_version("iris@production")


def forge_lightweight(git, bare):
    git(bare, "update-ref", "refs/tags/model/iris/production", git(bare, "rev-parse", "gitmodel"))


def forge_other_name(git, bare):
    git(bare, "update-ref", "refs/tags/model/iris/staging", git(bare, "rev-parse", "model/iris/production"))
    git(bare, "update-ref", "refs/tags/model/iris/production", git(bare, "rev-parse", "model/iris/staging"))
    text = (
        git(bare, "cat-file", "tag", "model/iris/staging").replace("model/iris/production", "model/iris/other") + "\n"
    )
    made = git(bare, "hash-object", "-t", "tag", "-w", "--stdin", input=text)
    git(bare, "update-ref", "refs/tags/model/iris/production", made)


def forge_other_commit(git, bare):
    root = git(bare, "rev-list", "--max-parents=0", "gitmodel")
    who = "A <a@example.com> 1 +0000"
    text = f"object {root}\ntype commit\ntag model/iris/production\ntagger {who}\n\niris 1 in production\n"
    made = git(bare, "hash-object", "-t", "tag", "-w", "--stdin", input=text)
    git(bare, "update-ref", "refs/tags/model/iris/production", made)


def forge_blob(git, bare):
    git(bare, "update-ref", "refs/tags/model/iris/production", git(bare, "rev-parse", "gitmodel:gitmodel.toml"))


@pytest.mark.parametrize("forge", [forge_lightweight, forge_other_name, forge_blob])
def test_an_invalid_stage_tag_is_refused(team, host, git, bare, forge):
    forge(git, bare)
    with pytest.raises(Invalid, match="the tag model/iris/production does not count"):
        team.by_url("service", host.registry).get_version("iris@production")


def test_a_stage_tag_at_a_commit_without_the_stage_is_refused(team, host, git, bare):
    forge_other_commit(git, bare)
    with pytest.raises((Invalid, NotFound)):
        team.by_url("service", host.registry).get_version("iris@production")


# Answers from the cache


def test_a_cached_answer_is_used_only_if_it_is_not_older_than_max_age(team, ada, host):
    service = team.by_url("service", host.registry, max_age=60)
    assert service.get_version("iris@production").number == 2
    assert service.list_models()[0].versions[-1].number == 3
    ada.get_version("iris@3").set_stage("production")
    ada.get_model("iris").create_version()
    ada.push()
    assert service.get_version("iris@production").number == 2
    assert service.list_models()[0].versions[-1].number == 3
    asked = [path for path in (entry(service) / "asked").rglob("*") if path.is_file()]
    for path in asked:
        then = path.stat().st_mtime - 61
        os.utime(path, (then, then))
    assert service.get_version("iris@production").number == 3
    assert service.list_models()[0].versions[-1].number == 4


def test_a_cached_answer_is_not_used_after_the_clock_was_set_back(team, ada, host):
    service = team.by_url("service", host.registry, max_age=60)
    service.get_version("iris@production")
    for path in (entry(service) / "asked").rglob("*"):
        os.utime(path, (2**32, 2**32))
    assert trips(host, lambda: service.get_version("iris@production")) == 2


def test_the_option_offline_reads_the_cache_without_requests(team, service, ada, host):
    service.get_version("iris@production").get_artifact("train")
    offline = team.by_url("service", host.registry, offline=True)
    host.seen.clear()
    assert offline.get_version("iris@production").number == 2
    with pytest.raises(Unreachable, match=r"the registry of http://.* is not in the cache") as error:
        offline.list_models()
    assert "without --offline" in error.value.hint
    with pytest.raises(Unreachable, match="iris@staging of http"):
        offline.get_version("iris@staging")
    with pytest.raises(Unreachable, match=r"nothing can be written to http.* offline"):
        offline.register_model("rose")
    assert host.seen == []
    service.list_models()
    host.seen.clear()
    assert [model.name for model in offline.list_models()] == ["iris"]
    assert offline.get_version("iris@3").get_artifact("train").open().read() == b"data 3"
    assert offline.get_version("iris@production").stage == "production"
    with pytest.raises(NotFound, match="no version of iris is in staging"):
        offline.get_version("iris@staging")
    assert host.seen == []


def test_offline_and_max_age_can_be_set_by_environment_variables(team, host, tmp_path):
    team.by_url("service", host.registry).get_version("iris@production")
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache-service"), "GITMODEL_REPO": host.registry}
    for more in ({"GITMODEL_OFFLINE": "1"}, {"GITMODEL_MAX_AGE": "60"}):
        with Client(tmp_path, environ={**environ, **more}) as client:
            assert trips(host, lambda client=client: client.get_version("iris@production")) == 0
    with pytest.raises(UsageError, match="GITMODEL_MAX_AGE is not a number of seconds"):
        Client(tmp_path, environ={**environ, "GITMODEL_MAX_AGE": "soon"})


def test_a_client_opens_the_registry_at_a_url_from_each_place_that_can_name_the_registry(
    team, host, code_repo, git, monkeypatch
):
    monkeypatch.chdir(code_repo)
    git(code_repo, "config", "gitmodel.repo", host.registry)
    for client in (Client(), Client(repo=host.registry), Client(host.registry)):
        with client:
            assert client.repository.url == host.registry
            assert repr(client) == f"Client('{host.registry}')"
            assert client.get_version("iris@production").number == 2
            assert client.read_code().commit == git(code_repo, "rev-parse", "HEAD")


def test_an_unreachable_server_is_reported_with_the_offline_option(service, host):
    service.get_version("iris@production")
    host.cut = ("GET", "git-upload-pack", "before")
    with pytest.raises(Unreachable, match=r"http://127.0.0.1:\d+/remote.git cannot be read") as error:
        service.get_version("iris@production")
    assert "--offline answers from its state at 20" in error.value.hint
    with pytest.raises(Unreachable, match="cannot be fetched"):
        service.list_models()
    host.cut = None
    assert service.get_version("iris@production").number == 2


def test_registries_at_two_urls_never_share_cached_answers(team, bob, host, tmp_path, git):
    git(tmp_path, "clone", "-q", "--bare", "remote.git", "other.git")
    git(tmp_path / "bob", "remote", "set-url", "origin", str(tmp_path / "other.git"))
    bob.get_version("iris@3").set_stage("production")
    bob.push()
    other = f"{host.url}/other.git"
    one, two = team.by_url("service", host.registry), team.by_url("service", other)
    assert [one.get_version("iris@production").number, two.get_version("iris@production").number] == [2, 3]
    for offline in (False, True):
        one = team.by_url("service", host.registry, offline=offline)
        two = team.by_url("service", other, offline=offline)
        assert [one.get_version("iris@production").number, two.get_version("iris@production").number] == [2, 3]
    assert entry(one) != entry(two)
    kept = [Address.parse(url).key for url in ("ssh://a@h/x", "ssh://b@h/x", "ssh://a@h/x/", "a@h:x", "https://h/x")]
    assert len(set(kept)) == 5


def test_a_read_finds_the_branch_if_another_process_sets_it_to_an_earlier_answer_of_the_server(
    team, service, ada, git, monkeypatch
):
    service.get_version("iris@3")
    single = entry(service) / "single.git"
    earlier = git(single, "rev-parse", "gitmodel")
    ada.get_version("iris@3").log_metadata(checked="by hand")
    ada.push()

    def note_before_another_process(cache, question, id, note=UrlCache.note_asked):
        note(cache, question, id)
        git(single, "update-ref", "refs/heads/gitmodel", earlier)

    monkeypatch.setattr(UrlCache, "note_asked", note_before_another_process)
    assert team.by_url("service", service.repository.url).get_version("iris@3").number == 3


def test_only_the_user_can_read_the_cache_of_a_registry_by_url(service, hermetic):
    service.list_models()
    assert entry(service).parent.stat().st_mode & 0o777 == 0o700


def test_the_cache_is_in_the_cache_folder_of_the_user():
    assert str(cache_folder({"XDG_CACHE_HOME": "/var/cache/ada", "HOME": "/home/ada"})) == "/var/cache/ada/gitmodel"
    assert str(cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/home/ada"})).endswith("/gitmodel")
    assert str(cache_folder({"HOME": "/home/ada"})).startswith("/home/ada/")


def test_a_cache_that_cannot_be_written_is_reported(team, host, tmp_path):
    (tmp_path / "cache-service").write_text("a file")
    with pytest.raises(Unreachable, match="cannot be written") as error:
        team.by_url("service", host.registry)
    assert "XDG_CACHE_HOME" in error.value.hint


# Damaged caches


def remove_all(folder):
    shutil.rmtree(folder)


def remove_answers(folder):
    shutil.rmtree(folder / "asked")


def remove_heads(folder):
    for name in ("branch.git", "single.git"):
        (folder / name / "HEAD").unlink()


def spoil_config(folder):
    for name in ("branch.git", "single.git"):
        (folder / name / "config").write_text("[core\n")


def spoil_refs(folder):
    for ref in (*folder.glob("*/refs/heads/gitmodel"), *folder.glob("*/refs/tags/model/*/*")):
        ref.write_text("no id\n")


def remove_refs(folder):
    for name in ("branch.git", "single.git"):
        shutil.rmtree(folder / name / "refs")
        (folder / name / "refs").mkdir()


def cut_packs(folder):
    for pack in folder.glob("*/objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])


def cut_oldest_packs(folder):
    """Truncate all packs but the newest of each repository: the newest commit can be read, but older commits cannot."""
    for packs in folder.glob("*/objects/pack"):
        for pack in sorted(packs.glob("*.pack"), key=lambda pack: pack.stat().st_mtime_ns)[:-1]:
            pack.chmod(0o644)
            pack.write_bytes(pack.read_bytes()[:40])


def remove_objects(folder):
    for name in ("branch.git", "single.git"):
        shutil.rmtree(folder / name / "objects")
        (folder / name / "objects").mkdir()


def leave_locks(folder):
    for name in ("branch.git", "single.git"):
        for lock in ("shallow.lock", "packed-refs.lock", "refs/heads/gitmodel.lock", "config.lock"):
            (folder / name / lock).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / lock).touch()


DAMAGES = [
    remove_all, remove_answers, remove_heads, spoil_config, spoil_refs, remove_refs, cut_packs, cut_oldest_packs,
    remove_objects, leave_locks,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_rebuilt(team, ada, host, damage):
    begun = team.by_url("service", host.registry)
    assert begun.get_version("iris@production").number == 2
    assert len(begun.get_model("iris").versions) == 3
    begun.close()
    ada.get_version("iris@3").set_stage("production")
    ada.get_model("iris").create_version()
    ada.push()
    damage(entry(begun))
    for client in (begun, team.by_url("service", host.registry)):
        assert client.get_version("iris@production").number == 3
        assert [version.number for version in client.get_model("iris").versions] == [1, 2, 3, 4]
        assert client.get_version("iris@production").stage == "production"
    damage(entry(begun))
    writer = team.by_url("service", host.registry)
    assert writer.get_model("iris").create_version().number == 5


@pytest.mark.parametrize("damage", [cut_packs, cut_oldest_packs])
def test_an_idempotency_key_is_found_although_the_cache_is_damaged(team, host, damage):
    for key in ("one", "two"):
        writer = team.by_url("service", host.registry)
        number = writer.get_model("iris").create_version(idempotency_key=key).number
        writer.close()
    damage(entry(writer))
    again = team.by_url("service", host.registry)
    assert again.get_model("iris").create_version(idempotency_key="two").number == number


def test_clients_that_share_one_cache_at_the_same_time_read_right_answers(team, ada, host):
    found, failed = [], []

    def read(number):
        try:
            for _ in range(3):
                client = team.by_url("service", host.registry)
                version = client.get_version("iris@production" if number % 2 else "iris@2")
                found.append((version.number, version.metadata, len(client.get_model("iris").versions)))
                client.close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert found == [(2, {"accuracy": 0.2}, 3)] * 18


# Invalid URLs, secrets and hostile servers


@pytest.mark.parametrize(
    "url",
    [
        "ftp://s3cret@git.example.org/x",
        "ext::sh -c s3cret",
        "https://",
        "https://ada:s3c/ret@git.example.org/x",
        "https://git.example.org/x?token=s3cret",
        "https://git.example.org/x\ns3cret",
        "-oProxyCommand=s3cret://x",
        "nonsense://s3cret",
    ],
)
def test_an_invalid_registry_url_is_refused_and_not_printed(tmp_path, url):
    with pytest.raises(UsageError) as error:
        Client(tmp_path, repo=url)
    assert "s3c" not in error.value.message + error.value.hint
    assert not (tmp_path / "x").exists()


def test_credentials_in_a_url_are_neither_stored_nor_printed(team, ada, host, tmp_path):
    url = host.registry.replace("http://", "http://ada:s3cret@")
    service = team.by_url("service", url)
    service.get_version("iris@production").get_artifact("train").path()
    service.list_models()
    service.get_model("iris").create_version().set_stage("staging")
    said = repr(service) + service.repository.url
    host.cut = ("GET", "git-upload-pack", "before")
    for work in (lambda: service.get_version("iris@3"), service.list_models, lambda: service.register_model("rose")):
        with pytest.raises(Unreachable) as error:
            work()
        said += error.value.message + error.value.hint
    assert "s3cret" not in said
    kept = list((tmp_path / "cache-service").rglob("*"))
    assert [path for path in kept if "s3cret" in str(path)] == []
    assert [path for path in kept if path.is_file() and b"s3cret" in path.read_bytes()] == []
    assert entry(service) == entry(team.by_url("service", host.registry))


def test_a_symbolic_link_from_a_hostile_server_is_refused(team, ada, host, bare, git):
    root = git(bare, "rev-parse", "gitmodel")
    blob = git(bare, "hash-object", "-w", "--stdin", input="../../../../etc/passwd")
    lines = git(bare, "ls-tree", f"{root}:models/iris").splitlines()
    spoiled = "\n".join([*(line for line in lines if "model.toml" not in line), f"120000 blob {blob}\tmodel.toml"])
    iris = git(bare, "mktree", input=f"{spoiled}\n")
    models = git(bare, "mktree", input=f"040000 tree {iris}\tiris\n")
    others = [line for line in git(bare, "ls-tree", root).splitlines() if "models" not in line]
    top = git(bare, "mktree", input="\n".join([*others, f"040000 tree {models}\tmodels", ""]))
    made = git(bare, "-c", "user.name=E", "-c", "user.email=e@x", "commit-tree", "-p", root, "-m", "Add", top)
    git(bare, "update-ref", "refs/heads/gitmodel", made)
    with pytest.raises(Invalid, match="is a symbolic link, not a file"):
        team.by_url("service", host.registry).get_version("iris@3")
    with pytest.raises(Invalid, match="is a symbolic link, not a file"):
        team.by_url("service", host.registry).get_model("iris")
