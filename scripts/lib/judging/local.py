"""A local model as judge: a llama-server whose replies are bound to the JSON schema.

It is free and works offline; its quality is that of the model. The server enforces the schema
without showing it to the model, so the prompt repeats it. Texts have a maximum length, so that a
small model cannot fill its reply with one endless reason.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from scripts.lib.base.errors import BenchError
from scripts.lib.base.untrusted_text import valid_texts
from scripts.lib.judging.protocol import Journal, Keep, Stopped
from scripts.lib.scoring.series import Item, Reply, Series, Usage
from scripts.lib.settings.judge_config import LocalJudgeConfig

MOST_TEXT_CHARACTERS = 300


def bounded_schema(schema: Mapping[str, Any], criteria: int) -> dict[str, Any]:
    """A schema for exactly this number of criteria, with a maximum length for texts."""
    bounded: dict[str, Any] = copy.deepcopy(dict(schema))
    verdicts = bounded["properties"]["criteria"]
    verdicts |= {"minItems": criteria, "maxItems": criteria}
    texts = [*bounded["properties"].values(), *verdicts["items"]["properties"].values()]
    for text in texts:
        if text["type"] == "string" and "enum" not in text:
            text["maxLength"] = MOST_TEXT_CHARACTERS
    return bounded


def request_body(item: Item, max_tokens: int) -> dict[str, Any]:
    """A greedy chat request, bound to the schema."""
    shown = item.shown
    schema = bounded_schema(shown.schema, len(shown.criteria))
    return {
        "messages": [
            {"role": "system", "content": f"{shown.system}\n\nThe schema:\n{json.dumps(schema)}"},
            {"role": "user", "content": shown.user_prompt(item.digest)},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": schema},
        },
        "temperature": 0,
        "seed": 0,
        "max_tokens": max_tokens,
    }


def read_completion(body: str) -> Reply:
    """A chat completion's body as a Reply."""
    try:
        raw = valid_texts(json.loads(body))
        choice, used = raw["choices"][0], raw["usage"]
        content, stop = choice["message"].get("content"), str(choice["finish_reason"])
        usage = Usage(int(used["prompt_tokens"]), int(used["completion_tokens"]))
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        failure = f"the body is not a completion: {' '.join(body.split())[:80]!r}"
        return Reply(None, failure, transient=True, raw=body)
    failure = "" if content else "the judge's reply is empty"
    if stop == "length":
        failure = "the judge's reply was cut at max_tokens"
    return Reply(
        None if failure else content,
        failure,
        raw=body,
        request_id=str(raw.get("id", "")),
        model=str(raw.get("model", "")),
        stop_reason=stop,
        usage=usage,
    )


class LocalJudge:
    """Asks a llama-server at `base_url`, one answer at a time, with `headers` in each request."""

    batches_at_once = 1

    def __init__(
        self,
        series: Series,
        settings: LocalJudgeConfig,
        base_url: str,
        headers: Mapping[str, str] | None = None,
    ):
        self.series, self._settings = series, settings
        self._base_url, self._headers = base_url, headers

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        """Ask for every item; see `Judge.ask`."""
        async with httpx2.AsyncClient(
            base_url=self._base_url, headers=self._headers, timeout=self._settings.deadline_s
        ) as client:
            for item in items:
                await keep(item, await self._ask(client, item))

    async def _ask(self, client: httpx2.AsyncClient, item: Item) -> Reply:
        try:
            response = await client.post(
                "/v1/chat/completions", json=request_body(item, self._settings.max_tokens)
            )
        except httpx2.TimeoutException:
            return Reply(None, f"no answer within {self._settings.deadline_s:g} s", transient=True)
        except httpx2.HTTPError as error:
            raise Stopped(f"the local judge at {self._base_url}: {type(error).__name__}") from error
        body = response.text
        if response.status_code == 404:
            raise BenchError(
                f"judge local: {self._base_url} has no /v1/chat/completions; is it a llama-server?"
            )
        if response.status_code != 200:
            said = " ".join(body.split())[:200]
            failure = f"status {response.status_code}: {said}"
            return Reply(None, failure, transient=response.status_code >= 500, raw=body[:2000])
        return read_completion(body)

    async def close(self) -> None:
        """Do nothing: no connection is kept between batches."""
