"""Names of methods and arguments in other tools, each with the code to write in gitmodel. Errors show this code."""

from __future__ import annotations

from collections.abc import Mapping

CLIENT_ARGUMENTS: Mapping[str, str] = {
    "get_version": 'write get_version("demo@3") or get_version("demo@production")',
    "register_model.name": 'write register_model("demo", license="MIT")',
}
CLIENT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(
        ("create_version", "log_model", "create_model_version"), 'write get_model("demo").create_version(...)'
    ),
    **dict.fromkeys(("create_model", "create_registered_model"), 'write register_model("demo")'),
    **dict.fromkeys(("delete_version", "delete_model_version"), 'write get_version("demo@3").delete()'),
    **dict.fromkeys(("get_artifact", "get_artifact_version"), 'write get_version("demo@3").get_artifact("NAME")'),
    "get_latest_versions": 'write get_version("demo@production")',
    "get_model_version": 'write get_version("demo@3") or get_version("demo@production")',
    "get_model_version_by_alias": 'write get_version("demo@champion")',
    "get_pipeline_run": "write get_run(ID)",
    **dict.fromkeys(("list_versions", "list_model_versions"), 'write get_model("demo").list_versions()'),
    "list_pipeline_runs": "write list_runs()",
    **dict.fromkeys(("load", "load_model"), 'write get_version("demo@3").get_artifact().load()'),
    **dict.fromkeys(("run", "create_run"), 'write `with client.start_run("train") as run:`'),
    "search_model_versions": 'write get_model("demo").list_versions(filter=...)',
    "search_registered_models": "write list_models(filter=...)",
    "set_registered_model_alias": 'write get_version("demo@3").add_alias("champion")',
    "set_stage": 'write promote("demo@3", "production")',
    "transition_model_version_stage": 'write get_version("demo@3").set_stage("production")',
    "update_model_version": 'write get_version("demo@3").update(...), or .set_stage("production")',
}

MODEL_ARGUMENTS: Mapping[str, str] = dict.fromkeys(
    ("version", "model_version_id"),
    'for the version that a pipeline works on, write model_config=ModelConfig(name="demo", version="production")',
)
MODEL_NAMES: Mapping[str, str] = dict.fromkeys(
    (
        *("get_artifact", "get_data_artifact", "get_deployment_artifact", "get_model_artifact", "load_artifact"),
        *("number", "set_stage", "stage"),
    ),
    'ask a version of the model, such as get_version("production")',
) | dict.fromkeys(("get_latest_version", "latest", "latest_version"), 'write get_version("latest")')

VERSION_NAMES: Mapping[str, str] = {
    **dict.fromkeys(
        ("get_data_artifact", "get_deployment_artifact", "get_model_artifact"), 'write get_artifact("NAME")'
    ),
    "load": "write get_artifact().load()",
    "load_artifact": 'write get_artifact("NAME").load()',
    **dict.fromkeys(("log_artifact", "add_artifact"), 'write link_artifact("NAME", VALUE_OR_PATH)'),
    **dict.fromkeys(("log_metric", "log_metrics"), "write log_metadata(accuracy=0.9)"),
    "promote": 'write set_stage("production")',
    **dict.fromkeys(("metrics", "run_metadata"), "write metadata"),
    "pipeline_run_ids": "write runs",
}
