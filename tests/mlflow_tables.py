"""The tables of MLflow's database that gitmodel reads, for tests and benchmarks that write such a database."""

import sqlite3

TABLES = """
CREATE TABLE registered_models (name, creation_time, last_updated_time, description);
CREATE TABLE registered_model_tags (key, value, name);
CREATE TABLE registered_model_aliases (alias, version, name);
CREATE TABLE model_versions (name, version, creation_time, description, user_id, current_stage, source, run_id, status);
CREATE TABLE model_version_tags (key, value, name, version);
CREATE TABLE experiments (experiment_id, name);
CREATE TABLE runs (run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id);
CREATE TABLE latest_metrics (key, value, timestamp, step, is_nan, run_uuid);
CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan);
CREATE TABLE params (key, value, run_uuid);
CREATE TABLE tags (key, value, run_uuid);
INSERT INTO experiments VALUES (1, 'Flowers');
"""


def insert(rows: sqlite3.Connection, table: str, *values: object) -> None:
    """Add a row to *table*."""
    rows.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
