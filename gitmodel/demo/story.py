"""The story of the demo: the people of a bicycle hire, their three models, and the events in the order of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmodel.frozen import Frozen


class Person(Frozen):
    """A person of the story, who is the author of commits."""

    name: str
    email: str


class Commit(Frozen):
    """Commit *files*, which maps names to texts. If *scripts* is True, also commit the scripts that train models."""

    subject: str
    files: Mapping[str, str]
    scripts: bool = False


class Register(Frozen):
    """Register a *model* with the descriptive fields *card*."""

    model: str
    card: Mapping[str, Any]


class Train(Frozen):
    """Run the pipeline of *model* with the parameters in its file and *parameters*. *fails* is True if a step fails."""

    model: str
    parameters: Mapping[str, Any]
    fails: bool = False


class Describe(Frozen):
    """Give *version* a *description* and *tags*. If *note* is not empty, attach this text as `review`."""

    version: str
    description: str
    tags: tuple[str, ...] = ()
    note: str = ""


class Promote(Frozen):
    """Put *version* into *stage*. If *force* is True, do this although a gate of the stage fails."""

    version: str
    stage: str
    reason: str
    force: bool = False


class RollBack(Frozen):
    """Put the previous version of *stage* back into the stage."""

    model: str
    stage: str
    reason: str


class SetAlias(Frozen):
    """Move *alias* to *version*."""

    version: str
    alias: str
    reason: str


class SetGate(Frozen):
    """Add the gate *name* to *stage*, or replace the gate of this name."""

    stage: str
    name: str
    expression: str
    message: str
    reason: str


class Propose(Frozen):
    """Create a proposal, on a branch of its own, to put *version* into *stage*."""

    version: str
    stage: str
    reason: str


Deed = Commit | Register | Train | Describe | Promote | RollBack | SetAlias | SetGate | Propose


class Event(Frozen):
    """One event: *who* does *deed* at *when*, a date and time in UTC."""

    when: str
    who: Person
    deed: Deed


ADA = Person("Ada Example", "ada@example.com")
BEN = Person("Ben Example", "ben@example.com")
CLEO = Person("Cleo Example", "cleo@example.com")
JOB = Person("Training job", "training@example.com")

CHURN = {
    "title": "Members who will cancel",
    "license": "Apache-2.0",
    "description": "Estimates from hires, age of the membership and complaints who cancels within a month.",
    "audience": "The service team, which writes to the members at risk every Monday.",
    "use_cases": "Choosing up to 50 members a week for a personal letter.",
    "limitations": "It knows nothing of prices, and too little of members who joined less than a month ago.",
    "trade_offs": "A letter too many is cheap: a high recall is worth more than a high precision.",
    "ethics": "It uses no data about persons besides their hires and complaints. Nobody is refused a service by it.",
    "tags": ["members", "weekly"],
    "owners": ["@ada", "@service-team"],
    "metadata": {"contact": "#members", "review_every_days": 90},
}
DEMAND = {
    "title": "Bicycles a station needs",
    "license": "Apache-2.0",
    "description": "Forecasts the bicycles that are hired at the main station on each of the next 28 days.",
    "audience": "The drivers who move bicycles between stations.",
    "use_cases": "Planning the tours of the next four weeks.",
    "limitations": "It does not know of holidays, fairs and strikes.",
    "tags": ["forecast", "weekly"],
    "owners": ["@ben"],
    "metadata": {"contact": "#tours"},
}
TRIAGE = {
    "title": "Messages to answer first",
    "license": "Apache-2.0",
    "description": "Sorts the messages of members: urgent ones first, above all those of members at risk.",
    "audience": "Everybody who answers messages.",
    "limitations": "It reads single words, no sentences, and only English.",
    "tags": ["members", "text"],
    "owners": ["@cleo", "@service-team"],
}
REVIEW = """\
Review of churn 13

