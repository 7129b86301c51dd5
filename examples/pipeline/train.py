"""Train a classifier on iris: a pipeline that creates a version of `demo` and puts it into staging.

$ pip install 'gitmodel[parquet,skops]'
$ python3 train.py                              # steps run in order, in this process
$ GITMODEL_EXECUTOR=dask:2 python3 train.py     # the same on two Dask workers, with gitmodel[dask]
"""

from typing import Annotated

import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from gitmodel import ModelConfig, ModelStages, get_step_context, log_model_metadata, pipeline, step


@step
def load_data() -> tuple[Annotated[pd.DataFrame, "train"], Annotated[pd.DataFrame, "test"]]:
    """Return the iris data as a training and a test set."""
    frame = load_iris(as_frame=True).frame
    train, test = train_test_split(frame, test_size=0.2, random_state=42, stratify=frame["target"])
    return train, test


@step
def train_and_evaluate(train: pd.DataFrame, test: pd.DataFrame) -> Annotated[LogisticRegression, "classifier"]:
    """Train a logistic regression and log its accuracy on the test set."""
    classifier = LogisticRegression(max_iter=500)
    classifier.fit(train.drop(columns="target"), train["target"])
    log_model_metadata(accuracy=classifier.score(test.drop(columns="target"), test["target"]))
    return classifier


@step
def promote_to_staging() -> None:
    """Put the version into staging. This takes effect when the whole run has succeeded."""
    get_step_context().model_version.set_stage(ModelStages.STAGING, force=True)


@pipeline(
    enable_cache=False,
    model_config=ModelConfig(
        name="demo",
        license="Apache",
        description="Show case Model Control Plane.",
        create_new_model_version=True,
        delete_new_version_on_failure=True,
    ),
)
def train_and_promote_model():
    train, test = load_data()
    train_and_evaluate(train, test)
    promote_to_staging(after=["train_and_evaluate"])


train_and_promote_model()
