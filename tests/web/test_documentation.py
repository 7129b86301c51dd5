"""The documentation as a site: it builds without a warning, needs no network, and its search finds answers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from browser import Visitor

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("documentation")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built by Sphinx, which fails on a warning."""
    folder = tmp_path_factory.mktemp("documentation")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", folder / "doctrees", "-c", "docs"]
    command = [sys.executable, "-m", "sphinx", *options, ".", folder / "site"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert built.returncode == 0, built.stderr
    return folder / "site"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_start_page_opens_as_a_file_without_a_network(visitor: Visitor, site: Path, dark: bool) -> None:
    page = visitor.open((site / "index.html").as_uri(), dark=dark)
    assert page.title() == "gitmodel"
    links = page.locator(".sidebar-tree a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    pages = {str(path.relative_to(site)) for path in site.glob("docs/[!d]*/*.html")}  # all pages except the decisions
    assert pages <= set(links)


# What a reader types into the search, and the heading of the question that answers it.
QUESTIONS = {
    "first model": "How do I create my first model?",
    "windows": "Does gitmodel work on Windows or macOS?",
    "pytorch": "Which frameworks can gitmodel store: PyTorch, scikit-learn, XGBoost, Keras?",
    "from mlflow": "How do I move from MLflow?",
    "keep mlflow": "Can I keep MLflow and use gitmodel as its registry?",
    "gto": "How do I move from GTO?",
    "zenml": "How do I come from ZenML?",
    "copy to another registry": "How do I copy a version to another registry?",
    "back up": "How do I back up a registry?",
    "push rights": "What can a person with push rights do wrong?",
    "vulnerability": "How do I report a vulnerability?",
    "tests quickly": "How do I add a format, or run the tests quickly?",
    "upgrade": "How do I upgrade, or go back?",
    "delete version": "How do I delete a version?",
    "erase personal data": "How do I erase personal data?",
    "best version": "How do I find the best version?",
    "compare versions": "How do I compare two versions?",
    "data made version": "What data and code made a version?",
    "training again": "Can I run the training of a version again?",
    "version in production": "Which version is in production?",
    "who promoted": "Who promoted it, when and why?",
    "undo promotion": "How do I undo a promotion?",
    "promote pull request": "How do I promote by pull request?",
    "merged not in production": "I merged the pull request. Why is the version not in production?",
    "minimum accuracy": "How do I require a minimum accuracy for production?",
    "other stages": "Can I have other stages than staging and production?",
    "require signatures": "How do I require signatures?",
    "big files": "Where do big files go?",
    "data pushed": "Is my data pushed anywhere?",
    "link data without copying": "Can gitmodel link data without copying it?",
    "safe to load": "Is it safe to load a model of somebody else?",
    "free space": "How do I free space in the store?",
    "service": "How does a service load the model in production?",
    "clone": "Do I need a clone?",
    "github actions": "How do I set up GitHub Actions or GitLab CI?",
    "every night": "How do I train every night?",
    "deploy": "How do I deploy a version when it is promoted?",
    "web page": "Is there a web page?",
    "two people push": "What happens if two people push at once?",
    "who can promote": "Who can promote a version?",
    "crash": "What do I do after a crash, or if a tag is lost?",
    "how many models": "How many models and versions are possible?",
}


def test_each_question_is_found_by_one_search(visitor: Visitor, site: Path) -> None:
    """The first five results must contain the page of questions, or a page to which the answer there links."""
    answers = _answers((ROOT / "docs" / "questions.md").read_text(encoding="utf-8"))
    assert sorted(answers) == sorted(QUESTIONS.values())
    page = visitor.open((site / "search.html").as_uri())
    missed = {}
    for words, question in QUESTIONS.items():
        page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
        page.locator(".search-summary", has_text="found").wait_for()
        found = page.locator("#search-results li a").evaluate_all(
            "links => links.slice(0, 5).map(link => link.getAttribute('href').split(/[?#]/)[0])"
        )
        if not {"docs/questions.html", *answers[question]} & set(found):
            missed[words] = found
    assert missed == {}


def _answers(text: str) -> dict[str, list[str]]:
    """Return the questions in *text*, the page of questions, each with the pages to which its answer links."""
    parts = re.split(r"^### (.+)$", text, flags=re.MULTILINE)[1:]
    links = re.compile(r"\]\(([\w./-]+)\.md")
    return {
        question: [f"docs/{link}.html" for link in links.findall(answer)]
        for question, answer in zip(parts[::2], parts[1::2], strict=True)
    }
