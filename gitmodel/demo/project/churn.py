"""Train the model `churn`, a logistic regression that finds the members who will cancel."""

import math
import random
from typing import Annotated

from gitmodel import ModelArtifactConfig, ModelConfig, log_model_metadata, pipeline, step

# A member: hires a month, months since joining, complaints, and 1 if the member cancelled.
Member = list[float]


@step
def load_members(months: int) -> Annotated[list[Member], "members"]:
    """Return the members of the first *months* months. The random numbers are the same in each run."""
    chance = random.Random(11)
    members = []
    for _ in range(60 * months):
        hires, age, complaints = chance.random() * 12, chance.random() * 36, float(int(chance.random() ** 3 * 5))
        leaves = 1 / (1 + math.exp(0.55 * hires + 0.06 * age - 1.7 * complaints - 2.2))
        members.append([round(hires, 2), round(age, 1), complaints, float(chance.random() < leaves)])
    return members


@step
def split(members: list[Member]) -> tuple[Annotated[list[Member], "train"], Annotated[list[Member], "test"]]:
    """Return the members for training, and every fourth member for the test."""
    return [row for n, row in enumerate(members) if n % 4], members[::4]


@step
def fit(
    train: list[Member], complaints: bool, rounds: int, rate: float
) -> Annotated[dict[str, list[float]], ModelArtifactConfig(name="classifier")]:
    """Return the weights of a logistic regression, fitted by gradient descent."""
    weights = [0.0, 0.0, 0.0, 0.0]
    for number in range(rounds):
        slopes = [0.0, 0.0, 0.0, 0.0]
        loss = 0.0
        for hires, age, bad, left in train:
            given = (1.0, hires / 12, age / 36, bad / 5 if complaints else 0.0)
            guess = 1 / (1 + math.exp(-sum(w * x for w, x in zip(weights, given, strict=True))))
            loss -= math.log(guess if left else 1 - guess)
            slopes = [slope + (guess - left) * x for slope, x in zip(slopes, given, strict=True)]
        if number % 20 == 0:
            print(f"round {number}: loss {loss / len(train):.4f}")
        weights = [w - rate * slope / len(train) for w, slope in zip(weights, slopes, strict=True)]
    return {"weights": [round(weight, 4) for weight in weights]}


@step
def evaluate(classifier: dict[str, list[float]], test: list[Member], complaints: bool) -> Annotated[str, "report"]:
    """Measure the classifier on members that were not used for training."""
    weights = classifier["weights"]
    counts = {"hit": 0, "miss": 0, "false alarm": 0, "stays": 0}
    for hires, age, bad, left in test:
        given = (1.0, hires / 12, age / 36, bad / 5 if complaints else 0.0)
        leaves = sum(w * x for w, x in zip(weights, given, strict=True)) > 0
        counts[("hit" if leaves else "miss") if left else ("false alarm" if leaves else "stays")] += 1
    right, alarms = counts["hit"] + counts["stays"], counts["hit"] + counts["false alarm"]
    log_model_metadata(
        accuracy=round(right / len(test), 4),
        precision=round(counts["hit"] / max(alarms, 1), 4),
        recall=round(counts["hit"] / max(counts["hit"] + counts["miss"], 1), 4),
        rows=len(test) * 4,
    )
    return "".join(f"{name:12}{count:5}\n" for name, count in counts.items())


@pipeline(model_config=ModelConfig(name="churn", create_new_model_version=True))
def train_churn(months: int = 6, complaints: bool = False, rounds: int = 60, rate: float = 2.0) -> None:
    train, test = split(load_members(months))
    evaluate(fit(train, complaints, rounds, rate), test, complaints)


if __name__ == "__main__":
    train_churn()
