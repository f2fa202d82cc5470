"""Every way in which llama.cpp can speculate: one row each.

A row has a speculator's needs, settings, and flags in each dialect of llama-server, and its name in
llama-server's log, which proves that it was active. Sources: llama.cpp's common/speculative.cpp and
common/arg.cpp (of the pinned llama-cpp-python), ik_llama.cpp's docs/speculative.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Needs(StrEnum):
    """What a speculator needs in addition to the model."""

    NOTHING = "nothing"
    HEAD = "a head for multi-token prediction in the model's file"
    DRAFT = "a draft file"


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting of a speculator: llama-server's flag, ik_llama.cpp's key, default and range.

    The type of `default` is the type of the setting. A setting that config.yaml does not have is
    part of the mode's name (`n` of lookup_nN, `k`). `ik_also`: a second key of the same value.
    """

    flag: str
    ik_key: str
    default: int | float
    least: float
    most: float
    ik_also: str = ""

    @property
    def ik_keys(self) -> tuple[str, ...]:
        """ik_llama.cpp's keys for the setting."""
        return (self.ik_key, self.ik_also) if self.ik_also else (self.ik_key,)


@dataclass(frozen=True, slots=True)
class Speculator:
    """One way to speculate.

    `name`: in config.yaml, specs, records and names of modes. `type`: llama-server's word for it,
    in `--spec-type` and in its log. `ik_type`: ik_llama.cpp's word (empty: it has none).
    `named`: the settings that the mode's name gives. `knobs`: those that config.yaml gives.
    `keeps_state`: what it learnt from one request changes the drafts of the next one.
    `keeps_last`: only the end of the request before does, whatever came before that. `longest`: the
    setting that limits the length of a draft, or the limit that llama.cpp fixes.
    """

    name: str
    type: str
    ik_type: str
    needs: Needs
    named: Mapping[str, Knob] = field(default_factory=lambda: MappingProxyType({}))
    knobs: Mapping[str, Knob] = field(default_factory=lambda: MappingProxyType({}))
    keeps_state: bool = False
    keeps_last: bool = False
    longest: str | int = "k"

    @property
    def is_ngram(self) -> bool:
        """True if earlier text is matched; no second model drafts."""
        return self.needs is Needs.NOTHING


_MOST_NGRAM, _MOST_DRAFT = 1024, 512
# ik_llama.cpp cuts every draft off at `n_max` (16 if it is not given).
_IK_LIMIT = "n_max"


def _ngram_map(name: str) -> Mapping[str, Knob]:
    prefix = f"--spec-{name}-"
    return MappingProxyType(
        {
            "size_n": Knob(f"{prefix}size-n", "ngram_size_n", 12, 1, _MOST_NGRAM),
            "size_m": Knob(f"{prefix}size-m", "ngram_size_m", 48, 1, _MOST_NGRAM, _IK_LIMIT),
            "min_hits": Knob(f"{prefix}min-hits", "ngram_min_hits", 1, 1, _MOST_NGRAM),
        }
    )


K = Knob("--spec-draft-n-max", "n_max", 8, 1, _MOST_DRAFT)
_NAMED_DRAFT = MappingProxyType({"k": K})
_DRAFT_KNOBS = MappingProxyType(
    {
        "n_min": Knob("--spec-draft-n-min", "n_min", 0, 0, _MOST_DRAFT),
        "p_min": Knob("--spec-draft-p-min", "p_min", 0.0, 0.0, 1.0),
    }
)


def _draft(name: str, type_: str, ik_type: str, needs: Needs = Needs.DRAFT) -> Speculator:
    # llama.cpp's draft-mtp pairs a prompt's first token with the last hidden state that it has
    # (pending_h of common_speculative_impl_draft_mtp): that of the request before.
    last = type_ == "draft-mtp"
    return Speculator(name, type_, ik_type, needs, _NAMED_DRAFT, _DRAFT_KNOBS, keeps_last=last)


