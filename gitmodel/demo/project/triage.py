"""Train the model `triage`, a naive Bayes classifier that finds the messages to answer first."""

import math
import random
from typing import Annotated

from gitmodel import ExternalArtifact, ModelArtifactConfig, ModelConfig, log_model_metadata, pipeline, step

URGENT = ("brake", "broken", "accident", "charged", "twice", "locked", "flat", "unsafe")
CALM = ("thanks", "question", "invoice", "address", "opening", "hours", "card", "station")
BOTH = ("bicycle", "please", "today", "my", "the", "bike", "help", "member")

# A message: its text, and True if it was urgent.
Message = list[object]


@step
def load_messages(count: int) -> Annotated[list[Message], "messages"]:
    """Return *count* messages. The random numbers are the same in each run."""
    chance = random.Random(5)
    messages: list[Message] = []
    for _ in range(count):
        urgent = chance.random() < 0.4
        words = [_word(chance, urgent) for _ in range(6)]
        messages.append([" ".join(words), urgent])
    return messages


def _word(chance: random.Random, urgent: bool) -> str:
    about = BOTH if chance.random() < 0.62 else URGENT if urgent == (chance.random() < 0.86) else CALM
    return about[int(chance.random() * len(about))]


@step
def fit(
    messages: list[Message], smoothing: float, known: int
) -> Annotated[dict[str, float], ModelArtifactConfig(name="words")]:
    """Return a weight for each word that occurs *known* times or more: the higher, the more urgent the message."""
    counts: dict[str, list[float]] = {}
    for text, urgent in messages[::2]:
        for word in str(text).split():
            counts.setdefault(word, [smoothing, smoothing])[int(bool(urgent))] += 1
    often = {word: both for word, both in counts.items() if sum(both) - 2 * smoothing >= known}
    totals = [sum(both[kind] for both in often.values()) for kind in (0, 1)]
    return {
        word: round(math.log(both[1] / totals[1]) - math.log(both[0] / totals[0]), 4)
        for word, both in sorted(often.items())
    }


@step
def evaluate(
    words: dict[str, float], messages: list[Message], classifier: dict[str, list[float]]
) -> Annotated[str, "answer_first"]:
    """Measure the words on messages that were not used for training, and list the messages to answer first."""
    scores = [
        (sum(words.get(word, 0.0) for word in str(text).split()), text, urgent) for text, urgent in messages[1::2]
    ]
    right = sum((score > 0.3) == urgent for score, _, urgent in scores)
    found = [bool(urgent) for score, _, urgent in scores if score > 0.3]
    log_model_metadata(
        accuracy=round(right / len(scores), 4),
        precision=round(sum(found) / max(len(found), 1), 4),
        words=len(words),
        rows=len(messages),
    )
    weight = classifier["weights"][-1]  # the weight of complaints: members with complaints leave sooner
    first = sorted(scores, key=lambda scored: (-scored[0] * (1 + max(weight, 0.0)), str(scored[1])))[:8]
    return "".join(f"{score:6.2f}  {text}\n" for score, text, _ in first)


@pipeline(model_config=ModelConfig(name="triage", create_new_model_version=True))
def train_triage(count: int = 300, smoothing: float = 1.0, known: int = 1) -> None:
    messages = load_messages(count)
    classifier = ExternalArtifact(model="churn", version="production", name="classifier")
    evaluate(fit(messages, smoothing, known), messages, classifier)


if __name__ == "__main__":
    train_triage()
