"""Other registries: importing their models, and a plug-in that lets MLflow use gitmodel.

Both read and write registries of gitmodel only through its client.
"""
