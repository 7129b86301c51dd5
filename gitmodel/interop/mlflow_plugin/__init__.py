"""The plug-in for MLflow: with `MLFLOW_REGISTRY_URI=gitmodel:/path`, MLflow uses gitmodel as its model registry.

MLflow finds `store.GitmodelStore` and `artifacts.GitmodelArtifacts` by the entry points of gitmodel, for URIs that
begin with `gitmodel:`. Nothing else in gitmodel imports this package.
"""
