"""Other registries: importing their models, and a plug-in that lets MLflow use gitmodel. Both use only the client."""
