"""Scales of drawings: mapping numbers and times to pixels, and round values for labels. All times are in UTC."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, Decimal

from gitmodel.frozen import Frozen


class Scale(Frozen):
    """A linear mapping of the values from *low* to *high* to the pixels from *start* to *end*.

    >>> Scale(0, 10, 100, 200).at(5)
    150.0
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel to which *value* is mapped; the middle pixel if *low* and *high* are equal."""
        # both are halved before the subtraction, because the difference of two huge floats may be infinite
        room = self.high / 2 - self.low / 2
        part = (value / 2 - self.low / 2) / room if room else 0.5
        return self.start + part * (self.end - self.start)


def number_text(value: float) -> str:
    """Return *value* as text for people, with at most six digits; whole numbers below a billion are written in full.

    >>> number_text(0.9666666), number_text(150.0), number_text(2.5e-09), number_text(12345678)
    ('0.966667', '150', '2.5e-09', '12345678')
    """
    is_whole = value == int(value) and abs(value) < 1e9
    return str(int(value)) if is_whole else f"{value:.6g}"


def round_steps(low: float, high: float, most: int, *, whole: bool = False) -> list[tuple[float, str]]:
    """Return at most *most* + 1 equidistant round values from *low* to *high*, each with its label.

    Their distance is 1, 2 or 5 times a power of ten. If *whole* is True, they are whole numbers.

    >>> round_steps(0.81, 0.97, 4)
    [(0.85, '0.85'), (0.9, '0.9'), (0.95, '0.95')]
    >>> round_steps(1, 3, 8, whole=True)
    [(1.0, '1'), (2.0, '2'), (3.0, '3')]
    """
    first, last = Decimal(repr(low)), Decimal(repr(high))
    if first == last:
        return [(low, number_text(low))]
    least = (last - first) / most
    power = Decimal(1).scaleb(least.adjusted())
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= least)
    if whole:
        step = max(step, Decimal(1))
    value = (first / step).to_integral_value(ROUND_CEILING) * step
    found: list[tuple[float, str]] = []
    while value <= last and len(found) <= most:
        found.append((float(value), _decimal_text(value)))
        value += step
    return found


def seconds(moment: datetime) -> float:
    """Return *moment* as seconds since 1970. If *moment* has no time zone, it is in UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH).total_seconds()


def time_steps(start: float, end: float, most: int) -> list[tuple[float, str]]:
    """Return at most *most* + 1 round times between *start* and *end* (seconds since 1970), each with its label.

    >>> [label for _, label in time_steps(0, 86400 * 900, 4)]
    ['1970', '1971', '1972']
    >>> [label for _, label in time_steps(0, 3600 * 3, 4)]
    ['01-01 00:00', '01-01 01:00', '01-01 02:00', '01-01 03:00']
    """
    for length, pattern in _LENGTHS:
        if (end - start) / length <= most:
            step = int(length)
            first = math.ceil(start / step) * step
            return [(float(at), _time_text(at, pattern)) for at in range(first, math.floor(end) + 1, step)][: most + 1]
    for months in (1, 3, 6, 12, 24, 60, 120, 1200, 12000):
        if (end - start) / (months * 30 * _DAY) <= most:
            pattern = "%Y-%m" if months < 12 else "%Y"
            return [(at, _time_text(at, pattern)) for at in _months(start, end, months)][: most + 1]
    return []


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY = 86400
_LENGTHS = [
    *((length, "%H:%M:%S") for length in (1, 5, 15, 30)),
    *((60 * length, "%m-%d %H:%M") for length in (1, 5, 15, 30, 60, 180, 360, 720)),
    *((_DAY * length, "%Y-%m-%d") for length in (1, 2, 7, 14)),
]


def _months(start: float, end: float, step: int) -> Iterator[float]:
    """Yield the first day of each *step*th month since the year 0, from *start* to *end*, in seconds since 1970."""
    first = _EPOCH + timedelta(seconds=start)
    month = -(-(first.year * 12 + first.month - 1) // step) * step
    while month // 12 <= 9999:
        at = seconds(datetime(month // 12, month % 12 + 1, 1, tzinfo=timezone.utc))
        if at > end:
            return
        if at >= start:
            yield at
        month += step


def _time_text(at: float, pattern: str) -> str:
    moment = _EPOCH + timedelta(seconds=at)
    return moment.strftime(pattern.replace("%Y", f"{moment.year:04}"))


def _decimal_text(value: Decimal) -> str:
    """Return a round value as text: in full or, if it would have more than nine digits, with an exponent."""
    plain = value.normalize()
    exponent = plain.adjusted()
    return f"{plain:f}" if -5 <= exponent <= 8 else f"{plain.scaleb(-exponent):f}e{exponent}"
