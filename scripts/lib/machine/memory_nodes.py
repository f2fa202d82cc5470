"""On which memory nodes a process's pages lie, and whether that is where the profile wants them.

Source: /proc/PID/numa_maps (the kernel's Documentation/filesystems/proc.rst; its writer is
show_numa_map in fs/proc/task_mmu.c). A line is one mapping: address, policy, `file=…` or nothing,
then counts, of which `N0=…` are the pages on node 0. They are counted in `kernelpagesize_kB`.
Transparent huge pages are counted as small pages; those of hugetlbfs (`huge`) as huge ones.
"""

from __future__ import annotations

import mmap
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.machine.kernel_files import kernel_text
from scripts.lib.machine.profiles import NODES, numa_nodes, parse_cpus

# A profile's policy that spreads pages; the others name the nodes that should hold all of them.
INTERLEAVE = "interleave"
# Interleaved weights are read at the speed of the node that holds most of them. A tenth more than
# its part costs up to a tenth of the speed.
MOST_OF_PART = 1.1
# Another node's memory takes up to about twice as long to read: this share of the pages costs up to
# a twentieth of the speed. The kernel's own tables and a full node's last pages are far less.
MOST_ELSEWHERE = 0.05
# Less than this, for each node, is not compared: the kernel spreads huge pages of 2 MiB, so one of
# them more or less on a node must not matter. It also fits into the processor's cache.
LEAST_BYTES = 64 << 20
# Repacked weights are copies. If fewer of the file's bytes than this share are read where they lie,
# the pages of the file do not decide the speed.
LEAST_IN_PLACE = 0.1
_NODE = re.compile(r"N(\d+)=(\d+)")
_PAGE_KB = re.compile(r"kernelpagesize_kB=(\d+)")
_DELETED = r"\040(deleted)"
_ANONYMOUS_HUGE = "/anon_hugepage"


@dataclass(frozen=True, slots=True)
class Area:
    """One mapping of a process. `file`: as the kernel writes it; empty for anonymous memory."""

    file: str
    is_stack: bool
    node_bytes: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Pages:
    """Bytes on each memory node."""

    node_bytes: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(self.node_bytes.values())

    def share(self, node: int) -> float:
        """The part that lies on a node, from 0 to 1."""
        return self.node_bytes.get(node, 0) / self.total if self.total else 0.0

    def record(self) -> dict[str, Any]:
        """Size and shares, for the cell."""
        shares = {str(node): round(self.share(node), 4) for node in sorted(self.node_bytes)}
        return {"mib": self.total >> 20, "shares": shares}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an engine's memory lies: its mappings of the weights' files, and all else it has.

    `unread`: why it is not known. The rest is anonymous memory: weights that were repacked or read
    without mmap, the KV cache, buffers.
    """

    files: Pages = Pages()
    other: Pages = Pages()
    unread: str = ""

    def record(self) -> dict[str, Any]:
        """For the cell."""
        if self.unread:
            return {"unread": self.unread}
        return {"weights_files": self.files.record(), "other_memory": self.other.record()}


def parse_numa_maps(text: str) -> Iterator[Area]:
    """The mappings of a numa_maps file."""
    for line in text.splitlines():
        # The kernel escapes spaces and equals signs in a file's name.
        words = line.split()
        file = next((word[5:] for word in words if word.startswith("file=")), "")
        size = _PAGE_KB.search(line)
        page_bytes = int(size[1]) << 10 if size else mmap.PAGESIZE  # absent before Linux 4.0
        counts = (_NODE.fullmatch(word) for word in words[2:])
        node_bytes = {int(count[1]): int(count[2]) * page_bytes for count in counts if count}
        yield Area(file, any(word.startswith("stack") for word in words), node_bytes)


def escaped(file: Path) -> str:
    """A file's name as numa_maps has it.

    The kernel escapes line ends, tabs, spaces and equals signs, but no backslash. So a name cannot
    be read back for certain, and names are compared in this form.
    """
    return re.sub(r"[\n\t= ]", lambda found: f"\\{ord(found[0]):03o}", os.path.realpath(file))


def placement(text: str, weights: Iterable[Path]) -> Placement:
    """Where the pages of a process with this numa_maps lie. `weights`: all files of the weights."""
    names = {escaped(file) for file in weights}
    files, other = Counter[int](), Counter[int]()
    for area in parse_numa_maps(text):
        if area.file.removesuffix(_DELETED) in names:
            files.update(area.node_bytes)
        elif not area.is_stack and (not area.file or area.file.startswith(_ANONYMOUS_HUGE)):
            other.update(area.node_bytes)
    return Placement(Pages(dict(files)), Pages(dict(other)))


def read_placement(pid: int, weights: Iterable[Path]) -> Placement:
    """Where a process's pages lie now."""
    try:
        # A name need not be UTF-8.
        text = os.fsdecode(Path(f"/proc/{pid}/numa_maps").read_bytes())
    except OSError as error:
        return Placement(unread=f"numa_maps: {error.strerror}")
    return placement(text, weights) if text else Placement(unread="numa_maps: it is empty")


