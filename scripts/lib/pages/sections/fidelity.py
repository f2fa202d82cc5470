"""RESULTS.md on fidelity: each configuration's distributions against those of its reference."""

from __future__ import annotations

from scripts.lib.base.estimates import Estimate
from scripts.lib.base.markdown import DASH, code, p_value, rate, share, table, text
from scripts.lib.pages.sections.quality import ratio, speed
from scripts.lib.tables.fidelity import KL_BOUND, Fidelity, FidelityPair
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import MARGIN

KL_BOUND_WORDS, MARGIN_WORDS = f"{KL_BOUND:g}", f"{100 * MARGIN:.0f} points"


def nats(value: Estimate | None, unit: str = "") -> str:
    """A divergence with its interval, to three digits: `0.00312 (0.00290–0.00340)`."""
    if value is None:
        return DASH
    if value.low is None or value.high is None:
        return f"{value.value:.3g}{unit} (n={value.clusters})"
    return f"{value.value:.3g}{unit} ({value.low:.3g}–{value.high:.3g})"


def fidelity_table(part: ProfilePart) -> str:
    """One row per configuration: size, speed, divergence, equal first choices, passes."""
    headers = (
        *("model", "quant", "mode", "reference", "GB", "decode t/s", "KL", "KL of answers"),
        *("95 % of tokens below", "99 %", "same first choice", "perplexity", "passes"),
        *("n", "tokens", "note"),
    )
    return table(map(_row, part.fidelities), headers)


def _row(one: Fidelity) -> list[str]:
    setup, far = one.setup, one.kl_far_upper
    return [
        code(one.model.key),
        text(one.model.quant),
        code(one.mode.name),
        _reference(one),
        f"{one.weights_bytes / 1e9:.2f}",
        DASH if setup is None else speed(setup),
        nats(one.kl) if one.reference else "the reference",
        nats(one.kl_of_answers),
        nats(one.kl_upper),
        DASH if far is None else f"{far:.3g}",
        share(one.same_first),
        nats(one.perplexity_ratio, "x"),
        DASH if setup is None or not setup.passes.scored else rate(setup.quality),
        str(len(one.found)),
        str(one.tokens),
        _note(one),
    ]


def _reference(one: Fidelity) -> str:
    return f"{code(one.reference)} {code(one.reference_mode)}" if one.reference else DASH


def _note(one: Fidelity) -> str:
    notes = []
    if one.failed:
        first = next(iter(one.failed.values()))
        notes.append(f"{len(one.failed)} failed: {text(first)}")
    missing = one.planned - len(one.found) - len(one.failed)
    if missing:
        notes.append(f"{missing} not evaluated yet")
    return "; ".join(notes) or DASH


def certainty_table(part: ProfilePart) -> str:
    """How much of each divergence is certain, estimated, and at most missing."""
    headers = (
        "model",
        "mode",
        "KL",
        "of the top tokens",
        "estimated of the tail",
        "at most missing",
    )
    rows = (
        [
            code(one.model.key),
            code(one.mode.name),
            nats(one.kl),
            *(
                DASH if value is None else f"{value:.3g}"
                for value in (one.coarse, one.missing, one.bound)
            ),
        ]
        for one in part.fidelities
        if one.kl is not None
    )
    return table(rows, headers)


def pairs_table(part: ProfilePart) -> str:
    """Every two configurations with the same reference, compared question by question."""
    headers = ("reference", "configuration", "compared with", "ratio of KL", "p (Holm)")
    return table(map(_pair, part.fidelity_pairs), headers)


def _pair(pair: FidelityPair) -> list[str]:
    new, old = pair.new, pair.old
    return [
        f"{code(new.reference)} {code(new.reference_mode)}",
        f"{code(new.model.key)} {code(new.mode.name)}",
        f"{code(old.model.key)} {code(old.mode.name)}",
        ratio(pair.ratio),
        p_value(pair.ratio.p_value),
    ]


def experts_table(part: ProfilePart) -> str:
    """Fewer experts, judged by tasks and by divergence side by side."""
    headers = ("model", "experts", "by tasks", "KL", "by KL", "together")
    rows = (
        [
            code(one.model.key),
            code(one.mode.name),
            one.reduction.verdict.value,
            nats(one.kl),
            one.verdict.value,
            one.together,
        ]
        for one in part.fidelities
        if one.reduction is not None
    )
    return table(rows, headers)


def left_out(part: ProfilePart) -> str:
    """The configurations without a reference, each with the reason."""
    rows = (
        [code(item.model), code(item.mode), text(item.reason)] for item in part.fidelity_left_out
    )
    return table(rows, ("model", "mode", "not compared, because"))
