"""The command line: transcripts of commands that succeed, and of commands that gitmodel refuses with a message."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from editing import edit, refs_unchanged
from transcripts import ask, end_with, fail, make_registry, said, succeed

from gitmodel import Client

COMMANDS_OF_IRIS = (
    "register iris --license MIT --title Iris",
    "version create iris --name 1.2.3 --data train=train.csv --model-object classifier=model.skops --tag baseline "
    "--metadata accuracy=0.97 --metadata draft=true",
    "promote iris@1 production",
    "version create iris --data train=train.csv",
)


@pytest.fixture
def repo(code_repo, monkeypatch):
    """A code repository with files to store. It is the current folder."""
    for name in ("train.csv", "test.csv", "validation.csv", "model.skops", "deploy.json"):
        (code_repo / name).write_text(f"{name}\n", encoding="utf-8")
    monkeypatch.chdir(code_repo)
    return code_repo


@pytest.fixture
def iris(repo, capsys, tmp_path_factory):
    """The registry of the examples: iris with two versions, the first in production."""
    make_registry(repo, tmp_path_factory.getbasetemp() / "iris", capsys, COMMANDS_OF_IRIS)
    return repo


def test_commands_as_written_in_the_first_draft_of_this_project_still_work(repo, transcript):
    transcript(r"""
        $ git model register iris_logistic_regression --license=Apache-2.0 \
            --description="Logistic regression on iris" --tag sklearn
        registered iris_logistic_regression; next: git model version create iris_logistic_regression
        $ git model register other --licence=MIT            # the draft's spelling works too
        registered other; next: git model version create other
        $ git model list
        MODEL                     LATEST  VERSIONS  TITLE
        iris_logistic_regression  -       0         Logistic regression on iris
        other                     -       0
        $ git model version create iris_logistic_regression
        created iris_logistic_regression@1
        $ git model version create iris_logistic_regression --data train=train.csv --data test=test.csv \
            --model-object classifier=model.skops
        created iris_logistic_regression@2 with train, test, classifier
        $ git model version list iris_logistic_regression
        VERSION  CREATED (UTC)
        2        2026-11-23 10:12
        1        2026-11-23 10:12
        $ git model versions list iris_logistic_regression
        VERSION  CREATED (UTC)
        2        2026-11-23 10:12
        1        2026-11-23 10:12
        $ git model version update iris_logistic_regression --stage=staging      # no version named: the latest
        the latest version is iris_logistic_regression@2
        iris_logistic_regression@2 is in staging now
        $ git model version update iris_logistic_regression 1 --stage=production
        iris_logistic_regression@1 is in production now
        $ git model version list iris_logistic_regression
        VERSION  STAGE       CREATED (UTC)
        2        staging     2026-11-23 10:12
        1        production  2026-11-23 10:12
        $ git model version artifacts iris_logistic_regression 2
        ARTIFACT    KIND   FORMAT  SIZE  DIGEST
        classifier  model  bytes   12 B  sha256:969dccd4506ac1eddcb49bbc27b33dcebea494082dc25eacb54f7dbe6a86866b
        test        data   csv     9 B   sha256:e197718cad497f97ffc8a6509e6338b7e2932e70ef7a2baa05e9e16b3dccdd40
        train       data   csv     10 B  sha256:dab1d479972724a985d6a960133fc5418180c979359e08af1f1417995dd7e08b
        $ git model version model_objects iris_logistic_regression 2
        ARTIFACT    KIND   FORMAT  SIZE  DIGEST
        classifier  model  bytes   12 B  sha256:969dccd4506ac1eddcb49bbc27b33dcebea494082dc25eacb54f7dbe6a86866b
        $ git model version deployments iris_logistic_regression 2
        ! iris_logistic_regression@2 has no deployments
        $ git model version runs iris_logistic_regression 2
        ! iris_logistic_regression@2 has no runs
        $ gitmodel list
        MODEL                     LATEST  VERSIONS  STAGES                   TITLE
        iris_logistic_regression  2       2         staging 2, production 1  Logistic regression on iris
        other                     -       0
    """)


def test_commands_create_promote_resolve_fetch_and_roll_back_a_version(repo, transcript):
    transcript(r"""
        $ git model register iris
        registered iris; next: git model version create iris
        $ git model version create iris --name 1.2.3 --description "First good one" --tag baseline \
            --data train=train.csv --data test=test.csv --model-object classifier=model.skops \
            --deployment api=deploy.json --metadata accuracy=0.97 --metadata rows=150
        created iris@1 (1.2.3) with train, test, classifier, api
        $ git model promote iris@1.2.3 production --reason "beats the baseline"
        iris@1 is in production now
        $ git model resolve iris@production            # prints iris@1, its digests with --format json
        iris@1
        $ git model get iris@production classifier -o fetched.skops
        wrote classifier of iris@1 to fetched.skops (12 B, verified)
        $ git model rollback iris production
        ! error: no other version of iris was ever in production
        ! hint: run `git model history iris production`
        [3]
        $ git model version create iris --model-object classifier=model.skops
        created iris@2 with classifier
        $ git model promote iris 2 production
        iris@2 is in production now; iris@1 is archived
        $ git model promote iris@1 archived
        iris@1 is archived already
        $ git model rollback iris production
        iris@1 is in production now; iris@2 is archived
        $ git model rollback iris production --reason "it was the network"
        iris@2 is in production now; iris@1 is archived
        $ git model history iris production
        FROM (UTC)        UNTIL (UTC)       VERSION  WHO          COMMIT      REASON
        2026-11-23 10:12  now               1 -> 2   Ada Example  <commit>  it was the network
        2026-11-23 10:12  2026-11-23 10:12  2 -> 1   Ada Example  <commit>
        2026-11-23 10:12  2026-11-23 10:12  1 -> 2   Ada Example  <commit>
        2026-11-23 10:12  2026-11-23 10:12  - -> 1   Ada Example  <commit>  beats the baseline
        $ git model show iris
        model     iris
        created   2026-11-23 10:12 UTC
        versions  2, the latest is 2
        stages    production 2
        $ git model show iris@1.2.3
        version      iris@1
        name         1.2.3
        description  First good one
        stage        archived
        tags         baseline
        created      2026-11-23 10:12 UTC
        code         e7b180f004e532258091c678fa247e3618c4087c with changes that were not committed
        metadata     accuracy = 0.97
                     rows = 150
        artifacts    api  deployment, json, 12 B
                       sha256:e512bc7d7fbff193a17e0b33f32b10f87f9262653ca52db24955b20114a0782f
                     classifier  model, bytes, 12 B
                       sha256:969dccd4506ac1eddcb49bbc27b33dcebea494082dc25eacb54f7dbe6a86866b
                     test  data, csv, 9 B
                       sha256:e197718cad497f97ffc8a6509e6338b7e2932e70ef7a2baa05e9e16b3dccdd40
                     train  data, csv, 10 B
                       sha256:dab1d479972724a985d6a960133fc5418180c979359e08af1f1417995dd7e08b
        $ git model demote iris production --reason drifted
        iris production is now empty (was iris@2)
        $ git model show iris@2
        version    iris@2
        created    2026-11-23 10:12 UTC
        code       e7b180f004e532258091c678fa247e3618c4087c with changes that were not committed
        artifacts  classifier  model, bytes, 12 B
                     sha256:969dccd4506ac1eddcb49bbc27b33dcebea494082dc25eacb54f7dbe6a86866b
    """)


def test_versions_aliases_and_metadata_are_updated_and_removed(iris, transcript):
    transcript(r"""
        $ git model version update iris --description "With more trees" --tag trees --stage staging \
            --reason "to be tried"
        the latest version is iris@2
        updated iris@2
        iris@2 is in staging now
        $ git model alias set iris@1 champion
        champion is iris@1 now
        $ git model alias set iris 2 champion
        champion is iris@2 now, and no longer 1
        $ git model alias set iris@2 champion
        champion is iris@2 already
        $ git model alias list iris
        ALIAS     VERSION
        champion  2
        $ git model resolve iris champion
        iris@2
        $ git model alias remove iris champion
        iris has no alias champion now; it was iris@2
        $ git model alias list iris
        ! iris has no aliases
        $ git model metadata set iris@2 accuracy=0.97 draft=true
        set accuracy, draft of iris@2
        $ git model metadata set iris@2 accuracy=0.98 rows=150 note="a=b" tags=[1,2] --remove draft
        set accuracy, rows, note, tags of iris@2
        removed draft of iris@2
        $ git model metadata set iris 2 sorted=true --artifact train
        set sorted of train of iris@2
        $ git model metadata show iris 2
        KEY       VALUE
        accuracy  0.98
        note      a=b
        rows      150
        tags      1,2
        $ git model metadata show iris@2 --artifact train --format tsv
        key	value
        sorted	true
        $ git model version list iris --filter 'metadata.accuracy > 0.97'
        VERSION  STAGE    accuracy  note  rows  CREATED (UTC)     TAGS   DESCRIPTION
        2        staging  0.98      a=b   150   2026-11-23 10:12  trees  With more trees
        $ git model version list iris --filter 'metadata.accuracy > 0.99'
        ! no version matches
        $ git model version list iris --limit 1 --offset 1 -q
        iris@1
        $ git model demote iris staging
        iris staging is now empty (was iris@2)
        $ git model promote iris@2 none
        iris@2 is in no stage already
        $ git model version create iris
        created iris@3
        $ git model link iris@3 --data validation=validation.csv
        linked validation to iris@3
        $ git model unlink iris 3 validation --yes
        unlinked validation from iris@3
        $ git model version delete iris@3 --yes --reason "no data"
        deleted iris@3
        $ git model version list iris -q
        iris@2
        iris@1
        $ git model update iris --title "Iris flowers" --tag sklearn --rename flowers
        iris is flowers now
        $ git model list
        MODEL    LATEST  VERSIONS  STAGES        TITLE
        flowers  2       2         production 1  Iris flowers
        $ git model resolve iris@latest
        flowers@2
        $ git model delete flowers --yes --force --reason "no longer used"
        deleted flowers
        $ git model list
        ! no models yet; `git model register NAME` creates one
        $ git model history
        FROM (UTC)        UNTIL (UTC)       MODEL    STAGE       VERSION  WHO          COMMIT      REASON
        2026-11-23 10:12  now               flowers  production  1 -> -   Ada Example  <commit>  no longer used
        2026-11-23 10:12  now               iris     staging     2 -> -   Ada Example  <commit>
        2026-11-23 10:12  now               iris     champion    2 -> -   Ada Example  <commit>
        2026-11-23 10:12  2026-11-23 10:12  iris     champion    1 -> 2   Ada Example  <commit>
        2026-11-23 10:12  2026-11-23 10:12  iris     champion    - -> 1   Ada Example  <commit>
        2026-11-23 10:12  2026-11-23 10:12  iris     staging     - -> 2   Ada Example  <commit>  to be tried
        2026-11-23 10:12  2026-11-23 10:12  iris     production  - -> 1   Ada Example  <commit>
    """)


def test_a_misspelled_command_or_reference_is_refused_with_a_suggestion(iris, transcript):
    transcript(r"""
        $ git model lst
        ! error: there is no command 'lst'; did you mean list?
        ! hint: write `git model [OPTIONS] COMMAND ...`; `git model -h` lists the commands
        [2]
        $ git model create iris
        ! error: there is no command 'create'; did you mean version create?
        ! hint: write `git model [OPTIONS] COMMAND ...`; `git model -h` lists the commands
        [2]
        $ git model list iris
        ! error: got unexpected extra argument (iris)
        ! hint: write `git model version list MODEL` for the versions of a model, or `git model show MODEL`
        [2]
        $ git model version frobnicate
        ! error: there is no command 'frobnicate'
        ! hint: write `git model version [OPTIONS] COMMAND ...`; `git model version -h` lists the commands
        [2]
        $ git model promote iris production
        ! error: promote needs an explicit version of iris
        ! hint: write iris@3, iris@1.2.3 or iris@latest
        [2]
        $ git model promote iris@2 prodution
        ! error: there is no stage 'prodution'
        ! hint: did you mean production? the stages are staging, production, archived and none
        [2]
        $ git model promote iris@2 latest
        ! error: 'latest' is computed and cannot be set
        ! hint: name a stage, or use `git model alias set`
        [2]
        $ git model promote iris 2 staging now
        ! error: unexpected argument 'now'
        ! hint: write `git model promote MODEL@VERSION STAGE`
        [2]
        $ git model promote iris@9 staging
        ! error: there is no version 9 of iris
        ! hint: run `git model version list iris` to see the versions
        [3]
        $ git model show iris@
        ! error: 'iris@' names no version after '@'
        ! hint: write iris@3, iris@production or iris@latest
        [2]
        $ git model show @production
        ! error: '@production' names no model before '@'
        ! hint: write MODEL@production
        [2]
        $ git model show iris@prodution
        ! error: there is no iris@prodution
        ! hint: did you mean iris@production? there is iris@production, iris@latest (2); see `git model show iris`
        [3]
        $ git model resolve iris@archived
        ! error: 'archived' does not name one version: any number of versions can be archived
        ! hint: name the version by its number, for example MODEL@3
        [2]
        $ git model version update iris
        ! error: there is nothing to change
        ! hint: for example: git model version update iris --stage staging
        [2]
        $ git model list --sort size
        ! error: models cannot be sorted by 'size'
        ! hint: sort by name, created, latest, versions, updated or a key of the metadata ...; -KEY reverses
        [2]
        $ git model list --filter 'name >'
        ! error: expression `name >`, column 7: a value is missing at the end
        ! hint: an example: metadata.accuracy > 0.9 && "baseline" in tags
        [2]
        $ git model check nothing
        ! error: there is no commit 'nothing'
        ! hint: name one as `git log` shows it
        [3]
    """)


def test_an_invalid_or_taken_name_is_refused_with_a_valid_suggestion(iris, transcript):
    transcript(r"""
        $ git model version create iris --name 1.2.3
        ! error: iris 1 has the name 1.2.3
        ! hint: names are never used again; choose another
        [4]
        $ git model version create iris --name production
        ! error: production is a stage, and cannot be the name of a version
        ! hint: for example v-production
        [2]
        $ git model version create iris --name 12
        ! error: '12' cannot be the name of a version, because it is all digits, as version numbers are
        ! hint: use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit; for example v12
        [2]
        $ git model register iris
        ! error: there is a model iris already
        ! hint: run `git model show iris`, or `git model update iris` to change it (in Python: exist_ok=True returns it)
        [4]
        $ git model register Iris
        ! error: there is a model iris, which differs only in upper and lower case
        ! hint: use iris, or another name
        [4]
        $ git model register x.lock
        ! error: 'x.lock' cannot be the name of a model, because it ends in .lock
        ! hint: use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit; for example x
        [2]
        $ git model register a/b
        ! error: 'a/b' cannot be the name of a model, because it holds '/'
        ! hint: use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit; for example a-b
        [2]
        $ git model register -- -rf
        ! error: '-rf' cannot be the name of a model, because it begins with '-'
        ! hint: use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit; for example rf
        [2]
        $ git model register ""
        ! error: '' cannot be the name of a model, because it is empty
        ! hint: use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit
        [2]
    """)


def test_an_artifact_that_cannot_be_stored_or_does_not_exist_is_refused(iris, transcript):
    transcript(r"""
        $ git model version create nothing
        ! error: there is no model nothing
        ! hint: run `git model register nothing` to create it, or `git model list` to see the models
        [3]
        $ git model version create iris --data train
        ! error: 'train' is not NAME=PATH
        ! hint: for example: --data train=train.csv
        [2]
        $ git model version create iris --data train=nothing.csv
        ! error: there is no file or folder nothing.csv
        ! hint: check the path; it is relative to the current folder
        [3]
        $ git model version create iris --data a=train.csv --model-object a=model.skops
        ! error: two artifacts are named 'a'
        ! hint: give each a different name
        [2]
        $ git model version create iris --metadata accuracy
        ! error: 'accuracy' is not KEY=VALUE
        ! hint: for example: --metadata accuracy=0.97
        [2]
        $ git model unlink iris train --yes
        ! error: unlink needs an explicit version of iris
        ! hint: ...iris@latest
        [2]
        $ git model unlink iris@1 train --yes
        ! error: the artifacts of iris 1 cannot change, because it is in production
        ! hint: create a new version with `git model version create iris`
        [6]
        $ git model unlink iris@2 nothing --yes
        ! error: iris@2 has no artifact 'nothing'
        ! hint: its artifacts: train
        [3]
        $ git model link iris@1 --data other=test.csv
        ! error: the artifacts of iris 1 cannot change, because it is in production
        ! hint: create a new version with `git model version create iris`
        [6]
        $ git model link iris@2
        ! error: there is nothing to link
        ! hint: for example: git model link iris@2 --data train=train.csv
        [2]
        $ git model get iris@1 nothing
        ! error: iris@1 has no artifact 'nothing'
        ! hint: its artifacts: classifier, train
        [3]
        $ git model metadata set iris@1 accuracy
        ! error: 'accuracy' is not KEY=VALUE
        ! hint: for example: accuracy=0.97
        [2]
        $ git model metadata set iris accuracy
        ! error: there is nothing to set
        ! hint: for example: git model metadata set iris accuracy=0.97
        [2]
    """)


def test_deleting_a_model_or_version_in_use_and_naming_a_wrong_alias_are_refused(iris, transcript):
    transcript(r"""
        $ git model delete iris
        ! error: this cannot be undone, and there is no terminal to ask for confirmation
        ! hint: add --yes to confirm
        [2]
        $ git model delete iris --yes
        ! error: iris is in use: 1 is in production
        ! hint: demote them first, or add --force (in Python: force=True)
        [6]
        $ git model version delete iris@1 --yes
        ! error: iris 1 is in use: production
        ! hint: run `git model demote iris production` first, or add --force (in Python: force=True)
        [6]
        $ git model version delete iris --yes
        ! error: version delete needs an explicit version of iris
        ! hint: ...iris@latest
        [2]
        $ git model alias set iris champion
        ! error: alias set needs an explicit version of iris
        ! hint: ...iris@latest
        [2]
        $ git model alias set iris@2 production
        ! error: production is a stage
        ! hint: run `git model promote iris@VERSION production`
        [2]
        $ git model alias remove iris champion
        ! error: iris has no alias champion
        ! hint: its aliases: none
        [3]
    """)


def test_a_wrong_stage_model_or_setting_is_refused_with_a_hint(iris, transcript):
    transcript(r"""
        $ git model history iris prodution
        ! error: iris never had a stage or alias prodution
        ! hint: its stages and aliases are staging, production
        [3]
        $ git model history nothing
        ! error: ...no model nothing
        ! hint: ...git model register nothing...
        [3]
        $ git model config nothing
        ! error: there is no setting 'nothing'
        ! hint: the settings are repo, branch, store, remote, executor
        [2]
        $ git model config remote upstream
        ! error: there is no remote 'upstream'
        ! hint: run `git remote add origin URL`
        [3]
        $ git model config nothing 1
        ! error: 'nothing' cannot be set
        ! hint: set one of repo, branch, store, remote, executor
        [2]
        $ git model init --store relative:thing
        ! error: there are no artifact stores of the kind relative:
        ! hint: name a folder, file:///absolute/path, or a place on a server: s3://, gs://, az://, sftp://, oci://
        [2]
    """)


def test_an_executor_that_does_not_exist_cannot_be_set(iris, capsys):
    code, _, err = ask(capsys, "config", "executor", "quickly")
    assert (code, err.splitlines()[0]) == (2, "error: there is no executor 'quickly'")
    succeed(capsys, "config", "executor", "threads:3")
    assert ask(capsys, "config", "executor")[1] == "threads:3\n"


def test_the_error_for_a_wrong_argument_of_get_shows_how_to_name_an_artifact_of_the_latest_version(iris, capsys):
    err = fail(capsys, 3, "get", "iris", "train")
    assert err.endswith("for an artifact of the latest version: git model get iris@latest train\n")


def test_get_without_a_path_writes_to_the_recorded_file_name_and_overwrites_nothing(iris, transcript):
    (iris / "model.skops").unlink()
    transcript("""
        $ git model get iris@1
        wrote classifier of iris@1 to model.skops (12 B, verified)
        $ git model get iris@1
        ! error: model.skops already exists
        ! hint: choose another path with -o; -o model.skops overwrites it
        [2]
        $ git model get iris@1 -o model.skops -q
        model.skops
    """)
    assert (iris / "model.skops").read_text() == "model.skops\n"


def test_pending_promotions_are_reported_and_put_in_force_by_apply(iris, transcript, git):
    git(iris, "update-ref", "-d", "refs/tags/model/iris/production")
    transcript("""
        $ git model list
        MODEL  LATEST  VERSIONS  STAGES                    TITLE
        iris   2       2         production - (1 pending)  Iris
        ! 1 change is recorded but not in force: `git model apply` puts it in force
        $ git model version list iris
        VERSION  NAME   STAGE                 CREATED (UTC)     TAGS
        2                                     2026-11-23 10:12
        1        1.2.3  (production pending)  2026-11-23 10:12  baseline
        ! 1 change is recorded but not in force: `git model apply` puts it in force
        $ git model resolve iris@production
        ! error: iris 1 is recorded in production, but not in force yet
        ! hint: run `git model apply` to put it in force
        [3]
        $ git model apply
        MODEL  STAGE       VERSION  NOW
        iris   production  - -> 1   in force
        $ git model apply
        ! nothing was pending
    """)


def test_apply_refuses_a_pending_promotion_of_a_failed_version_with_exit_code_6(iris, capsys, git):
    ask(capsys, "promote", "iris@2", "staging")
    git(iris, "update-ref", "-d", "refs/tags/model/iris/staging")
    text = git(iris, "show", "gitmodel:models/iris/versions/2.toml").replace("number = 2", "number = 2\nfailed = true")
    edit(iris, {"models/iris/versions/2.toml": text + "\n"})
    out, err = end_with(capsys, 6, "apply")
    assert out.splitlines()[1].startswith("iris   staging  refused: version 2 of iris is from a failed run")
    assert err.startswith("error: 1 pending change was not put in force\n")


def test_a_damaged_record_causes_a_warning_in_lists_and_an_error_in_check(iris, capsys):
    ask(capsys, "register", "other")
    edit(iris, {"models/iris/model.toml": "created = yesterday\n"})
    code, out, err = ask(capsys, "list")
    assert (code, out.splitlines()[1].split()[0]) == (0, "other")
    assert err.startswith("warning: models/iris/model.toml")
    code, out, err = ask(capsys, "list", "--format", "json")
    assert [model["name"] for model in json.loads(out)] == ["other"]
    assert json.loads(err)["warning"]["message"].startswith("models/iris/model.toml")
    out, err = end_with(capsys, 5, "check")
    assert "record.syntax" in out
    assert err.splitlines()[0] == "error: 1 problem on refs/heads/gitmodel"


def test_verify_names_damaged_artifacts_and_has_exit_code_5(iris, capsys, transcript):
    transcript("""
        $ git model verify
        ! 2 artifacts whole, 22 B in all
        $ git model verify iris 1
        ! 2 artifacts whole, 22 B in all
    """)
    digest = "dab1d479972724a985d6a960133fc5418180c979359e08af1f1417995dd7e08b"
    stored = iris / ".git/gitmodel/store/sha256" / digest[:2] / digest[2:]
    stored.chmod(0o644)
    stored.write_text("something else\n")
    out, err = end_with(capsys, 5, "verify")
    assert f"iris@1, iris@2  sha256:{digest}" in out
    assert err.startswith("error: 1 of 2 artifacts cannot be used\n")
    fail(capsys, 5, "get", "iris@1", "train", "-o", "fetched")
    assert not (iris / "fetched").exists()


def test_doctor_repairs_a_lost_stage_tag_and_reports_a_lost_artifact(iris, capsys, git):
    git(iris, "update-ref", "-d", "refs/tags/model/iris/production")
    assert "model/iris/production" in succeed(capsys, "doctor")
    code, out, _ = ask(capsys, "doctor", "--fix")
    assert (code, out.splitlines()[1].split()[0]) == (0, "repaired")
    assert ask(capsys, "doctor")[:2] == (0, "")
    digest = "dab1d479972724a985d6a960133fc5418180c979359e08af1f1417995dd7e08b"
    (iris / ".git/gitmodel/store/sha256" / digest[:2] / digest[2:]).unlink()
    out, _ = end_with(capsys, 5, "doctor")
    assert "train of iris@1" in out


def test_doctor_still_makes_other_checks_if_the_store_folder_was_removed(iris, capsys, tmp_path, git, monkeypatch):
    git(iris, "update-ref", "-d", "refs/tags/model/iris/production")
    monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "gone").as_uri())
    out, _ = end_with(capsys, 5, "doctor")
    assert "model/iris/production is at nothing" in out
    assert "does not exist" in out


def test_a_command_whose_store_folder_was_removed_has_exit_code_7(iris, capsys, tmp_path):
    store = tmp_path / "shared"
    succeed(capsys, "init", "--store", store)
    ask(capsys, "version", "create", "iris", "--data", "train=train.csv")
    store.rename(tmp_path / "elsewhere")
    assert fail(capsys, 7, "get", "iris@3", "train", "-o", "fetched").startswith("error: ")


def test_init_creates_a_registry_only_once_and_prints_its_store(repo, capsys, tmp_path, git):
    store = (tmp_path / "shared").as_uri()
    began = f"began a registry on the branch gitmodel\nartifacts are kept in {store}\nnext: git model register NAME\n"
    assert succeed(capsys, "init", "--store", tmp_path / "shared") == began
    assert (tmp_path / "shared").is_dir()
    assert git(repo, "show", "gitmodel:gitmodel.toml").split("\n")[1] == f'store = "{store}"'
    again = said(capsys, "init")[1]
    assert (again["begun"], again["store"]) == (False, store)
    assert git(repo, "rev-list", "--count", "gitmodel") == "1"
    succeed(capsys, "init", "--store", tmp_path / "another")
    assert git(repo, "log", "-1", "--format=%s", "gitmodel") == f"Keep artifacts in {(tmp_path / 'another').as_uri()}"


def test_init_adopts_the_registry_of_the_remote_and_creates_no_other_one(iris, capsys, git, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(iris), str(clone))
    monkeypatch.chdir(clone)
    err = fail(capsys, 4, "init", "--new")
    assert err.startswith("error: origin has a registry already, so a second one could not be pushed to it\n")
    code, out, _ = ask(capsys, "init")
    assert (code, out.splitlines()[0]) == (0, "adopted the registry of origin")
    assert git(clone, "rev-parse", "gitmodel") == git(iris, "rev-parse", "gitmodel")


def test_init_new_creates_a_registry_without_contacting_an_unreachable_remote(repo, capsys, git, tmp_path):
    git(repo, "remote", "add", "origin", str(tmp_path / "nothing"))
    assert "git model init --new" in fail(capsys, 7, "init")
    succeed(capsys, "init", "--new")


def test_config_shows_the_settings_in_effect_and_changes_them(iris, capsys, git, tmp_path, monkeypatch):
    assert {setting["key"]: setting["source"] for setting in said(capsys, "config")[1]} == {
        "repo": "the repository you stand in",
        "branch": "default",
        "store": "default",
        "remote": "this repository has no remote",
        "executor": "default",
    }
    assert succeed(capsys, "config", "store", tmp_path / "shared") == f"store is {(tmp_path / 'shared').as_uri()} now\n"
    assert git(iris, "config", "gitmodel.store") == (tmp_path / "shared").as_uri()
    assert ask(capsys, "config", "store")[1] == f"{(tmp_path / 'shared').as_uri()}\n"
    monkeypatch.setenv("GITMODEL_BRANCH", "models")
    assert "branch\trefs/heads/models\tGITMODEL_BRANCH" in ask(capsys, "config", "--format", "tsv")[1].splitlines()
    monkeypatch.delenv("GITMODEL_BRANCH")
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", str(other))
    monkeypatch.chdir(other)
    succeed(capsys, "config", "repo", iris)
    assert ask(capsys, "list", "-q")[:2] == (0, "iris\n")
    assert ask(capsys, "config", "--format", "tsv")[1].splitlines()[1].endswith("git config gitmodel.repo")


def test_the_registry_can_be_in_another_repository_than_the_code(iris, capsys, tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    err = fail(capsys, 3, "list")
    # The message names GIT_CEILING_DIRECTORIES because `conftest.py` sets this variable.
    assert err.splitlines()[0].startswith("error: there is no git repository here, and GIT_CEILING_DIRECTORIES")
    assert ask(capsys, "-C", iris, "list", "-q") == (0, "iris\n", "")
    assert ask(capsys, "-C", iris.parent, "-C", iris.name, "list", "-q") == (0, "iris\n", "")
    assert ask(capsys, "--repo", iris, "list", "-q") == (0, "iris\n", "")
    assert os.getcwd() == str(outside)
    monkeypatch.setenv("GITMODEL_REPO", str(iris))
    assert ask(capsys, "list", "-q") == (0, "iris\n", "")


def test_a_command_in_a_folder_that_does_not_exist_has_exit_code_3(repo, capsys):
    for arguments in (["-C", "nowhere", "list"], ["--repo", "nowhere", "list"]):
        assert ask(capsys, *arguments)[0] == 3


def test_get_into_a_folder_that_does_not_exist_is_refused(iris, capsys):
    assert ask(capsys, "get", "iris@1", "train", "-o", "nowhere/train.csv")[0] == 3
    assert ask(capsys, "get", "iris@1", "train", "-o", ".")[0] == 2


def test_a_model_is_renamed_and_updated_in_one_commit(iris, capsys, git):
    before = int(git(iris, "rev-list", "--count", "gitmodel"))
    succeed(capsys, "update", "iris", "--rename", "flowers", "--title", "Flowers")
    assert int(git(iris, "rev-list", "--count", "gitmodel")) == before + 1


def test_a_version_is_updated_and_promoted_in_one_commit(iris, capsys, git):
    before = int(git(iris, "rev-list", "--count", "gitmodel"))
    succeed(capsys, "version", "update", "iris", "--stage", "production", "--description", "x")
    assert int(git(iris, "rev-list", "--count", "gitmodel")) == before + 1
    assert ask(capsys, "resolve", "iris@production")[1] == "iris@2\n"


def test_git_model_git_dash_model_gitmodel_and_python_m_run_the_same_program(iris, monkeypatch):
    bin = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", bin + os.pathsep + os.environ["PATH"])
    said = {
        subprocess.run([*shlex.split(program), "resolve", "iris@1.2.3"], capture_output=True, text=True).stdout
        for program in ("git model", "git-model", "gitmodel", f"{shlex.quote(sys.executable)} -m gitmodel")
    }
    assert said == {"iris@1\n"}
    asked = subprocess.run(["git", "model", "-h"], capture_output=True, text=True)
    assert (asked.returncode, asked.stdout.split(" [")[0]) == (0, "Usage: git model")
    failed = subprocess.run(["git", "model", "resolve", "iris@9"], capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (3, "")


def test_tag_options_of_models_and_versions_have_the_same_meaning(iris, capsys):
    def tags(*words):
        succeed(capsys, *words)
        with Client(iris) as client:
            return client.get_model("iris").tags, client.get_version("iris@1").tags

    assert tags("update", "iris", "--set-tags", "a", "--set-tags", "b") == (["a", "b"], ["baseline"])
    assert tags("update", "iris", "--tag", "c", "--remove-tag", "a") == (["b", "c"], ["baseline"])
    assert tags("version", "update", "iris@1", "--tag", "big") == (["b", "c"], ["baseline", "big"])
    assert tags("version", "update", "iris@1", "--set-tags", "small") == (["b", "c"], ["small"])
    assert tags("version", "update", "iris@1", "--set-tags", "") == (["b", "c"], [])
    assert tags("update", "iris", "--set-tags", "") == ([], [])


@pytest.mark.parametrize(
    "command",
    [
        "register other --tag=",
        "update iris --tag ' '",
        "update iris --set-tags a --set-tags=",
        "version create iris --tag=",
        "version update iris@1 --tag=",
    ],
)
def test_an_empty_tag_is_refused(iris, capsys, command):
    with refs_unchanged(iris):
        assert "empty" in fail(capsys, 2, *shlex.split(command))


def test_version_artifacts_lists_artifacts_of_every_kind(iris, capsys):
    with Client(iris) as client:
        kinds = {link.name: link.kind for link in client.get_version("iris@1").artifacts}
    code, out, _ = ask(capsys, "version", "artifacts", "iris@1", "--format", "tsv")
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert {row[0]: row[head.index("kind")] for row in rows} == kinds
    assert len(set(kinds.values())) > 1
