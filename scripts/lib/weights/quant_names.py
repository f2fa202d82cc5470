"""Names of quantisations: a publisher's name for a file, checked against the file's header.

A header has one of llama.cpp's file types (`Q4_K_M`). A publisher's name says more: `UD-Q4_K_XL` is
a publisher's own mix, whose file type is `Q4_K_M`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from scripts.lib.weights.gguf_header import Header

# `UD-` is Unsloth's dynamic mix, `i1-` a mix with an importance matrix. Forks have endings such as
# `_R4`.
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
_NO_FILE_TYPE = ("", "GUESSED")
_FLOATS = ("F32", "F16", "BF16", "F64")


def plain(name: str) -> str:
    """A name without a publisher's marks, as llama.cpp spells it: `Q4_K_XL` for `UD-Q4_K_XL`."""
    return re.sub(r"^FP", "F", _MARK.sub("", name.upper(), count=1).replace("-", "_"))


def tensor_kinds(name: str) -> frozenset[str]:
    """The types that the tensors of such a file may have: the name with and without its sizes."""
    found = {name}
    while (shorter := _SIZE.sub("", name)) != name:
        found.add(name := shorter)
    return frozenset(found)


def tensor_types(header: Header) -> tuple[str, ...]:
    """The types of a file's tensors, the most common first."""
    return tuple(part.partition(":")[0] for part in header.quant_mix.split())


def _bits(name: str) -> str:
    """The bits of a name: `4` for `Q4_K_XL`, `IQ4_NL` and `MXFP4`; else the name (`BF16`)."""
    found = re.search(r"Q(\d)|FP(\d)(?!\d)", name)
    return (found[1] or found[2]) if found else name


def _is_mix(name: str) -> bool:
    """True for a publisher's own mix: it may have no tensor of the type in its name."""
    return _MARK.match(name) is not None or name.endswith(("_XL", "_XXL"))


def bears_out(header: Header, name: str) -> bool:
    """True when nothing in a header contradicts a name of the file."""
    wanted, types = plain(name), tensor_types(header)
    file_type = "" if _lacks_file_type(header) else plain(header.quant)
    if wanted in (file_type, file_type.removesuffix("_MOE")):
        return True
    quantised = [kind for kind in types if kind not in _FLOATS]
    if wanted in _FLOATS:
        return not quantised and wanted in types and file_type not in types
    of_file_type = tensor_kinds(file_type)
    if quantised and quantised[0] in tensor_kinds(wanted) and not of_file_type & set(types):
        return True  # most tensors have that type, and none has the file type
    if any(kind.startswith("type") for kind in quantised):
        return not file_type or _bits(file_type) == _bits(wanted)  # newer than the gguf package
    is_another = bool(file_type) and wanted in _file_types() and not _is_mix(name)
    known = file_type or next(iter(quantised), "")
    if is_another or _bits(known) != _bits(wanted):
        return False
    return _is_mix(name) or bool(tensor_kinds(wanted) & (set(quantised) | of_file_type))


@cache
def _file_types() -> frozenset[str]:
    from gguf.constants import LlamaFileType

    return frozenset(
        kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType
    )


def named_in(text: str) -> Iterator[str]:
    """The names of quantisations in a text, the last first: `UD-Q4_K_XL` in `Model-UD-Q4_K_XL`."""
    for found in reversed(list(_NAME.finditer(text))):
        mark = {"UD": "UD-", "I1": "i1-"}.get((found["mark"] or "").upper(), "")
        yield mark + found["name"].upper().replace("-", "_")


def base_name(text: str) -> str:
    """A model's name without quantisation, part and file ending, in lower case.

    `qwen3.5-35b-a3b` for `Qwen3.5-35B-A3B-UD-Q4_K_M` and `Qwen3.5-35B-A3B.Q8_0`.
    """
    plain_text = re.sub(r"\.gguf$|-\d{5}-of-\d{5}(?=\.|$)", "", text, flags=re.IGNORECASE)
    plain_text = _NAME.sub("", plain_text)
    return re.sub(r"[-_. ]+", "-", plain_text).strip("-").lower().replace("-gguf", "")


def _lacks_file_type(header: Header) -> bool:
    return header.quant in _NO_FILE_TYPE or header.quant.startswith("file type")


def known_name(header: Header, *texts: str) -> str:
    """The name of a file's quantisation.

    It is the most precise name in the texts (file name, model name) that the header does not
    contradict; else the file type; else the most common type of quantised tensors; else `unknown`.
    """
    file_type = "" if _lacks_file_type(header) else header.quant
    names = [name for text in texts for name in named_in(text) if bears_out(header, name)]
    names = [name for name in names if _is_as_precise(name, file_type)]
    if names:
        best = max(names, key=lambda name: name.count("_") + name.count("-"))
        return file_type if plain(best) == file_type and not _MARK.match(best) else best
    if file_type:
        return file_type
    types = tensor_types(header)
    common = next((kind for kind in types if kind not in _FLOATS), next(iter(types), "unknown"))
    is_new = header.quant.startswith("file type") and common.startswith("type")
    return header.quant if is_new else common


def _is_as_precise(name: str, file_type: str) -> bool:
    """False if the file type says more: `Q4_K_M` instead of `Q4_K` (`_MOE` does not count)."""
    wanted = plain(name)
    return wanted == file_type.removesuffix("_MOE") or not file_type.startswith(f"{wanted}_")
