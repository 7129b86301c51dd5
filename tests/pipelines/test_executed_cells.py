"""A run in a notebook stores the executed cells. The tests use the real kernels of Jupyter and IPython.

Cells are stored without credentials, and not at all if a setting or the registry forbids it.
"""

import json
import subprocess
import sys
import time

import nbclient
import nbformat
import pytest

from gitmodel import Client, cli
from gitmodel.client.script_runs import executed_cells
from gitmodel.domain.secrets.notebook_cells import (
    LONGEST_CELLS,
    Cell,
    cells_without_secrets,
    from_notebook,
    hide_in_code,
    to_notebook,
)
from gitmodel.domain.secrets.secret_values import Secret, SecretValues
from gitmodel.errors import Invalid, NotFound

TOKEN = "ghp_" + "a1B2" * 9
# Two of these cells start a run. A run stores the cells up to its own, so no run stores the last cell.
CELLS = (
    "from gitmodel import Client, Secret, pipeline, step, ModelConfig\n%env GREETING=hello",
    f'API_KEY = "very-secret-1"\nheaders = {{"x": "{TOKEN}"}}\nrate = 0.25',
    "@step\ndef fit(rate: float, key: Secret) -> float:\n    return rate * 2\n\n"
    '@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))\n'
    'def train(rate: float):\n    fit(rate, Secret("hunter2-hunter2"))',
    "done = train(rate)",
    "with Client() as client:\n    with client.start_run('tune') as run:\n        run.log_metadata(rate=rate)",
    "print('afterwards')",
)


@pytest.fixture
def places(code_repo, tmp_path, monkeypatch):
    """A registry in the current folder, and empty settings of IPython and Jupyter."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(code_repo)
    return code_repo


def execute(folder, cells):
    """Execute a notebook of *cells* in *folder*, as `jupyter nbconvert --execute` and `jupyter execute` do."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()


def ask(capsys, *words):
    code = cli.run(list(words))
    return code, *capsys.readouterr()


def test_a_run_in_a_notebook_stores_the_cells_that_were_executed(places, capsys):
    execute(places, CELLS)
    with Client(places) as client:
        runs = {run.pipeline: run for run in client.list_runs()}
        cells = client.get_cells(runs["train"].id)
        assert [cell.number for cell in cells] == [1, 2, 3, 4]
        assert (cells[0].source, cells[3].source) == (CELLS[0], CELLS[3])
        assert cells[1].source == 'API_KEY = "(secret)"\nheaders = {"x": "(a GitHub token)"}\nrate = 0.25'
        assert cells[2].source == CELLS[2].replace("hunter2-hunter2", "(secret)")
        assert [cell.number for cell in client.get_cells(runs["tune"].id)] == [1, 2, 3, 4, 5]
        stored = b"".join(path.read_bytes() for path in client.store_root.rglob("*") if path.is_file())
        assert not any(text.encode() in stored for text in (TOKEN, "very-secret-1", "hunter2-hunter2"))

    run = runs["train"].id
    code, out, _ = ask(capsys, "runs", "cells", run)
    assert (code, out) == (0, "\n\n".join(f"# In [{cell.number}]:\n{cell.source}" for cell in cells) + "\n")
    assert json.loads(ask(capsys, "runs", "cells", run, "--format", "json")[1])[3] == {"number": 4, "source": CELLS[3]}
    assert f"`git model runs cells {run}` prints them" in ask(capsys, "runs", "show", run)[1]
    code, _, err = ask(capsys, "reproduce", "demo@1")
    assert (code, f"`git model runs cells {run}` prints the cells" in err) == (3, True)
    # the cells survive `store gc` and an export
    assert ask(capsys, "store", "gc", "--older-than", "0s", "--yes")[0] in (0, 2)
    assert ask(capsys, "verify")[0] == 0
    with Client(places) as client:
        assert client.get_cells(run) == cells


