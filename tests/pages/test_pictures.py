"""Pictures show the data that they are drawn from, and are the same bytes on every machine."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.layout import PICTURE_NAMES
from scripts.lib.pages.drawing import COLOURS
from scripts.lib.pages.pictures import PICTURES, SHOWN_MODELS, draw, front
from scripts.lib.pages.report import DESCRIPTIONS
from scripts.lib.planning.modes import Mode
from tests.factories.table_rows import LOOKUP, on_workloads, part, row, way


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [
        "".join(found.itertext()).strip() for found in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def test_snakemake_and_the_report_know_every_picture() -> None:
    assert tuple(PICTURES) == PICTURE_NAMES == tuple(DESCRIPTIONS)


def test_the_front_is_what_nothing_beats_in_both() -> None:
    c = row("m", 3)
    points = [(10.0, 50.0, c), (20.0, 50.0, c), (5.0, 80.0, c), (30.0, 10.0, c), (15.0, 40.0, c)]
    assert [(x, y) for x, y, _ in front(points)] == [(30, 10), (20, 50), (5, 80)]


def test_pictures_name_what_they_show() -> None:
    base = row("big", 30, weights_bytes=10**9, measured_gb_per_s=50.0)
    shown = {
        name: texts(draw(name, part(base, way(base, LOOKUP, 15.0), row("worse", 2, 5.0))))
        for name in PICTURES
    }
    assert (
        "big lookup_n3" in shown["quality-speed"] and "worse baseline" not in shown["quality-speed"]
    )
    assert (
        "big baseline" in shown["speculation"]
        and "n, tokens that prompt lookup matches" in shown["speculation"]
    )
    assert "memory, measured: 50 GB/s" in shown["roofline"]
    assert {"30/40", "2/40", "coder", "big baseline"} <= set(shown["suites"])


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_vectors_with_the_same_bytes_and_nothing_of_the_machine(name: str) -> None:
    base = row("m", 30, weights_bytes=10**9)
    one, two = (draw(name, part(base, way(base, LOOKUP, 15.0))) for _ in range(2))
    assert one == two
    assert (
        "<image" not in one
        and "<dc:date>" not in one
        and "Matplotlib" not in one
        and str(Path.home()) not in one
    )


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_without_anything_to_show_says_so(name: str) -> None:
    words = texts(draw(name, part()))
    assert len(words) == 1 and ("no " in words[0] or "not known" in words[0])


def test_impossible_speeds_are_marked_and_not_drawn_to_scale() -> None:
    base = row("m", 30, weights_bytes=10**9, bandwidth_gb_per_s=100.0)
    wild = way(base, Mode("spec_d_k16", draft="d", k=16), 510.0)
    labels = texts(
        draw("speculation", part(base, way(base, Mode("spec_d_k4", draft="d", k=4), 15.0), wild))
    )
    assert "struck out by physics" in labels and not any(label in labels for label in ("30", "50"))
    struck = replace(base, bandwidth_gb_per_s=1.0)
    assert struck.struck_out and texts(draw("quality-speed", part(struck))) == [
        "no setup is ranked"
    ]


POSITIONS = {"accepted_by_position": (80, 60, 40, 20), "accepted_tokens": 200}
HEAD = Mode("mtp_k4", mtp=True, k=4)


def points(svg: str) -> list[int]:
    """The number of points of each marked line of a picture."""
    groups = re.findall(r'<g id="line2d_\d+">(.*?)\n   </g>', svg, re.S)
    return [group.count("<use ") for group in groups]


def test_acceptance_has_one_line_per_setup_with_a_point_per_position() -> None:
    base = row("m", 30)
    deep, short = way(base, HEAD, 15.0, **POSITIONS), way(base, LOOKUP, 15.0)
    short = replace(
        short,
        rows=tuple(
            replace(r, accepted_by_position=(90, 10), accepted_tokens=100) for r in short.rows
        ),
    )
    old = way(base, Mode("spec_d_k4", draft="d", k=4), 15.0)
    made = draw("acceptance", part(base, deep, short, old))
    assert {"m mtp_k4", "m lookup_n3", "1", "2", "4"} <= set(texts(made))
    assert "m spec_d_k4" not in texts(made), "an older cell does not say where"
    assert {4, 2} <= set(points(made))


def test_beyond_the_colours_lines_are_grey_and_unnamed() -> None:
    base = row("m", 30)
    ways = [
        way(base, Mode(f"mtp_k{k}", mtp=True, k=k), 15.0, **POSITIONS)
        for k in range(4, 5 + len(COLOURS))
    ]
    named = [text for text in texts(draw("acceptance", part(base, *ways))) if "mtp" in text]
    assert len(named) == len(COLOURS) == len(ways) - 1


def test_speculation_is_drawn_over_k_over_n_and_by_n_gram_speculator() -> None:
    base = row("m", 30)
    pool = replace(way(base, Mode("ngram_mod", ngram="ngram_mod"), 15.0), leave="tried")
    beside = Mode("mtp_k4_lookup", mtp=True, k=4, lookup_n=3)
    shown = texts(
        draw("speculation", part(base, way(base, HEAD, 15.0), way(base, beside, 12.0), pool))
    )
    assert {"m baseline, mtp", "m baseline, mtp + lookup", "m baseline†", "mod"} <= set(shown)
    assert "n-gram speculator" in shown and "K, most tokens drafted per step" in shown
    assert "n, tokens that prompt lookup matches" not in shown


EDITS_AND_PROSE = {"code_editing": [10.0] * 4, "prose": [10.0]}
FASTER = {"code_editing": [19.0, 20.0, 20.0, 21.0], "prose": [8.0]}


def test_workloads_have_a_panel_for_each_model_with_speed_ups_and_intervals() -> None:
    big = on_workloads(row("big", 30), EDITS_AND_PROSE)
    small = on_workloads(row("small", 30), EDITS_AND_PROSE)
    lookup = on_workloads(way(big, LOOKUP, 10.0), FASTER, big)
    faster = {name: [1.1 * speed for speed in found] for name, found in FASTER.items()}
    lossy = on_workloads(way(small, HEAD, 10.0, certificate="lossy"), faster, small)
    shown = texts(draw("workloads", part(big, small, lossy, lookup)))
    assert shown.index("small") < shown.index("big"), "the greatest speed-up comes first"
    assert {"all", "code", "editing", "prose", "lookup_n3", "mtp_k4"} <= set(shown)
    assert {"2.00x", "(1.87–2.13)", "0.80x", "(n=1)"} <= set(shown)


def test_an_impossible_speed_up_on_a_workload_is_named() -> None:
    base = on_workloads(row("m", 30), EDITS_AND_PROSE)
    wild = on_workloads(way(base, LOOKUP, 10.0), FASTER | {"prose": [900.0]}, base)
    shown = texts(draw("workloads", part(base, wild)))
    assert "impossible" in shown and "90.00x" not in shown and "2.00x" in shown


def test_the_slowest_modes_and_models_beyond_the_limits_are_left_to_the_tables() -> None:
    setups = []
    for number in range(SHOWN_MODELS + 1):
        base = on_workloads(row(f"m{number}", 30), EDITS_AND_PROSE)
        speeds = {name: [s + number for s in found] for name, found in FASTER.items()}
        setups += [base, on_workloads(way(base, LOOKUP, 10.0), speeds, base)]
    shown = texts(draw("workloads", part(*setups)))
    assert "m0" not in shown and {"m1", f"m{SHOWN_MODELS}"} <= set(shown)
