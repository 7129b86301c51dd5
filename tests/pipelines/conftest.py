"""Fixtures for the tests of pipelines: a registry, a project with steps, and one shared Dask cluster."""

import gc
import json
import warnings

import pytest

from gitmodel import Client
from gitmodel.domain.schema.registry_rules import registry_record
from gitmodel.registry.health import checking

# pytest runs all tests with Dask in one of its workers, because they share one Dask cluster.
DASK = pytest.param("dask", marks=pytest.mark.xdist_group("dask"), id="dask")
# Turns off monitors of Dask. The processes of the cluster run until the last test, and use 2 % of a core instead of 13
# %.
QUIET = {
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.worker.profile.enabled": False,
}


@pytest.fixture
def client(code_repo, monkeypatch):
    """The registry of a repository that is also the current folder."""
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        yield client
        assert checking.check(client.repository) == []


@pytest.fixture(scope="session")
def cluster():
    """A Dask cluster with two workers, each a process."""
    import dask
    import distributed

    with warnings.catch_warnings(), dask.config.set({"distributed.scheduler.allowed-failures": 1, **QUIET}):
        warnings.simplefilter("ignore", ResourceWarning)  # from a socket that distributed leaves open
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        )
        client = distributed.Client(cluster, set_as_default=False)
        gc.collect()
    with cluster, client:
        yield client


@pytest.fixture(params=["in-order", "threads:2", "processes:2", DASK])
def executor(request):
    """The name of an executor or, for Dask, the cluster: the test runs once for each executor."""
    return request.getfixturevalue("cluster") if request.param == "dask" else request.param


@pytest.fixture(params=["processes:2", DASK])
def far_executor(request):
    """An executor whose workers are separate processes (for Dask, the cluster): the test runs once for each."""
    return request.getfixturevalue("cluster") if request.param == "dask" else request.param


@pytest.fixture(params=["in-order", "threads:2", "processes:1"])
def far_or_near(request):
    """The name of an executor that needs no Dask cluster: the test runs once for each."""
    return request.param


@pytest.fixture
def commits(client, git):
    """A function that returns the subjects of all commits of the registry, newest first."""

    def commits_():
        return git(client.repository.common_dir, "log", "--first-parent", "--format=%s", "gitmodel").splitlines()

    return commits_


@pytest.fixture
def last_run(client):
    """A function that returns the newest recorded run."""

    def last_run_():
        return client.get_run(client.list_runs(limit=1)[0].id)

    return last_run_


@pytest.fixture
def written(client):
    """A function that returns all files of gitmodel in the common git directory, and all git objects, as one text."""

    def written_():
        folder = client.repository.common_dir
        found = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
        objects = client.repository.git.run("cat-file", "--batch-all-objects", "--batch")
        return b"\n".join([*found, objects]).decode("utf-8", "replace")

    return written_


@pytest.fixture
def set_rules(client):
    """A function that writes keys of `[runs]`, and *formats* as keys of `[formats]`, to gitmodel.toml."""

    def set_rules_(formats=None, **rules):
        from dataclasses import replace

        from gitmodel.domain.changes.planned_change import Change
        from gitmodel.domain.schema import codec, paths

        def plan(snapshot):
            registry = replace(snapshot.registry(), runs=registry_record.RunRules(**rules), formats=formats)
            return Change(None, "Set rules", files={paths.REGISTRY: codec.encode(registry)})

        client.writer.transact(plan)

    return set_rules_


@pytest.fixture
def show():
    def show_(value):
        return json.dumps(value, default=str, indent=1)

    return show_


@pytest.fixture(autouse=True)
def quiet_forks():
    """Hide Python's warnings about forks in processes with threads, because steps fork on purpose in these tests."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
        yield
