"""A service: load the version in production and classify a flower."""

from gitmodel import Client

with Client() as client:
    version = client.get_version("iris@production")
    artifact = version.get_artifact("classifier")
    classifier = artifact.load()  # every byte is hashed before any of it is used
    print(f"loaded {version.reference}: {artifact.size} bytes, {artifact.digest[:23]}... verified")

species = ["setosa", "versicolor", "virginica"][classifier.predict([[6.1, 2.8, 4.7, 1.2]])[0]]
print(f"a flower of 6.1, 2.8, 4.7 and 1.2 cm is Iris {species}")
