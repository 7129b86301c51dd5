"""Steps that the tests run. They are in a module of their own, so that worker processes can import them."""

import enum
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gitmodel import (
    ArtifactConfig,
    ModelConfig,
    Secret,
    UsageError,
    get_step_context,
    log_artifact_metadata,
    log_model_metadata,
    pipeline,
    step,
)
from gitmodel.pipelines import Step

DEMO = ModelConfig(name="demo", create_new_model_version=True)


def pipeline_of(body, name="one", **options):
    """Return a pipeline of the function *body* or, if *body* is a step, a pipeline that calls this step."""
    return pipeline(name=name, **options)((lambda: body()) if isinstance(body, Step) else body)


class OddError(Exception):
    """An error that cannot be unpickled, because its constructor does not accept its own `args`."""

    def __init__(self, code, reason):
        super().__init__(f"{code}: {reason}")
        self.code = code


class SpeechlessError(Exception):
    def __str__(self):
        raise ValueError("no words")


@step
def number(x: int) -> Annotated[int, "number"]:
    return x


@step
def double(x: int) -> int:
    return 2 * x


@step
def total(a: int, b: int, c: int = 0) -> Annotated[int, "total"]:
    return a + b + c


@step
def gather(found: list | tuple | dict) -> Annotated[str, "gathered"]:
    return repr(found)


@step
def read_all(paths: dict[str, list[Path]]) -> Annotated[str, "texts"]:
    return " ".join(path.read_text() for path in paths["all"])


def _attempt(count: str) -> int:
    """Append a character to the file *count*, and return the new size of the file: the number of this attempt."""
    with open(count, "a+") as file:
        file.write("x")
        return file.tell()


@step(retries=2)
def retried(count: str, token: str, times: int = 2) -> Annotated[int, "attempt"]:
    attempt = _attempt(count)
    log_model_metadata(**{f"attempt_{attempt}": attempt})
    if attempt <= times:
        raise ConnectionError(f"no answer to hunter2hunter2 ({attempt})")
    return attempt


@step(retries=2)
def retried_exit(count: str, error: str) -> None:
    with open(count, "a") as file:
        file.write("x")
    raise {"SystemExit": SystemExit(3), "KeyboardInterrupt": KeyboardInterrupt(), "UsageError": UsageError("no")}[error]


@step(retries=1)
def die_and_pass(count: str, times: int) -> int:
    attempt = _attempt(count)
    if attempt <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


