"""If a gate fails at the end of a run, the run creates its version but does not promote the version."""

import editing
import pytest
from stage_rules import GOOD, TWO_STAGES

from gitmodel import Client
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.pipelines.execution import run_changes
from gitmodel.pipelines.step_context.step_results import StagePlan


@pytest.fixture
def snapshot(code_repo) -> Snapshot:
    with Client(code_repo) as client:
        client.register_model("iris").create_version(metadata={"accuracy": 0.5})
        editing.edit(code_repo, {"gitmodel.toml": f"{TWO_STAGES}\n{GOOD}"})
        yield client.repository.snapshot()


def plan(snapshot, refused, **why):
    promotion = StagePlan(("iris", 1), "production", Justification(**why), leave=False)
    return run_changes.plan_change(snapshot, promotion, {}, refused)


@pytest.mark.parametrize("why", [{}, {"force": True}], ids=["by itself", "forced without a reason"])
def test_a_run_leaves_out_a_promotion_that_a_gate_refuses_and_logs_the_reason(snapshot, why):
    refused = {}
    assert plan(snapshot, refused, **why).files == {}
    assert "iris@1 cannot enter production: good:" in next(iter(refused))


def test_force_with_a_reason_lets_a_run_promote_past_a_failing_gate(snapshot):
    refused = {}
    made = plan(snapshot, refused, force=True, reason="a test")
    assert ("Forced", "good") in made.trailers
    assert made.files
    assert refused == {}
