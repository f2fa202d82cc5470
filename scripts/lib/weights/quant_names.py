"""Names of quantisations: what a publisher calls a file, and what the file itself allows to be true of that.

A header gives one of llama.cpp's file types (`Q4_K_M`). Publishers know more: `UD-Q4_K_XL` is a mix
of their own, which llama.cpp files under `Q4_K_M`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from scripts.lib.weights.gguf_header import Header

# `UD-` is Unsloth's dynamic mix, `i1-` a mix with an importance matrix; `_R4` and `_K_S`-like tails
# are of forks.
_NAME = re.compile(
    r"""(?<![A-Za-z0-9])(?:(?P<mark>UD|I1)[-_])?(?P<name>
        (?:I?Q\d(?P<sep>[-_])(?:\d(?:(?P=sep)\d(?:(?P=sep)\d)?)?|K[STL]?|KSS|XXS|XS|S|M|NL))
            (?:(?P=sep)(?:XXS|XS|S|M|L|XL|XXL|NL|R[48]))*
        |TQ\d[-_]\d|B?F16|FP16|FP?32|MXFP4(?:[-_]MOE)?|NVFP4
    )(?![A-Za-z0-9])""",
    re.IGNORECASE | re.VERBOSE,
)
_MARK = re.compile(r"(UD|I1)[-_]", re.IGNORECASE)
_SIZE = re.compile(r"_(XXS|XS|S|M|L|XL|XXL|NL|R[48]|MOE)$")
_UNTOLD = ("", "GUESSED")
_FLOATS = ("F32", "F16", "BF16", "F64")


def plain(name: str) -> str:
    """A name without the marks that publishers add, in llama.cpp's spelling: `UD-Q4_K_XL` is `Q4_K_XL`."""
    return re.sub(r"^FP", "F", _MARK.sub("", name.upper(), count=1).replace("-", "_"))


def tensor_kinds(name: str) -> frozenset[str]:
    """What tensors of such a file may be of: the name itself, and the name without its sizes."""
    found = {name}
    while (shorter := _SIZE.sub("", name)) != name:
        found.add(name := shorter)
    return frozenset(found)


def tensor_types(header: Header) -> tuple[str, ...]:
    """The types of a file's tensors, the commonest first."""
    return tuple(part.partition(":")[0] for part in header.quant_mix.split())


def _bits(name: str) -> str:
    """What two names of one file share at least: the number in `Q4_K_XL`, `IQ4_NL` and `MXFP4`; of `BF16` all of it."""
    found = re.search(r"Q(\d)|FP(\d)(?!\d)", name)
    return (found[1] or found[2]) if found else name


def _is_mix(name: str) -> bool:
    """True for a publisher's own mix: it need not hold a tensor of the type in its name."""
    return _MARK.match(name) is not None or name.endswith(("_XL", "_XXL"))


def bears_out(header: Header, name: str) -> bool:
    """True when nothing in a header speaks against a name that the file was given."""
    wanted, told, types = (
        plain(name),
        "" if _untold(header) else plain(header.quant),
        tensor_types(header),
    )
    if wanted == told.removesuffix("_MOE") or wanted == told:
        return True
    quantised = [kind for kind in types if kind not in _FLOATS]
    if wanted in _FLOATS:
        return not quantised and wanted in types and told not in types
    if quantised and quantised[0] in tensor_kinds(wanted) and not tensor_kinds(told) & set(types):
        return True  # all the tensors are of it, and none of what the file type says
    if any(kind.startswith("type") for kind in quantised):
        return not told or _bits(told) == _bits(wanted)  # newer than the gguf package
    is_another = bool(told) and wanted in _file_types() and not _is_mix(name)
    beside = told or next(iter(quantised), "")
    if is_another or _bits(beside) != _bits(wanted):
        return False
    return _is_mix(name) or bool(tensor_kinds(wanted) & (set(quantised) | tensor_kinds(told)))


@cache
def _file_types() -> frozenset[str]:
    from gguf.constants import LlamaFileType

    return frozenset(
        kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType
    )


def named_in(text: str) -> Iterator[str]:
    """Each name of a quantisation in a text, the last first: `Model-UD-Q4_K_XL` holds `UD-Q4_K_XL`."""
    for found in reversed(list(_NAME.finditer(text))):
        mark = {"UD": "UD-", "I1": "i1-"}.get((found["mark"] or "").upper(), "")
        yield mark + found["name"].upper().replace("-", "_")


def _untold(header: Header) -> bool:
    return header.quant in _UNTOLD or header.quant.startswith("file type")


def known_name(header: Header, *texts: str) -> str:
    """The name of a file's quantisation: the most precise one that these texts (file name, model name) give and the file
    bears out; else its file type; else the commonest type of its quantised tensors; else `unknown`. Never a guess."""
    told = "" if _untold(header) else header.quant
    names = [name for text in texts for name in named_in(text) if bears_out(header, name)]
    names = [name for name in names if _is_as_precise(name, told)]
    if names:
        best = max(names, key=lambda name: name.count("_") + name.count("-"))
        return told if plain(best) == told and not _MARK.match(best) else best
    types = tensor_types(header)
    quantised = [kind for kind in types if kind not in _FLOATS]
    commonest = next(iter([*quantised, *types]), "unknown")
    return told or (
        header.quant
        if header.quant.startswith("file type") and commonest.startswith("type")
        else commonest
    )


def _is_as_precise(name: str, told: str) -> bool:
    """False where the file type says all that the name does and more: `Q4_K` beside `Q4_K_M` (`_MOE` is no precision)."""
    wanted = plain(name)
    return wanted == told.removesuffix("_MOE") or not told.startswith(f"{wanted}_")
