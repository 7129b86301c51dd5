"""Train the model `demand`, a linear regression that forecasts the bicycles hired at a station on a day."""

import math
import random
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Annotated

from gitmodel import (
    ModelArtifactConfig,
    ModelConfig,
    get_step_context,
    log_model_metadata,
    pipeline,
    step,
)

# A day: its number in the year, degrees, 1 at weekends, and the bicycles that were hired.
Day = list[float]


@step
def load_days(weeks: int) -> Annotated[list[Day], "days"]:
    """Return the days of the first *weeks* weeks. The random numbers are the same in each run."""
    chance = random.Random(23)
    days = []
    for day in range(7 * weeks):
        degrees = 11 - 9 * math.cos(2 * math.pi * day / 365) + chance.random() * 8 - 4
        weekend = float(day % 7 > 4)
        hired = 40 + 4.1 * degrees - 34 * weekend + 30 * (chance.random() + chance.random() - 1)
        days.append([float(day), round(degrees, 1), weekend, max(0.0, float(round(hired)))])
    return days


@step
def fit(
    days: list[Day], weekends: bool, rounds: int, rate: float
) -> Annotated[list[float], ModelArtifactConfig(name="line")]:
    """Return the line, fitted by gradient descent to all days except the last four weeks."""
    weights = [0.0, 0.0, 0.0]
    train = days[:-28]
    for number in range(rounds):
        slopes = [0.0, 0.0, 0.0]
        for _, degrees, weekend, hired in train:
            given = (1.0, degrees / 10, weekend if weekends else 0.0)
            miss = sum(w * x for w, x in zip(weights, given, strict=True)) - hired
            slopes = [slope + miss * x for slope, x in zip(slopes, given, strict=True)]
        weights = [w - rate * slope / len(train) for w, slope in zip(weights, slopes, strict=True)]
        if not all(abs(weight) < 1e6 for weight in weights):
            raise ValueError(f"the weights grow without limit in round {number}")
    return [round(weight, 3) for weight in weights]


@step
def forecast(line: list[float], days: list[Day], weekends: bool) -> Annotated[list[list[float]], "forecast"]:
    """Forecast the last four weeks, measure the error, and draw the forecast beside the hired bicycles."""
    pairs = []
    for _, degrees, weekend, hired in days[-28:]:
        given = (1.0, degrees / 10, weekend if weekends else 0.0)
        pairs.append([round(sum(w * x for w, x in zip(line, given, strict=True)), 1), hired])
    error = sum(abs(guess - hired) for guess, hired in pairs) / len(pairs)
    hired_daily = sum(hired for _, hired in pairs) / len(pairs)
    log_model_metadata(
        accuracy=round(1 - error / hired_daily, 4),
        error=round(error, 2),
        bias=round(sum(guess - hired for guess, hired in pairs) / len(pairs), 2),
        rows=len(days),
    )
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "forecast.png")
        picture.write_bytes(draw(pairs))
        get_step_context().link_artifact("picture", picture)
    return pairs


def draw(pairs: list[list[float]], width: int = 336, height: int = 160) -> bytes:
    """Return a PNG: a bar for the bicycles that were hired on each day, and a mark for the forecast."""
    most = max(value for pair in pairs for value in pair) or 1.0
    rows = [bytearray([255, 255, 255] * width) for _ in range(height)]
    wide = width // len(pairs)
    for number, (guess, hired) in enumerate(pairs):
        for x in range(number * wide + 2, (number + 1) * wide - 1):
            for y in range(height - int(hired / most * (height - 8)), height):
                rows[y][3 * x : 3 * x + 3] = (150, 190, 230)
            level = min(height - 3, max(0, height - int(guess / most * (height - 8))))
            for y in range(level, level + 3):
                rows[y][3 * x : 3 * x + 3] = (190, 60, 30)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG: https://www.w3.org/TR/png/#5Chunk-layout."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pipeline(model_config=ModelConfig(name="demand", create_new_model_version=True))
def train_demand(weeks: int = 20, weekends: bool = False, rounds: int = 60, rate: float = 0.2) -> None:
    days = load_days(weeks)
    forecast(fit(days, weekends, rounds, rate), days, weekends)


if __name__ == "__main__":
    train_demand()
