"""A measured cell."""

from __future__ import annotations

from scripts.lib.base.stored_json import digest
from scripts.lib.planning.cell_record import CellId, CellRecord, Measurement

SPEC = {
    "protocol": 1,
    "engine": {"name": "embedded"},
    "prompt": {"user": "Grüße"},
    "sampling": {"temperature": 0.0},
}
MEASURED = Measurement(
    "Paris",
    "stop",
    12,
    3,
    0.1,
    0.08,
    150.0,
    0.02,
    100.0,
    4,
    2,
    1,
    token_ids=(7, 8, 2),
    close_calls=((1, 0.25),),
)
CELL = CellRecord(
    cell=CellId("h", "m", "baseline", "general", "t1_q1"),
    digest=digest(SPEC),
    spec=SPEC,
    status="ok",
    error=None,
    measurement=MEASURED,
    load_s=0.2,
    warm_up_s=0.1,
    peak_rss_bytes=1024,
    effective={"arch": "llama"},
    environment="abc",
    started_utc="2026-11-24T12:00:00+00:00",
    run_id="2026-11-24_120000",
)
