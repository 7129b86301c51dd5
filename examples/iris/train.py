"""Train a classifier on the iris data and create a version of the model `iris` from it."""

from pathlib import Path

import numpy
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from skops.io import dump

from gitmodel import Client, Model, NotFound

OUT = Path("out")
OUT.mkdir(exist_ok=True)

# 150 flowers; each row is four lengths in cm and the number of the species
flowers = numpy.column_stack(load_iris(return_X_y=True))
train, test = train_test_split(flowers, test_size=0.2, random_state=5, stratify=flowers[:, 4])
header = "sepal_length,sepal_width,petal_length,petal_width,species"
for name, rows in (("train", train), ("test", test)):
    numpy.savetxt(OUT / f"{name}.csv", rows, fmt="%g", delimiter=",", header=header, comments="")

classifier = LogisticRegression(max_iter=1000)
classifier.fit(train[:, :4], train[:, 4].astype(int))
accuracy = classifier.score(test[:, :4], test[:, 4])
dump(classifier, OUT / "classifier.skops")
print(f"trained on {len(train)} flowers; {accuracy:.1%} of {len(test)} others are classified correctly")

with Client() as client:
    try:
        model = client.get_model("iris")
    except NotFound:
        model = client.register_model(
            Model(name="iris", license="Apache-2.0", description="Classifies irises", tags=["sklearn"])
        )
    version = model.create_version(
        description="Logistic regression",
        data={"train": OUT / "train.csv", "test": OUT / "test.csv"},
        model_objects={"classifier": OUT / "classifier.skops"},
        metadata={"accuracy": accuracy, "rows": len(train)},
    )
    print(f"created {version.reference}")
