"""Types of the values that a client returns, for annotations: importing this module imports all of them."""

from gitmodel.branch.repository import Repository
from gitmodel.branch.stage_history import StageEvent
from gitmodel.lineage.comparing import CodeRange, VersionDiff
from gitmodel.lineage.containing import Containing
from gitmodel.lineage.events import Event, FieldOrigin
from gitmodel.lineage.version_runs import VersionRun
from gitmodel.registry.artifacts import Verified
from gitmodel.registry.doctor import Finding
from gitmodel.registry.garbage import Garbage
from gitmodel.registry.inventory import Inventory, Missing, ModelState, StoreState
from gitmodel.registry.purging import Purged
from gitmodel.registry.put_in_force import Applied, InForce
from gitmodel.registry.run_outputs import VersionArtifact
from gitmodel.registry.runs import RunView
from gitmodel.registry.setup import Beginning, Setting
from gitmodel.registry.store_access import NamedStore
from gitmodel.stores.interface import ArtifactStore
from gitmodel.teams.planning import Plan, PlannedChange
from gitmodel.teams.proposals import Proposal
from gitmodel.teams.pulling import Pulled
from gitmodel.teams.pushing import Pushed
from gitmodel.teams.range_checks import RangeCheck

__all__ = [
    "Applied",
    "ArtifactStore",
    "Beginning",
    "CodeRange",
    "Containing",
    "Event",
    "FieldOrigin",
    "Finding",
    "Garbage",
    "InForce",
    "Inventory",
    "Missing",
    "ModelState",
    "NamedStore",
    "Plan",
    "PlannedChange",
    "Proposal",
    "Pulled",
    "Purged",
    "Pushed",
    "RangeCheck",
    "Repository",
    "RunView",
    "Setting",
    "StageEvent",
    "StoreState",
    "Verified",
    "VersionArtifact",
    "VersionDiff",
    "VersionRun",
]