def test_ipython_stores_the_typed_cells_unless_the_setting_is_off(places):
    lines = [
        "from gitmodel import Client",
        "with Client() as client, client.start_run('tune') as run: run.log_metadata(a=1)",
        "",
        "!git config gitmodel.recordCells off",
        "with Client() as client, client.start_run('quiet') as run: run.log_metadata(a=2)",
        "",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--quick", "--no-banner"],
        input="\n".join(lines) + "\n", cwd=places, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "Error" not in done.stdout, done.stdout
    with Client(places) as client:
        runs = {run.pipeline: run for run in client.list_runs()}
        assert [cell.source.strip() for cell in client.get_cells(runs["tune"].id)] == lines[:2]
        with pytest.raises(NotFound, match="has no cells of a notebook"):
            client.get_cells(runs["quiet"].id)


def test_a_failed_run_stores_its_cells_and_no_run_does_if_the_registry_forbids_it(client, monkeypatch, set_rules):
    monkeypatch.setattr(executed_cells, "executed_cells", lambda: [Cell(1, "x")])
    with pytest.raises(ZeroDivisionError), client.start_run("broken") as run:
        run.log_metadata(a=1 / 0)
    assert client.get_cells(run.id) == (Cell(1, "x"),)
    set_rules(record_cells=False)
    with client.start_run("quiet") as run:
        pass
    assert client.get_run(run.id).record.cells is None


def test_a_script_stores_no_cells(client, capsys):
    with client.start_run("plain") as run:
        run.log_metadata(a=1)
    assert client.get_run(run.id).record.cells is None
    code, _, err = ask(capsys, "runs", "cells", run.id)
    assert (code, f"run {run.id} has no cells of a notebook" in err) == (3, True)
    assert "cells" not in ask(capsys, "runs", "show", run.id)[1]


NOTHING = SecretValues([])
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow" + "Ab1/" * 20 + "\n-----END RSA " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("source", "hidden"),
    [
        ('db_password = "hunter2"', 'db_password = "(secret)"'),
        ("db_password: str = 'hunter2'", "db_password: str = '(secret)'"),
        ('os.environ["AWS_SECRET_ACCESS_KEY"] = "abc def"', 'os.environ["AWS_SECRET_ACCESS_KEY"] = "(secret)"'),
        ('os.environ.setdefault("API_KEY", "abcd")', 'os.environ.setdefault("API_KEY", "(secret)")'),
        ("settings = {'api_key': 'abcd'}", "settings = {'api_key': '(secret)'}"),
        ("fit(0.1, gitmodel.Secret('hunter2'))", "fit(0.1, gitmodel.Secret('(secret)'))"),
        ('password = """a\nb"""', 'password = """(secret)"""'),
        ('password = "with \\"quotes\\" in it"', 'password = "(secret)"'),
        ("%env WANDB_API_KEY=0a1b2c3d", "%env WANDB_(a password)"),
        ("!mysql --password=hunter2 -e x", "!mysql --(a password) -e x"),
        ("%%bash\nexport TOKEN_SECRET=hunter2\nls", "%%bash\nexport TOKEN_(a password)\nls"),
        (f'key = """{KEY}"""', 'key = """(a private key)"""'),
        ('url = "https://ada:hunter2@example.com/x"', 'url = "(a password in a URL)example.com/x"'),
    ],
)
def test_a_credential_in_a_cell_is_replaced(source, hidden):
    assert hide_in_code(source, NOTHING) == hidden


@pytest.mark.parametrize(
    "source",
    [
        'connect(password=getpass(), api_key=api_key, token=os.environ["TOKEN"])',
        "secret = vault.read('path')['secret']",
        'tokenizer.pad_token = "<pad>"\nmax_tokens = 512',
        "frame['key'] = 'a'\nkeys = {'key': 'value'}",
        "x = 7 \\\n % 4",
        "%timeit -n 3 f(password=password)",
        "%%time\nfit(password=password)",
        "def login(user, password=None): ...",
    ],
)
def test_a_cell_without_a_credential_is_stored_unchanged(source):
    assert hide_in_code(source, NOTHING) == source


@pytest.mark.parametrize("source", ["a['" * 40_000, "password=" * 20_000, "x: " * 40_000, 'k="' * 40_000, "%" * 90_000])
def test_searching_a_hostile_cell_for_credentials_is_fast(source):
    began = time.process_time()
    hide_in_code(source, NOTHING)
    assert time.process_time() - began < 3


def test_cells_that_are_too_long_or_contain_an_encoded_private_key_are_left_out():
    encoded = "LS0tLS1CRUdJTi" + "BQUklWQVRF" + "a1B2" * 5  # a private key in Base64
    cells = [Cell(1, f"x = '{encoded}'"), Cell(2, f"print({'7' * 12}, 'hunter2')"), Cell(3, "d" * (LONGEST_CELLS + 1))]
    assert [cell.source for cell in cells_without_secrets(cells, SecretValues([Secret("hunter2")]))] == [
        "# gitmodel left this cell out: it holds a private key",
        "print(777777777777, '(secret)')",
        "# gitmodel left this cell out: the cells of the run are too long",
    ]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"cells": 3}', b'{"cells": [{"source": 1}]}', b"[" * 100_000, b"\xff"]
)
def test_reading_stored_cells_that_are_not_a_notebook_is_refused(content):
    with pytest.raises(Invalid, match="the stored cells are not a notebook"):
        from_notebook(content)
    assert nbformat.reads(to_notebook([Cell(1, "x\ud800"), Cell(7, "%time y")]), 4).cells[1].execution_count == 7
