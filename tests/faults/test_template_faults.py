"""Chat templates: both engines handle missing features alike; a failure is the cell's error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.executor import Job, load_settings, request_of, run
from scripts.lib.llama_build.build import server_binary
from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.planning.cell_record import CellRecord
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.plan import Shard, find_shard, make_plan
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.weights import chat_template
from scripts.lib.weights.chat_template import (
    DATE,
    Renderer,
    TemplateError,
    knows_system_role,
    uses_date,
)
from scripts.lib.weights.facts import facts
from tests.factories.engines import HARDWARE, Recorder
from tests.factories.plans import tiny_planner
from tests.factories.tiny_models import TEMPLATE, write_model

pytestmark = pytest.mark.slow

ENGINES = ("embedded", "server")
LOOP = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
NO_SYSTEM_ROLE = {
    "refused": "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('no system role') }}{% endif %}" + LOOP,
    "passed over": "{% for m in messages %}"
    "{% if m.role == 'user' %}<user>{{ m.content }}{% endif %}{% endfor %}",
}
DATES = {
    "function": "{{ 'Today: ' + strftime_now('%d %b %Y') }}"
    '{{ strftime_now("%-d/%m/%y") | length }}' + LOOP,
    "text": "{{ date_string }} {{ datetime }}" + LOOP,
}
FAULTS = {
    "broken": ("{% if %}" + LOOP, "Expected an expression", "llama-server ended with"),
    # Of an attribute that is not there llama-server makes nothing, jinja2 an error; of a call of it
    # both.
    "undefined": ("{{ messages[0].colour() }}" + LOOP, "has no attribute 'colour'", "llama-server"),
    "refusal": (
        "{{ raise_exception('cats only') }}" + LOOP,
        "the chat template: cats only",
        "cats only",
    ),
}
NESTED = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
HOSTILE = {
    "large": ("{{ 'x' * 10**8 }}", "it prints more than 8388608 characters"),
    "larger": ("{{ 'x' * 10**11 }}", "it wants more memory than 1024 MiB"),
    "deep": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "spying": ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__'"),
    "reading": ("{% include '/etc/passwd' %}", "no loader"),
}


def shard(folder: Path, engine: str, template: str, system: str = "Be brief.") -> Shard:
    """Two cells of a tiny model with that template, with a system text."""
    planner = tiny_planner(folder)
    file = write_model(folder / "plain.gguf", template=template)
    model = replace(planner.registry.models["plain"], system_prompt_suffix=system)
    planner = replace(
        planner,
        registry=replace(planner.registry, models={**planner.registry.models, "plain": model}),
        weights={**planner.weights, "plain": Weights(facts(file), file, True, False)},
        config=replace(
            planner.config,
            sampling=replace(planner.config.sampling, max_tokens=4),
            system_prompt_suffix=True,
        ),
        engine=engine_identity(engine),
        hardware=HARDWARE,
    )
    made = find_shard(make_plan(planner), "plain", "baseline")
    return replace(made, cells=made.cells[:2])


def engine(name: str, folder: Path) -> Any:
    return make_engine(name, EngineSettings(server_binary(), folder / f"{name}.log", 60.0))


def records(name: str, folder: Path, template: str) -> list[CellRecord]:
    recorder = Recorder()
    made = shard(folder / "models", name, template)
    run(
        Job(made, folder / name, "run", lambda loaded: "", recorder, WeightsGuard(made)),
        engine(name, folder),
        made.cells,
    )
    return recorder.records


@pytest.mark.parametrize("name", NO_SYSTEM_ROLE)
def test_a_system_text_goes_before_the_users_where_there_is_no_system_role(
    tmp_path: Path, name: str
) -> None:
    found = {engine: records(engine, tmp_path, NO_SYSTEM_ROLE[name]) for engine in ENGINES}
    for embedded, server in zip(*found.values(), strict=True):
        assert embedded.status == server.status == "ok", (embedded.error, server.error)
        assert (
            embedded.spec["prompt"] == server.spec["prompt"]
            and embedded.spec["prompt"]["system_merged"] is True
        )
        assert embedded.measurement is not None and server.measurement is not None
        assert embedded.measurement.prompt_tokens == server.measurement.prompt_tokens
        assert embedded.measurement.token_ids == server.measurement.token_ids


def test_both_engines_merge_as_llama_server_does_by_itself(tmp_path: Path) -> None:
    made = shard(tmp_path, "server", NO_SYSTEM_ROLE["refused"])
    request = request_of(made.cells[0])
    apart = replace(request, system="Be brief.", user=made.cells[0].question.prompt_text())
    assert request.system == "" and request.user == f"{apart.system}\n{apart.user}"
    running = engine("server", tmp_path)
    running.load(load_settings(made))
    try:
        assert running.generate(apart).token_ids == running.generate(request).token_ids
        assert running.generate(apart).prompt_tokens == running.generate(request).prompt_tokens
    finally:
        running.unload()


def test_a_system_role_that_is_known_leaves_the_spec_as_it_was(tmp_path: Path) -> None:
    for template, system in ((TEMPLATE, "Be brief."), (NO_SYSTEM_ROLE["refused"], "")):
        prompt = shard(tmp_path, "embedded", template, system).cells[0].spec["prompt"]
        assert not {"system_merged", "date"} & set(prompt)
    assert knows_system_role("{{ messages | tojson }}") and knows_system_role("{% broken")


@pytest.mark.parametrize("name", DATES)
def test_a_template_prints_one_date_in_both_engines_and_the_spec_has_it(
    tmp_path: Path, name: str
) -> None:
    assert uses_date(DATES[name]) and not uses_date(TEMPLATE)
    shown = {}
    for kind in ENGINES:
        made = shard(tmp_path, kind, DATES[name])
        assert made.cells[0].spec["prompt"]["date"] == DATE.date().isoformat() == "2026-01-01"
        running = engine(kind, tmp_path)
        running.load(load_settings(made))
        request = request_of(made.cells[0])
        shown[kind] = running.generate(request)
        if kind == "embedded":
            assert (
                "01 Jan 2026" in running._model.render([{"role": "user", "content": "x"}], True)[0]
            )
        running.unload()
    assert shown["embedded"].prompt_tokens == shown["server"].prompt_tokens
    assert shown["embedded"].token_ids == shown["server"].token_ids


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_templates_fault_is_one_error_for_each_question_in_its_words(
    tmp_path: Path, fault: str, kind: str
) -> None:
    template, embedded, server = FAULTS[fault]
    found = records(kind, tmp_path, template)
    assert [record.status for record in found] == ["error", "error"]
    for record in found:
        assert (embedded if kind == "embedded" else server) in str(record.error)
        assert record.measurement is None


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "PROCESSOR_SECONDS", 1)


@pytest.mark.usefixtures("hurried")
def test_a_hostile_template_is_the_cells_error_and_the_next_cell_is_run(tmp_path: Path) -> None:
    """Endless at one question: the renderer is ended, and another one renders the next."""
    made = shard(tmp_path, "embedded", TEMPLATE)
    word = made.cells[0].question.prompt_text()[:30].replace("'", "\\'").replace("\n", "\\n")
    template = (
        f"{{% if messages[-1].content.startswith('{word}') %}}{NESTED}{{% endif %}}{TEMPLATE}"
    )
    first, second = records("embedded", tmp_path, template)
    assert (first.status, first.error) == (
        "error",
        "the chat template: it computes for more than 1 s",
    )
    assert second.status == "ok"


def test_what_a_template_may_not_do_is_told_and_the_next_is_rendered() -> None:
    message = {"role": "user", "content": "x"}
    with Renderer() as renderer:
        for template, words in HOSTILE.values():
            with pytest.raises(TemplateError, match=words):
                renderer.render(template, [message], {})
            assert (
                renderer.render("{{ messages[0].content }}{{ '\\ud800' }}", [message], {}) == "x�"
            )
