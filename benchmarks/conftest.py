from __future__ import annotations

from typing import Any

from edge_i2i.machine import describe_machine, installed_versions


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    """Keep what matters for a figure, and no host name."""
    machine_info.clear()
    machine_info.update(describe_machine(), versions=installed_versions())


def pytest_benchmark_update_commit_info(config: Any, commit_info: dict[str, Any]) -> None:
    commit_info.clear()


def pytest_benchmark_update_json(config: Any, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Statistics are kept, not every single round."""
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)
