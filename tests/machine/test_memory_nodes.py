"""Where an engine's pages lie is read out of numa_maps, and compared with the profile's policy."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from scripts.lib.base import file_hashing
from scripts.lib.machine.memory_nodes import (
    Pages,
    Placement,
    escaped,
    misplaced,
    parse_numa_maps,
    placement,
    read_placement,
    shares_text,
    usable_nodes,
)
from scripts.lib.planning.memory import page_cache

DATA = Path("tests/data/numa_maps")
WEIGHTS = (Path("/models/Llama-3-8B.Q8_0.gguf"),)
REPACKED = (Path("/models/Llama-3-8B.Q4_0.gguf"),)
ONE, TWO = frozenset({0}), frozenset({0, 1})
MIB = 1 << 20


def found(name: str, weights: tuple[Path, ...] = WEIGHTS) -> Placement:
    return placement((DATA / f"{name}.txt").read_text(), weights)


@pytest.mark.parametrize(
    ("name", "files", "other"),
    [
        ("one_node", {0: 2084864}, {0: 18204 + 262144}),
        ("interleaved", {0: 1044480, 1: 1040384}, {0: 9102 + 131072, 1: 9102 + 131072}),
        ("bound", {1: 2084864}, {1: 18204 + 262144}),
        ("stale_cache", {0: 2022318, 1: 62546}, {0: 9102 + 131072, 1: 9102 + 131072}),
        ("no_mmap_full_node", {}, {0: 18204 + 1310720, 1: 774144}),
    ],
)
def test_the_pages_of_the_weights_and_all_else_are_counted(
    name: str, files: dict[int, int], other: dict[int, int]
) -> None:
    in_pages = [
        {node: size // 4096 for node, size in pages.node_bytes.items()}
        for pages in (found(name).files, found(name).other)
    ]
    assert in_pages == [files, other], "neither the program's files nor the stack"


def test_a_real_llama_server_is_read() -> None:
    here = found("real_llama_server", (Path("/models/SmolLM2 135M.Q4_0.gguf"),))
    assert here.files.node_bytes == {0: (21838 + 1) * 4096}, "pages that are all dirty, too"
    assert here.other.total > 57 * MIB, "its repacked copy"


def test_huge_pages_count_with_their_size() -> None:
    huge = found("huge_pages", (Path("/mnt/huge/weights.gguf"),))
    assert huge.files.node_bytes == {0: 3 << 30, 1: 1 << 30}
    assert huge.other.node_bytes == {0: (512 * 2 + 1024) * MIB + 18204 * 4096}, (
        "transparent ones are counted as small pages"
    )


def test_names_are_compared_as_the_kernel_escapes_them() -> None:
    names = ("new model\ta=b.gguf", "gone.gguf")
    files = found("escaped_names", tuple(Path("/models") / name for name in names)).files
    assert files.node_bytes == {0: (40960 + 16384) * 4096}
    literal = found("escaped_names", (Path("/models/back\\040slash.gguf"),)).files
    assert literal.node_bytes == {1: 8192 * 4096}, "a backslash is not escaped"
    assert escaped(Path("/a\nb")) == "/a\\012b"
    copy = found("escaped_names", (Path("/models/copy of gone.gguf"),)).files
    assert copy.total == 4096 * mmap.PAGESIZE, "no page size before Linux 4.0"


@pytest.mark.parametrize("text", ["", "\n", "7f00", "7f00 default N0= N1=x N=3 Nx=1 file=", "\0"])
def test_a_damaged_line_has_no_pages(text: str) -> None:
    assert all(not area.node_bytes for area in parse_numa_maps(text))


@pytest.mark.parametrize(
    ("numa", "name"),
    [
        ("interleave=all", "interleaved"),
        ("interleave=0-1", "interleaved"),
        ("membind=1", "bound"),
        ("cpunodebind=1", "bound"),
        ("preferred=1", "bound"),
        ("membind=0,1", "stale_cache"),
        (None, "stale_cache"),
        ("interleave=nodes", "stale_cache"),
    ],
)
def test_pages_where_the_policy_wants_them_are_fine(numa: str | None, name: str) -> None:
    assert misplaced(numa, TWO, found(name), WEIGHTS) == ""


@pytest.mark.parametrize("numa", ["interleave=all", "membind=0", "cpunodebind=0", "preferred=0"])
def test_on_one_node_there_is_nothing_to_prove(numa: str) -> None:
    assert misplaced(numa, ONE, found("one_node"), WEIGHTS) == ""
    assert misplaced(numa, ONE, found("stale_cache"), WEIGHTS) == ""


@pytest.mark.parametrize(
    ("numa", "name", "shares"),
    [
        ("interleave=all", "stale_cache", "97 % on node 0, 3 % on node 1"),
        ("interleave=all", "bound", "100 % on node 1"),
        ("membind=0", "interleaved", "50 % on node 0, 50 % on node 1"),
        ("cpunodebind=1", "stale_cache", "97 % on node 0, 3 % on node 1"),
        ("preferred=0", "bound", "100 % on node 1"),
        ("interleave=0", "interleaved", "50 % on node 0, 50 % on node 1"),
    ],
)
def test_a_stale_page_cache_is_named_with_the_way_to_drop_it(
    numa: str, name: str, shares: str
) -> None:
    words = misplaced(numa, TWO, found(name), WEIGHTS)
    assert words.startswith(
        f"memory policy {numa} asked for, found the pages of Llama-3-8B.Q8_0.gguf: {shares}. "
        "The page cache kept them"
    )
    assert "echo 3 > /proc/sys/vm/drop_caches" in words and "dd if=FILE iflag=nocache" in words


def test_a_full_node_is_named_for_memory_without_a_file() -> None:
    words = misplaced("preferred=0", TWO, found("no_mmap_full_node"), WEIGHTS)
    assert words == (
        "memory policy preferred=0 asked for, found the engine's memory: 63 % on node 0, "
        "37 % on node 1. A full node's pages go to another one: numactl --hardware shows what is "
        "free"
    )


def test_the_file_does_not_matter_where_its_repacked_copy_is_read() -> None:
    repacked = found("repacked", REPACKED)
    size = repacked.files.total
    assert repacked.files.share(0) == 1.0
    assert misplaced("interleave=all", TWO, repacked, REPACKED, int(size * 0.95)) == ""
    assert "drop_caches" in misplaced("interleave=all", TWO, repacked, REPACKED, int(size * 0.8))
    assert "drop_caches" in misplaced("interleave=all", TWO, repacked, REPACKED)


@pytest.mark.parametrize(
    ("numa", "mib", "fine"),
    [
        ("interleave=all", (1090, 910), True),  # 54.5 %: less than a tenth over its half
        ("interleave=all", (1110, 890), False),
        ("membind=0", (1910, 90), True),
        ("membind=0", (1890, 110), False),
        ("interleave=all", (127, 0), True),  # too little to compare
        ("interleave=all", (129, 0), False),
    ],
)
def test_the_tolerances(numa: str, mib: tuple[int, int], fine: bool) -> None:
    pages = Pages({node: size * MIB for node, size in enumerate(mib) if size})
    assert (misplaced(numa, TWO, Placement(files=pages), WEIGHTS) == "") is fine
    assert (misplaced(numa, TWO, Placement(other=pages), WEIGHTS) == "") is fine


def test_what_cannot_be_read_is_recorded_and_no_error() -> None:
    gone = read_placement(2**22 + 1, WEIGHTS)
    assert gone.record() == {"unread": "numa_maps: No such file or directory"}
    assert misplaced("interleave=all", TWO, gone, WEIGHTS) == ""
    assert shares_text(gone.record()) == "not known (numa_maps: No such file or directory)"


def test_the_record_and_its_line_have_shares() -> None:
    record = found("stale_cache").record()
    assert record == {
        "weights_files": {"mib": 8144, "shares": {"0": 0.97, "1": 0.03}},
        "other_memory": {"mib": 1095, "shares": {"0": 0.5, "1": 0.5}},
    }
    assert shares_text(record) == "files 0: 97 % 1: 3 %, other 0: 50 % 1: 50 %"
    assert shares_text(found("one_node", ()).record()) == "other 0: 100 %"


def test_a_hashed_file_leaves_no_pages_on_a_machine_of_several_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, nodes = tmp_path / "weights.gguf", tmp_path / "has_memory"
    file.write_bytes(os.urandom(MIB))
    monkeypatch.setattr(file_hashing, "NODES_WITH_MEMORY", nodes)
    for text, cached in (("0\n", "warm"), ("0-1\n", "cold")):
        nodes.write_text(text)
        ((_, found),) = file_hashing.hash_files([file])
        assert isinstance(found, file_hashing.Hashed) and page_cache([file]) == cached


@pytest.mark.skipif(not Path("/proc/self/numa_maps").exists(), reason="the kernel has no numa_maps")
def test_this_process_is_read(tmp_path: Path) -> None:
    """A real mapping, of a file with an awkward name."""
    file = tmp_path / "a b=c.gguf"
    file.write_bytes(os.urandom(8 * MIB))
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as area:
        assert sum(area[::4096]) > 0  # every page is read
        here = read_placement(os.getpid(), (file,))
    assert here.files.total == 8 * MIB and here.other.total > MIB
    assert here.files.node_bytes.keys() <= usable_nodes(os.getpid()), "and nowhere else"
