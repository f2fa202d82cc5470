"""What is written down of a machine stays the same while nothing of the machine changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.machine import environment_record


def test_a_nodes_memory_does_not_shrink_when_a_host_takes_memory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, blocks = tmp_path / "node", tmp_path / "memory"
    for number in range(4):
        (nodes / f"node0/memory{number}").mkdir(parents=True)
    blocks.mkdir()
    (blocks / "block_size_bytes").write_text("20000000\n")
    monkeypatch.setattr(environment_record, "NODES", nodes)
    monkeypatch.setattr(environment_record, "MEMORY_BLOCKS", blocks)
    monkeypatch.setattr(environment_record, "numa_nodes", lambda: (0, 1))
    found = []
    for total in (2_000_000, 1_500_000):
        (nodes / "node0/meminfo").write_text(f"Node 0 MemTotal: {total} kB\n")
        found.append(
            {number: node["memory"] for number, node in environment_record._numa_topology().items()}
        )
    assert found == [{"0": "2 GiB", "1": None}] * 2, "a node of no known size has none"
