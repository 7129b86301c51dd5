"""Train a classifier of iris and create a version of the model `iris`: `git model run train.py`."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from gitmodel import ModelConfig, log_model_metadata, pipeline, step


@step(enable_cache=False)  # the data may be new every night
def fit(seed: int, max_iter: int) -> LogisticRegression:
    features, species = load_iris(return_X_y=True)
    train, test, known, wanted = train_test_split(features, species, test_size=0.2, random_state=seed)
    classifier = LogisticRegression(max_iter=max_iter).fit(train, known)
    log_model_metadata(accuracy=classifier.score(test, wanted))
    return classifier


@pipeline(model_config=ModelConfig(name="iris", create_new_model_version=True))
def nightly(seed: int = 5, max_iter: int = 1000):
    fit(seed, max_iter)