def usable_nodes(pid: int) -> frozenset[int]:
    """The nodes with memory that a process may use."""
    allowed = re.search(
        r"^Mems_allowed_list:\s*(\S+)", kernel_text(f"/proc/{pid}/status") or "", re.M
    )
    nodes = _nodes(kernel_text(NODES / "has_memory") or "") or frozenset(numa_nodes())
    return nodes & (_nodes(allowed[1]) if allowed else nodes)


def _nodes(text: str) -> frozenset[int]:
    """The nodes of a list such as `0-1`; none for any other text."""
    try:
        return parse_cpus(text)
    except BenchError:
        return frozenset()


def _is_misplaced(numa: str, usable: frozenset[int], pages: Pages) -> bool:
    kind, _, names = numa.partition("=")
    wanted = usable if names == "all" else _nodes(names) & usable
    if not wanted or len(usable) < 2 or pages.total < LEAST_BYTES * len(usable):
        return False
    if sum(pages.share(node) for node in pages.node_bytes.keys() - wanted) > MOST_ELSEWHERE:
        return True
    most = MOST_OF_PART / len(wanted)
    return kind == INTERLEAVE and any(pages.share(node) > most for node in wanted)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _shares(pages: Pages) -> str:
    """The shares of the nodes, such as `97 % on node 0, 3 % on node 1`."""
    nodes = sorted(pages.node_bytes)
    return ", ".join(f"{_percent(pages.share(node))} on node {node}" for node in nodes)


def misplaced(
    numa: str | None,
    usable: frozenset[int],
    found: Placement,
    weights: Iterable[Path],
    copied_bytes: int = 0,
) -> str:
    """What lies elsewhere than the profile's policy wants, and the remedy; else empty.

    `usable`: the nodes with memory that the process may use; with one there is nothing to prove.
    `copied_bytes`: of the weights that the engine does not read out of their mapped files.
    """
    if numa is None or found.unread:
        return ""
    files = tuple(weights)
    asked = f"memory policy {numa} asked for, found"
    in_place = 1 - copied_bytes / found.files.total if found.files.total else 0.0
    if in_place >= LEAST_IN_PLACE and _is_misplaced(numa, usable, found.files):
        names = " ".join(file.name for file in files)
        return (
            f"{asked} the pages of {names}: {_shares(found.files)}. The page cache kept them from "
            "an earlier reading. End the processes that use the file, then drop it from the cache, "
            "as root: sync; echo 3 > /proc/sys/vm/drop_caches; or without root, for each file: "
            "dd if=FILE iflag=nocache count=0. Then snakemake retry_failed"
        )
    if _is_misplaced(numa, usable, found.other):
        return (
            f"{asked} the engine's memory: {_shares(found.other)}. A full node's pages go to "
            "another one: numactl --hardware shows what is free"
        )
    return ""


def shares_text(record: Mapping[str, Any]) -> str:
    """A cell's placement on one line, such as `files 0: 50 % 1: 50 %, other 0: 100 %`."""
    if "unread" in record:
        return f"not known ({record['unread']})"
    parts = []
    for key, name in (("weights_files", "files"), ("other_memory", "other")):
        shares = [f"{node}: {_percent(share)}" for node, share in record[key]["shares"].items()]
        parts += [" ".join([name, *shares])] if shares else []
    return ", ".join(parts)