@step(timeout=5)
def hang(pids: str) -> None:
    """Never return. This process and its child process, whose ids are written to the file *pids*, ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    with open(pids, "a") as file:
        print(os.getpid(), child.pid, file=file)
    child.wait()


@step(timeout=6, retries=1)
def hang_once(count: str) -> Annotated[int, "attempt"]:
    attempt = _attempt(count)
    if attempt == 1:
        time.sleep(600)
    return attempt


@step(timeout=60)
def die_with_a_timeout(count: str) -> int:
    attempt = _attempt(count)
    if attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


@step(timeout=60)
def wait_with_a_timeout(pids: str, flag: str) -> None:
    Path(pids).write_text(str(os.getpid()))
    Path(flag).touch()
    time.sleep(600)


@step
def talk(name: str, token: str = "") -> Annotated[str, "said"]:
    """Print from Python, from a child process, and directly to the file descriptors. The first line has *token*."""
    print(f"{name} begins with {token}")
    sys.stdout.flush()
    subprocess.run(["sh", "-c", f"echo {name} from a child; echo {name} fails >&2"], check=True)
    os.write(1, b"not \xff UTF-8\n")
    os.write(2, b"  1%\r 50%\r100%\r\n\x1b[31mred\x1b[0m\n")
    print(f"{name} ends", end="")
    return name


@step
def wait_for_own_log(logs: str) -> None:
    """Print a line, and return when the log of the step in the folder *logs* contains the line."""
    print("printed while it runs")
    for _ in range(1000):
        if any("printed while it runs" in path.read_text() for path in Path(logs).glob("*/wait_for_own_log/1.head")):
            return
        time.sleep(0.01)
    raise TimeoutError("the log does not have the line")


@step
def make_secret(said: str, text: str) -> None:
    Secret(text)


@step
def flood(lines: int) -> None:
    for first in range(0, lines, 50):
        os.write(1, b"".join(b"%07d %s\n" % (number, b"." * 1015) for number in range(first, first + 50)))


@step(retries=1)
def talk_and_fail(count: str) -> None:
    attempt = _attempt(count)
    print(f"attempt {attempt}")
    if attempt == 1:
        raise ConnectionError("hunter2hunter2")


@step(timeout=4)
def talk_and_hang() -> None:
    print("before the end")
    time.sleep(600)


@step
def talk_and_wait(flag: str, answer: str) -> None:
    print("one line", flush=True)
    Path(flag).touch()
    while not os.path.exists(answer):
        time.sleep(0.01)


@step
def noop() -> None:
    pass


@step
def tell_context() -> Annotated[dict, "told"]:
    context = get_step_context()
    return {
        "model": context.model,
        "version": context.model_version.reference,
        "config": context.model_config.name,
        "run": context.run,
        "step": context.step,
        "pipeline": context.pipeline,
    }


@step
def read_and_fail(what: str) -> None:
    version = get_step_context().model_version
    repr(version) if what == "repr" else getattr(version, what)
    raise RuntimeError("no")


@step
def odd() -> int:
    raise OddError(7, "odd")


@step
def speechless() -> int:
    raise SpeechlessError


@step
def leave() -> int:
    sys.exit(3)


@step
def unpicklable() -> Annotated[object, "thing"]:
    return lambda: 1


@step
def train_while_the_store_breaks(store: str) -> tuple[Annotated[dict, "weights"], Annotated[Path, "log"]]:
    if os.path.isdir(store):
        os.rename(store, store + ".away")
    Path(store).touch()  # a file in place of the folder of the store, so that nothing can be stored
    Path("train.log").write_text("done")
    return {"w": [1.5, 2.5]}, Path("train.log")


class Terminating:
    """A value that terminates its process when gitmodel asks for its class, which it does before it saves the value."""

    asked = False

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    @property
    def __class__(self) -> type:
        if not Terminating.asked:
            Terminating.asked = True
            os.kill(os.getpid(), signal.SIGTERM)
        return Terminating

    def __reduce__(self) -> tuple[type, tuple[list[int]]]:
        return Terminating, (self.numbers,)


@step
def terminated_while_it_is_stored() -> Annotated[object, "clf"]:
    return Terminating([1])


@step
def in_joblib() -> Annotated[int, ArtifactConfig(name="number", format="joblib")]:
    return 1


@step
def fewer() -> tuple[Annotated[int, "one"], Annotated[int, "two"]]:
    return (1,)  # type: ignore[return-value]


@step
def fork_and_leave() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1]


@step
def fork_and_come_back() -> Annotated[int, "status"]:
    """Fork a child process that wrongly returns from the step instead of exiting."""
    child = os.fork()
    if child == 0:
        return -1
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@step
def die_once(flag: str) -> int:
    if not os.path.exists(flag):
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


@step
def die() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@step
def rest(seconds: float) -> None:
    time.sleep(seconds)


@step
def hand_over(token: str) -> Annotated[int, "length"]:
    return len(token)


@step
def betray(token: str) -> None:
    raise RuntimeError(f"cannot log in with {token}")


@step
def log_secret(token: str) -> None:
    log_model_metadata(note=f"logged in with {token}")


@step
def make_file(text: str) -> tuple[Annotated[Path, "file"], Annotated[Path, "folder"]]:
    folder = Path("made")
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text(text)
    return folder / "a.txt", folder


@step
def read_file(file: Path, folder: Path) -> Annotated[str, "content"]:
    return file.read_text() + (folder / "a.txt").read_text()


@step
def train(score: float) -> Annotated[dict, "classifier"]:
    log_artifact_metadata(rows=150)
    return {"score": score}


@step
def evaluate(classifier: dict) -> None:
    log_model_metadata(accuracy=classifier["score"])
    log_artifact_metadata(artifact="classifier", checked=True)


@step
def promote(stage: str, reason: str = "") -> None:
    get_step_context().model_version.set_stage(stage, reason=reason)


@step
def fail(message: str = "no") -> None:
    raise RuntimeError(message)


SECRET = Secret("correct-horse-battery")


class Mode(enum.Enum):
    FAST = 1


@dataclass(frozen=True)
class Options:
    depth: int | None = None
    weights: tuple[float, ...] = ()


@step
def describe(value) -> Annotated[str, "text"]:
    return f"{type(value).__qualname__}: {value!r}"


@step
def checkpoint(rounds: int, fails: bool = False) -> Annotated[dict, "weights"]:
    context = get_step_context()
    for number in range(rounds):
        context.link_artifact(f"checkpoint-{number}", {"round": number}, kind="model")
    Path("plot.txt").write_text("***")
    context.link_artifact("plot", Path("plot.txt"))
    if fails:
        raise RuntimeError("no")
    return {"rounds": rounds}


@step
def continue_version() -> Annotated[dict, "seen"]:
    version = get_step_context().model_version
    return {
        "description": version.description,
        "tags": version.tags,
        "metadata": version.metadata,
        "artifacts": [artifact.name for artifact in version.artifacts],
        "weights": version.get_artifact("weights").load(),
        "path": version.get_artifact("weights").path().read_text(),
    }


@step
def link(name: str, value: int = 0) -> None:
    get_step_context().link_artifact(name, value)


@step
def update_version(options: dict) -> None:
    get_step_context().model_version.update(**options)