# In the order in which llama-server asks them: the first one that drafts is verified.
SPECULATORS = (
    Speculator(
        "lookup",
        "ngram-simple",
        "ngram-simple",
        Needs.NOTHING,
        MappingProxyType(
            {
                "n": Knob("--spec-ngram-simple-size-n", "ngram_size_n", 3, 1, _MOST_NGRAM),
                "draft_tokens": Knob(
                    *("--spec-ngram-simple-size-m", "ngram_size_m", 16, 1, _MOST_NGRAM),
                    ik_also=_IK_LIMIT,
                ),
            }
        ),
        longest="draft_tokens",
    ),
    Speculator(
        *("ngram_map_k", "ngram-map-k", "ngram-map-k", Needs.NOTHING),
        knobs=_ngram_map("ngram-map-k"),
        keeps_state=True,
        longest="size_m",
    ),
    Speculator(
        *("ngram_map_k4v", "ngram-map-k4v", "ngram-map-k4v", Needs.NOTHING),
        knobs=_ngram_map("ngram-map-k4v"),
        keeps_state=True,
        longest="size_m",
    ),
    Speculator(
        *("ngram_mod", "ngram-mod", "ngram-mod", Needs.NOTHING),
        knobs=MappingProxyType(
            {
                "n_match": Knob("--spec-ngram-mod-n-match", "ngram_size_n", 24, 1, _MOST_NGRAM),
                "n_min": Knob("--spec-ngram-mod-n-min", "n_min", 48, 0, _MOST_NGRAM),
                "n_max": Knob("--spec-ngram-mod-n-max", "n_max", 64, 1, _MOST_NGRAM),
            }
        ),
        keeps_state=True,
        longest="n_max",
    ),
    Speculator(
        *("ngram_cache", "ngram-cache", "ngram-cache", Needs.NOTHING),
        keeps_state=True,
        longest=8,
    ),
    _draft("draft", "draft-simple", "draft"),
    _draft("eagle3", "draft-eagle3", ""),
    _draft("mtp", "draft-mtp", "mtp", Needs.HEAD),
    _draft("mtp_file", "draft-mtp", "mtp"),
    _draft("dflash", "draft-dflash", "dflash"),
    # Its p_min is compared with its own confidence in each position. (llama.cpp's documentation
    # has a --spec-draft-conf-min, which the binary does not know.)
    _draft("dspark", "draft-dspark", "dspark"),
)
BY_NAME: Mapping[str, Speculator] = MappingProxyType({row.name: row for row in SPECULATORS})
# Those that are planned by their name alone.
NGRAMS = tuple(row.name for row in SPECULATORS if row.is_ngram and not row.named)
LOOKUP, MTP, SIMPLE_DRAFT = "lookup", "mtp", "draft"
# The settings in config.yaml: section -> settings. All draft files and heads share one section.
DRAFTING = "drafting"
SETTINGS: Mapping[str, Mapping[str, Knob]] = MappingProxyType(
    {
        **{name: BY_NAME[name].knobs for name in NGRAMS if BY_NAME[name].knobs},
        DRAFTING: _DRAFT_KNOBS,
    }
)


@dataclass(frozen=True, slots=True)
class Speculation:
    """A speculator with the values of its settings, as one mode uses it."""

    speculator: Speculator
    values: Mapping[str, int | float]

    def options(self) -> Iterator[tuple[Knob, int | float]]:
        """Each setting with its value, in the order of the table."""
        row = self.speculator
        for name, knob in {**row.named, **row.knobs}.items():
            yield knob, self.values.get(name, knob.default)

    @property
    def most_drafted(self) -> int:
        """The most tokens that one draft can have."""
        row, longest = self.speculator, self.speculator.longest
        if isinstance(longest, int):
            return longest
        return int(self.values.get(longest, {**row.named, **row.knobs}[longest].default))


def knobs_of(name: str, settings: Mapping[str, Mapping[str, int | float]]) -> dict[str, Any]:
    """A speculator's settings, from those of config.yaml: {setting: value}."""
    row = BY_NAME[name]
    given = settings.get(name if row.is_ngram else DRAFTING, {})
    return {key: given.get(key, knob.default) for key, knob in row.knobs.items()}


def speculations(spec: Mapping[str, Any]) -> tuple[Speculation, ...]:
    """The speculators of a spec's `mode`, in the order in which they are asked."""
    found: dict[str, Mapping[str, int | float]] = {
        name: spec[name] for name in (*NGRAMS, MTP) if name in spec
    }
    if "lookup_n" in spec:
        found[LOOKUP] = {"n": spec["lookup_n"], "draft_tokens": spec["lookup_draft_tokens"]}
    if "draft" in spec:
        kind = spec.get("draft_kind", SIMPLE_DRAFT)
        found[kind] = {"k": spec["k"], **spec.get(DRAFTING, {})}
    return tuple(Speculation(row, found[row.name]) for row in SPECULATORS if row.name in found)
