"""The plug-in for MLflow: gitmodel as its model registry, by `MLFLOW_REGISTRY_URI=gitmodel:/path`.

MLflow finds `store.GitmodelStore` and `artifacts.GitmodelArtifacts` by the entry points of gitmodel, for URIs that
begin with `gitmodel:`. Nothing else in gitmodel imports this package.
"""