- 120 rounds instead of 60: recall 0.72 -> 0.79, precision unchanged
- read 30 of the misses by hand: most joined less than a month ago
- letters of the first Monday: 50, to be compared in two weeks
"""


def events() -> tuple[Event, ...]:
    """Return the events of the story in the order of time."""
    told = [*_founding(), *_churn(), *_demand(), *_triage(), *_rules()]
    return tuple(sorted(told, key=lambda event: event.when))


def _founding() -> list[Event]:
    begun = {
        "churn.toml": "months = 6\ncomplaints = false\nrounds = 60\nrate = 2.0\n",
        "demand.toml": "weeks = 20\nweekends = false\nrounds = 60\n",
        "triage.toml": "count = 300\nsmoothing = 1.0\nknown = 1\n",
    }
    complaints = {"churn.toml": begun["churn.toml"].replace("false", "true")}
    weekends = {"demand.toml": begun["demand.toml"].replace("false", "true")}
    longer = {"churn.toml": complaints["churn.toml"].replace("60", "120").replace("2.0", "3.0")}
    rare = {"triage.toml": begun["triage.toml"].replace("known = 1", "known = 3")}
    return [
        Event("2025-01-13T08:00:00Z", ADA, Commit("Train three models for a bicycle hire", begun, scripts=True)),
        Event("2025-01-13T09:00:00Z", ADA, Register("churn", CHURN)),
        Event("2025-01-14T09:00:00Z", BEN, Register("demand", DEMAND)),
        Event("2025-03-10T08:30:00Z", BEN, Commit("Learn from weekends as well", weekends)),
        Event("2025-03-11T15:20:00Z", ADA, Commit("Learn from complaints as well", complaints)),
        Event("2025-03-19T10:00:00Z", CLEO, Register("triage", TRIAGE)),
        Event("2025-05-30T13:10:00Z", CLEO, Commit("Leave out words that occur less than three times", rare)),
        Event("2025-06-10T09:40:00Z", ADA, Commit("Train the classifier of members longer", longer)),
    ]


def _rules() -> list[Event]:
    enough = "metadata.accuracy >= 0.65 && metadata.rows >= 50"
    promising = SetGate("staging", "promising", enough, "not worth a trial", "agreed on Monday")
    accurate = ("production", "accurate")
    weak = SetGate(*accurate, "metadata.accuracy >= 0.7", "not better than a simple rule", "agreed on Monday")
    firm = SetGate(*accurate, "metadata.accuracy >= 0.85", "see the review of churn 8", "after the rollback of churn 8")
    high = SetGate(*accurate, "metadata.accuracy >= 0.87", "the goal since September", "goal of the last quarter")
    return [
        Event("2025-01-14T10:00:00Z", ADA, promising),
        Event("2025-01-14T10:05:00Z", ADA, weak),
        Event("2025-04-22T11:00:00Z", CLEO, firm),
        Event("2025-09-08T08:15:00Z", ADA, high),
    ]


def _training(model: str, runs: Mapping[str, Mapping[str, Any]]) -> list[Event]:
    """Return an event for each date in *runs*: that night, the training job trains *model* with the parameters."""
    return [Event(f"2025-{day}T02:30:00Z", JOB, Train(model, given)) for day, given in runs.items()]


def _churn() -> list[Event]:
    months = {"01-20": 2, "02-03": 3, "02-17": 4, "03-03": 5, "03-12": 5, "03-17": 6, "03-31": 7}
    later = {"04-28": 9, "05-12": 10, "05-26": 11, "06-09": 12, "06-11": 12, "06-30": 13, "07-28": 15, "08-25": 17}
    first = "first version that is better than guessing"
    sees = "sees complaints: finds three of four members who leave"
    wrong = "recall fell to 55%: the letters went to the wrong members"
    return [
        *_training("churn", {day: {"months": number} for day, number in {**months, **later}.items()}),
        Event("2025-04-14T14:00:00Z", BEN, Train("churn", {"months": 8, "rounds": 30, "rate": 1.0})),
        Event("2025-01-22T09:30:00Z", ADA, Promote("churn@1", "staging", "for review")),
        Event("2025-01-29T10:15:00Z", CLEO, Promote("churn@1", "production", first)),
        Event("2025-03-04T09:10:00Z", ADA, Promote("churn@4", "staging", "three months more of data")),
        Event("2025-03-06T11:45:00Z", CLEO, Promote("churn@4", "production", "accuracy 0.73 -> 0.79")),
        Event("2025-03-18T09:05:00Z", ADA, Promote("churn@6", "staging", "sees complaints")),
        Event("2025-03-25T16:30:00Z", CLEO, Promote("churn@6", "production", sees)),
        Event("2025-04-14T14:20:00Z", BEN, Describe("churn@8", "Half of the rounds", ("experiment",))),
        Event("2025-04-16T10:00:00Z", BEN, Promote("churn@8", "production", "trains in half of the time")),
        Event("2025-04-18T17:50:00Z", CLEO, RollBack("churn", "production", wrong)),
        Event("2025-04-22T11:30:00Z", CLEO, SetAlias("churn@4", "baseline", "the last one without complaints")),
        Event("2025-06-11T10:00:00Z", ADA, Promote("churn@13", "staging", "trained longer")),
        Event("2025-06-12T15:00:00Z", CLEO, Describe("churn@13", "Twice the rounds", ("reviewed",), REVIEW)),
        Event("2025-06-16T09:20:00Z", CLEO, Promote("churn@13", "production", "recall 0.74 -> 0.79; see the review")),
        Event("2025-07-29T09:00:00Z", ADA, Promote("churn@15", "staging", "data of July")),
        Event("2025-08-26T09:00:00Z", ADA, Promote("churn@16", "staging", "data of August")),
        Event("2025-08-27T10:30:00Z", ADA, Propose("churn@16", "production", "newest members; as good as before")),
    ]


def _demand() -> list[Event]:
    weeks = {"01-21": 8, "02-04": 10, "02-18": 12, "03-04": 16, "03-11": 16, "03-25": 20, "04-08": 24, "04-22": 26}
    later = {"05-06": 28, "05-20": 30, "06-03": 32, "06-24": 36, "07-08": 38, "07-22": 40, "08-19": 44, "09-02": 46}
    fair = "the fair begins on Friday, and 12 knows nothing of autumn"
    return [
        *_training("demand", {day: {"weeks": number} for day, number in {**weeks, **later}.items()}),
        Event("2025-04-09T15:00:00Z", BEN, Train("demand", {"weeks": 24, "rate": 1.5}, fails=True)),
        Event("2025-02-19T09:00:00Z", BEN, Promote("demand@3", "staging", "for the drivers to try")),
        Event("2025-02-24T09:00:00Z", BEN, Promote("demand@3", "production", "the drivers prefer it to their list")),
        Event("2025-03-26T09:00:00Z", BEN, Promote("demand@6", "staging", "knows weekends")),
        Event("2025-03-27T13:00:00Z", ADA, Promote("demand@6", "production", "accuracy 0.74 -> 0.90")),
        Event("2025-05-07T09:00:00Z", BEN, Promote("demand@9", "staging", "data of spring")),
        Event("2025-06-25T09:00:00Z", BEN, Promote("demand@12", "staging", "data of June")),
        Event("2025-06-26T13:30:00Z", ADA, Promote("demand@12", "production", "error 9.8 -> 8.8 bicycles a day")),
        Event("2025-08-19T08:00:00Z", BEN, Describe("demand@15", "With the first days of autumn", ("autumn",))),
        Event("2025-08-20T07:40:00Z", BEN, Promote("demand@15", "production", fair, force=True)),
    ]


def _triage() -> list[Event]:
    counts = {"03-20": 100, "04-03": 200, "04-24": 300, "05-15": 400, "06-05": 600, "07-03": 800}
    later = {"08-07": 1000, "09-04": 1200}
    return [
        *_training("triage", {day: {"count": number} for day, number in {**counts, **later}.items()}),
        Event("2025-04-04T09:00:00Z", CLEO, Promote("triage@2", "staging", "for a week beside the old list")),
        Event("2025-04-10T12:00:00Z", CLEO, Promote("triage@2", "production", "urgent messages wait 2 hours less")),
        Event("2025-07-04T09:00:00Z", CLEO, Promote("triage@6", "staging", "800 messages")),
        Event("2025-07-08T12:00:00Z", ADA, Promote("triage@6", "production", "precision 0.79 -> 0.85")),
        Event("2025-08-08T12:10:00Z", ADA, SetAlias("triage@7", "shadow", "runs beside the one in production")),
        Event("2025-09-05T10:00:00Z", CLEO, Propose("triage@8", "production", "half as many messages again")),
    ]
