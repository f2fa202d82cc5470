"""Reads llama-server's replies. A wrong type is an EngineFailure with place, expected and found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.base.untrusted_text import one_line, valid_text
from scripts.lib.engines.protocol import EngineFailure
from scripts.lib.engines.speculation_log import to_last_accepted

_MOST_SHOWN = 60
# A count of tokens is always below this.
_MOST_COUNTED = 1 << 31


def _shown(value: object) -> str:
    text = one_line(repr(value))
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _wrong(place: str, expected: str, found: object) -> EngineFailure:
    return EngineFailure(f"llama-server: {place}: expected {expected}, found {_shown(found)}")


def parse(data: bytes, place: str) -> Mapping[str, Any]:
    """A JSON object. `place` names the request."""
    try:
        reply = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        kind = "text in UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise _wrong(place, kind, data[:_MOST_SHOWN]) from error
    if not isinstance(reply, dict):
        raise _wrong(place, "an object", reply)
    return reply


def text(reply: Mapping[str, Any], key: str, place: str, default: object = None) -> str:
    """A text of a reply; half surrogate pairs are replaced. `default`: if the key is missing."""
    found = reply.get(key, default)
    if not isinstance(found, str):
        raise _wrong(f"{place}: {key}", "a text", found)
    return valid_text(found)


def mapping(reply: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    """An object of a reply; an empty one if the key is missing."""
    found = reply.get(key, {})
    if not isinstance(found, dict):
        raise _wrong(f"{place}: {key}", "an object", found)
    return found


def objects(reply: Mapping[str, Any], key: str, place: str) -> list[Mapping[str, Any]]:
    """A list of objects of a reply; an empty one if the key is missing."""
    found = reply.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _wrong(f"{place}: {key}", "a list of objects", found)
    return found


def tokens(reply: Mapping[str, Any], place: str) -> list[int]:
    """The token ids of a reply; an empty list if the key is missing."""
    found = reply.get("tokens", [])
    if not isinstance(found, list) or not all(
        type(token) is int and 0 <= token < _MOST_COUNTED for token in found
    ):
        raise _wrong(f"{place}: tokens", "a list of token ids", found)
    return found


def count(reply: Mapping[str, Any], key: str, place: str, default: int = 0) -> int:
    """A whole number of a reply, at least 0."""
    found = reply.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < _MOST_COUNTED:
        raise _wrong(f"{place}: {key}", "a count", found)
    return found


def number(reply: Mapping[str, Any], key: str, place: str, default: float | None = None) -> float:
    """A number of a reply. `measurement_check` checks that it is plausible."""
    found = reply.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _wrong(f"{place}: {key}", "a number", found)
    try:
        return float(found)
    except OverflowError:
        raise _wrong(f"{place}: {key}", "a number", found) from None


# ik_llama.cpp's flag for why an answer ended -> llama.cpp's word.
_STOP_FLAGS = {"stopped_eos": "eos", "stopped_word": "word", "stopped_limit": "limit"}


def _stop_type(reply: Mapping[str, Any], place: str) -> str:
    flagged = next((word for flag, word in _STOP_FLAGS.items() if reply.get(flag) is True), "")
    return text(reply, "stop_type", place, flagged)


def log_probabilities(step: Mapping[str, Any], place: str) -> list[float]:
    """The logarithms of the best tokens' probabilities at one step; ik_llama.cpp gives `prob`."""
    if "probs" not in step:
        return [number(top, "logprob", place) for top in objects(step, "top_logprobs", place)]
    found = [number(top, "prob", place) for top in objects(step, "probs", place)]
    return [math.log(probability) for probability in found if probability > 0]


def accepted_by_depth(timings: Mapping[str, Any], place: str) -> tuple[int, ...]:
    """ik_llama.cpp's timings: in how many batches the draft's first, second, … was accepted."""
    depths = objects(timings, "draft_by_depth", place)
    return to_last_accepted(count(depth, "draft_n_accepted", place) for depth in depths)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a streamed answer. The last one has the timings."""

    text: str
    tokens: list[int]
    last: bool
    stop_type: str
    timings: Mapping[str, Any]

    @classmethod
    def of(cls, reply: Mapping[str, Any], place: str) -> Event:
        """Raises EngineFailure for an error of the server, and for a malformed event."""
        if "error" in reply:
            raise EngineFailure(f"llama-server: {message(json.dumps(reply))}")
        # The halves of a surrogate pair may come in two events, so only the whole answer is made
        # valid.
        content = reply.get("content", "")
        if not isinstance(content, str):
            raise _wrong(f"{place}: content", "a text", content)
        last = reply.get("stop", False) is True
        stop_type = _stop_type(reply, place)
        return cls(content, tokens(reply, place), last, stop_type, mapping(reply, "timings", place))


def message(body: str) -> str:
    """The message of an error reply."""
    try:
        return one_line(json.loads(body)["error"]["message"])[:300]
    except (ValueError, RecursionError, KeyError, TypeError):
        return one_line(body[:1000])[:300]
