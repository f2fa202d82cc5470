"""The mathematical expression that an answer commits to, as LaTeX, by the order of evidence of `evidence.py`.

Mathematics stands in an answer as LaTeX, as plain signs, or as both in one formula: `f'(x) = $3x^2$`. So a sentence is read in
tokens: runs of mathematics between words. What `,`, `and` or `or` joins is one statement, which names several values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from scripts.lib.scoring.courtesy import without_courtesy
from scripts.lib.scoring.evidence import (
    BOXED,
    Reading,
    Statement,
    Undecided,
    balanced,
    corrects,
    settle,
    statements,
    tail,
)
from scripts.lib.scoring.quantities import named_numbers

Equals = Callable[[str], bool | None]


def _any(*phrases: str) -> str:
    """A pattern for any of some phrases; a blank in one stands for any white space."""
    return "(?:" + "|".join(phrase.replace(" ", r"\s+") for phrase in phrases) + ")"


# --- notation ---------------------------------------------------------------------------------------------------------

_VULGAR = re.compile("[¼-¾⅐-⅞]")
_POWERS = re.compile("[⁺⁻⁰¹²³⁴-⁹ⁱⁿ]+")
_INDICES = re.compile("[₀-₉]+")
_POWER_SIGNS = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁱⁿ", "+-0123456789in")
_INDEX_SIGNS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SIGNS = {
    **dict.fromkeys("−–‒﹣－‐‑", "-"),
    **dict.fromkeys("·∙⋅•", r" \cdot "),
    **dict.fromkeys("×✕✖⨯", r" \times "),
    **dict.fromkeys("÷⁄∕", "/"),
    **dict.fromkeys("≈≃≅∼", r" \approx "),
    **dict.fromkeys("→⟶⇒⟹⇔", r" \to "),
    **dict.fromkeys("≤⩽", r" \le "),
    **dict.fromkeys("≥⩾", r" \ge "),
    **dict.fromkeys("′’ʹ", "'"),
    **dict.fromkeys("°✓✔✅■□∎", " "),
    **{"π": r" \pi ", "∞": r" \infty ", "√": r" \sqrt ", "∛": r" \cbrt ", "±": r" \pm ", "∓": r" \mp "},
    **{"∪": r" \cup ", "∖": r" \setminus ", "∈": r" \in ", "∅": r" \emptyset ", "≠": r" \ne "},
    **{"∫": r" \int ", "∑": r" \sum ", "∏": r" \prod ", "…": "...", "∣": "|", "⟨": r"\langle ", "⟩": r"\rangle "},
    **{"ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}"},
    **{"ℯ": "e", "ⅇ": "e", "ⅈ": "i"},
    **{greek: rf" \{unicodedata.name(greek).split()[-1].lower()} " for greek in "αβγδεζηθικλμνρστυφχψω"},
}
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_FORMAT = re.compile(
    r"\\(?:left|right|middle|displaystyle|textstyle|limits|nolimits|[bB]igg?[lrm]?|quad|qquad|thinspace|hfill|strut"
    r"|therefore|checkmark|blacksquare|square|Box|qed)(?![A-Za-z])|(?<!\\)\\[,;:! >]|~"
    r"|\\(?:tag|label|hspace|vspace|color|phantom)\*?\s*\{[^{}]*\}|\\textcolor\s*\{[^{}]*\}"
)
_WRAP = r"boxed|fbox|underline|ensuremath|cancel|boldsymbol|bm|math(?:rm|bf|it|sf|tt|ord|op)"
_WRAPPED = re.compile(rf"\\(?:{_WRAP})\s*\{{(?=[^{{}}]*[{{\\])")
_STYLED = re.compile(
    rf"\\(?:{_WRAP}|text(?:rm|bf|it|sf|tt|up|normal)?|operatorname|rm|mbox|hbox|emph)\*?\s*"
    r"\{(?P<inner>[^{}]*)\}(?P<power>\s*\^\s*(?:\{\s*-?\d\s*\}|-?\d))?"
)
_CONDITION = _any(
    *("if", "for", "where", "when", "since", "because", "with", "provided", "as", "given", "assuming", "unless", "on"),
    *("whenever", "valid", "but", "not", "für", "pour", "wenn"),
)
_FUNCTION = (
    r"(?:arc(?:sin|cos|tan)h?|ar(?:sin|cos|tan)h|(?:sin|cos|tan)h?|cot|sec|csc|ln|log|lg|exp|sqrt|cbrt|pi|abs"
    r"|floor|ceil|binom)"
)
_SET_BUILDER = re.compile(
    r"\\\{[^{}|:<>=]*(?:\{[A-Z]\}\s*)?(?:\\mid|\\vert|\||:)(?P<rule>[^{}|]*?(?:[<>=]|\\[lg]eq?|\\neq?)[^{}|]*)\\\}"
)
_ROWS = re.compile(r"\\(?:begin|end)\{(?:align(?:ed|at)?|gather(?:ed)?|split|eqnarray|equation|multline)\*?\}(?:\{\d\})?")
_ROW_END = re.compile(
    r"\\begin\{(?P<name>[a-zA-Z]*matrix|array)\}.*?\\end\{(?P=name)\}|(?P<end>\\\\(?:\[[^\]]*\])?)", re.DOTALL
)
_JOINTS = {**dict.fromkeys(("or", "oder", "ou", "oppure"), "or"), **dict.fromkeys(("and", "und", "et"), "and")}


def _signs(text: str) -> str:
    """Typography as ASCII and LaTeX: `½` is \\frac{1}{2}, `x²` is x^{2}, `√` is \\sqrt, `−` is -."""
    if text.isascii():
        return text
    text = _VULGAR.sub(lambda m: r"\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", m[0]).split("\u2044")), text)
    text = _POWERS.sub(lambda m: f"^{{{m[0].translate(_POWER_SIGNS)}}}", text)
    text = _INDICES.sub(lambda m: f"_{{{m[0].translate(_INDEX_SIGNS)}}}", text)
    for _ in range(2):
        text = unicodedata.normalize("NFKC", _SIGN.sub(lambda m: _SIGNS[m[0]], text))
    return text


def _from_plain(text: str) -> str:
    """Plain mathematics as LaTeX: `x**2`, `{1, 2}`, `>=`, `3 x 4`, `2 1/2`, `infinity`."""
    text = re.sub(
        r"\\\w+\s*|(?<=[\^_])\s*\{[^{}]*\}|[{}]", lambda m: f"\\{m[0]}" if m[0] in "{}" else m[0], text.replace("**", "^")
    )
    text = re.sub(r"(?<![A-Za-z\\])(?:infinity|infty|inf|oo)(?![A-Za-z])", r"\\infty ", text)
    for plain, latex in ((">=", r"\ge "), ("<=", r"\le "), ("!=", r"\ne "), ("=>", r"\to "), ("->", r"\to ")):
        text = text.replace(plain, latex)
    text = re.sub(r"(?<=\d)\s*[xX]\s*(?=\d)", r" \\times ", text.replace("==", "=").replace("~=", r"\approx "))
    text = re.sub(r"(?<![\d.)^/*])(\d+)[ -](\d+)/(\d+)(?![\d.])", r"\1\\frac{\2}{\3}", text)
    return re.sub(r"\^\s*\(([^()]*)\)", r"^{\1}", text)


def _styled(match: re.Match[str]) -> str:
    """`\\mathrm{e}` is e, `\\text{ln}` is \\ln, `\\text{ or }` joins, `\\text{if}` begins a condition; other words say nothing."""
    inner, power = match["inner"], match["power"] or ""
    word = inner.strip().strip("()[].,:").strip().lower()
    if word in _JOINTS:
        return rf" \l{_JOINTS[word]} "
    if re.fullmatch(_FUNCTION, word):
        return rf" \{word} {power}"
    if word in ("percent", "per cent", "pct", "%", r"\%"):
        return r"\% "
    if re.match(rf"{_CONDITION}\b", word):
        return r" \where "
    if re.match(r"(?:approx|about|roughly|circa|ca\b)", word):
        return r" \approx "
    return " " if re.search(r"[^\W\d_]{2}", inner) else inner + power


def _unwrapped(text: str) -> str:
    """A text without boxes and styles around whole formulas, whose braces may hold others."""
    for _ in range(20):
        match = _WRAPPED.search(text)
        inner = balanced(text, match.end() - 1) if match else None
        if match is None or inner is None:
            break
        text = f"{text[: match.start()]} {inner} {text[match.end() + len(inner) + 1 :]}"
    return text


def _last_row(text: str) -> str:
    """The last row of several aligned ones; rows of a matrix are none. Those of `cases` are a list."""
    if r"\\" not in text:
        return text
    cases = re.search(r"\\begin\{cases\}(.*?)\\end\{cases\}", text, re.DOTALL)
    if cases is not None:
        return cases[1].replace("&", " ").replace(r"\\", ", ")
    text = _ROWS.sub(" ", text)
    rows, begin = [], 0
    for match in _ROW_END.finditer(text):
        if match["end"]:
            rows.append(text[begin : match.start()])
            begin = match.end()
    rows = [row for row in (*rows, text[begin:]) if re.search(r"\w", row)]
    return re.sub(r"^\s*&|&(?=\s*[=<>\\])|(?<==)\s*&", " ", rows[-1]) if rows else text


def tidy(expression: str) -> str:
    """An expression in plain LaTeX: without styles, spacing, words, conditions and the punctuation around it."""
    text = _signs(_last_row(expression.replace("{,}", ",").replace("$", "").replace(r"\*", "*")))
    text = _unwrapped(_FORMAT.sub(" ", re.sub(r"(?<=\d)(?:\\[,;: ]|~)(?=\d{3}(?!\d))", "", _ROWS.sub(" ", text))))
    text = re.sub(r"&(?=\s*=)", " ", text)
    for _ in range(4):
        if not _STYLED.search(text):
            break
        text = _STYLED.sub(_styled, text)
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))|\\degree(?![A-Za-z])", " ", text)
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text).replace(r"\infinity", r"\infty").replace(r"\tbinom", r"\binom")
    text = re.sub(r"(?<![A-Za-z\\])(?:or|and)(?![A-Za-z])", lambda m: rf" \l{m[0]} ", text)
    text = re.sub(r"\s*\\?%", r"\\%", re.sub(r"(?<![A-Za-z\\])per\s?cent(?:age)?(?![A-Za-z])", r"\\%", text))
    builder = _SET_BUILDER.search(text)
    text = _without_dots(builder["rule"] if builder else text)
    text = re.sub(r"\(([^()|]+)\|([^()|]+)\)", r"(\1, \2)", text)
    return _trimmed(" ".join(_without_aside(text.partition(r"\where")[0]).split()))


def _without_dots(text: str) -> str:
    """`0.333...` is a repeating decimal; other decimals with dots behind them are roundings."""
    dots = r"\s*(?:\.{3}|\\[lc]?dots(?![A-Za-z]))"
    text = re.sub(rf"(?<!\d)(\d*\.(?:\d*?))(\d)\2{{2,}}{dots}", r"\1\\overline{\2}", text)
    return re.sub(rf"=(\s*-?\d*\.\d+){dots}", r"\\approx \1", text)


def _without_aside(text: str) -> str:
    """An expression without the bracket at its end: `(x > 0)` is a condition; `(0.5)` restates it and is joined by `or`."""
    match = re.search(r"(?P<gap>[,;]?\s*)\((?P<inner>[^()\[\]]*)\)[\s.,;!]*$", text)
    before = text[: match.start()] if match is not None else ""
    if match is None or not before.strip():
        return text
    inner = match["inner"].strip()
    if re.match(r"[=≈~]|\\approx|\\text", inner) or re.search(r"[<>]|\\(?:[lg]eq?|neq?|in)(?![A-Za-z])", inner):
        return before
    value = re.search(r"(?:\d|[)}%]|\\pi|(?<![A-Za-z])[A-Za-z])$", before) is not None
    simple = re.fullmatch(r"-?\s*(?:\d+(?:\.\d+)?(?:\s*\\%|/\d+)?|\\frac\{\d+\}\{\d+\})", inner)
    return rf"{before} \lor {inner}" if match["gap"] and value and simple else text


_LOOSE_START = re.compile(r"^(?:[.,;:=*/^_&\s'\"`](?!\d)|[,;:=*/^_&\s'\"`]|\\(?:to|cdot|times|lor|land)(?![A-Za-z]))+")
_LOOSE_END = re.compile(r"(?<!\\)(?:[.,;:?=<>+*/^_&\s\"`-]|(?<=\s)'|\\\\|\\(?:to|cdot|times|approx|lor|land))+$")


def _trimmed(text: str) -> str:
    """An expression without signs that hang loose at its ends."""
    for _ in range(20):
        shorter = _LOOSE_END.sub("", _LOOSE_START.sub("", text))
        shorter = re.sub(r"(?<=[\w)}])\s+!+$", "", shorter)
        opened = sum(map(shorter.count, "([")) - sum(map(shorter.count, ")]"))
        if shorter.endswith(")") and opened < 0:
            shorter = shorter[:-1]
        if shorter.startswith("(") and opened > 0:
            shorter = shorter[1:]
        if shorter == text:
            break
        text = shorter
    return text


# --- formulas in text -------------------------------------------------------------------------------------------------

# A formula is masked by one sign, so that its dots, commas and words do not cut a sentence.
_FIRST_MASK, _MASKS = 0xE000, 6400
_MASK = f"{chr(_FIRST_MASK)}-{chr(_FIRST_MASK + _MASKS - 1)}"
_ANY_MASK = re.compile(f"[{_MASK}]")
_FORMULA = re.compile(
    r"```(?:math|latex|tex)?[ \t]*\n(?P<fenced>[^`]{1,500}?)\n[ \t]*```|\$\$(?P<display>[^$]{1,2000}?)\$\$"
    r"|\\\[(?P<brackets>.{1,2000}?)\\\]|\\\((?P<inline>.{1,2000}?)\\\)"
    r"|(?<![\\\d$])\$(?![\s$])(?P<dollars>[^$\n]{0,1000}?[^$\n\s\\])\$(?![\d$])"
    r"|(?P<rows>\\begin\{(?P<name>[a-zA-Z]*matrix|array|align(?:ed)?\*?|gather(?:ed)?\*?|equation\*?|cases)\}"
    r".{1,2000}?\\end\{(?P=name)\})|`(?P<code>[^`\n]{1,300})`",
    re.DOTALL,
)
# What opens a formula, of one that is closed no sign is left.
_OPEN = re.compile(r"\$\$|\\\[|\\\(|\\begin\{|\\boxed\{|\$[^$]*\\[^$]*$")
_COMMANDS = re.compile(r"\\[A-Za-z]+\s*(?:\{[A-Za-z ,.()]*\})?")
# A letter of a word; a raised or lowered sign or a fraction in one sign is none.
_LETTER = "[^\\W\\d_²³¹⁰⁴-⁹ⁱⁿ₀-₉¼-¾⅐-⅞]"
_PROSE = re.compile(f"{_LETTER}{{2,}}")


def _words(text: str) -> list[str]:
    """The words of a text of mathematics: no commands and no names of functions."""
    return [word for word in _PROSE.findall(_COMMANDS.sub(" ", text)) if not re.fullmatch(_FUNCTION, word)]


@dataclass(frozen=True, slots=True)
class _Masked:
    """A text in which each formula is one sign, and the formulas."""

    text: str
    formulas: tuple[tuple[str, bool], ...]

    def formula(self, sign: str) -> tuple[str, bool]:
        """(the formula behind a sign, whether it is LaTeX)."""
        return self.formulas[ord(sign) - _FIRST_MASK]


def _masked(text: str) -> _Masked:
    """A text with its formulas masked: those in delimiters, and lines that hold LaTeX and no words."""
    formulas: list[tuple[str, bool]] = []

    def mask(inner: str, is_latex: bool) -> str:
        formulas.append((inner, is_latex))
        return chr(_FIRST_MASK + len(formulas) - 1)

    def formula(match: re.Match[str]) -> str:
        kind = next(name for name, found in match.groupdict().items() if found is not None and name != "name")
        inner = match[kind]
        most_words = {"code": 0, "dollars": 2, "fenced": 2}.get(kind, 99)
        if len(formulas) >= _MASKS or len([word for word in _words(inner) if len(word) > 2]) > most_words:
            return inner if kind == "code" else match[0]
        return mask(inner, kind not in ("code", "fenced") or "\\" in inner)

    def line(match: re.Match[str]) -> str:
        bare = match[0].strip(" *_.")
        closed = not _OPEN.search(bare) and bare.count("{") == bare.count("}")
        is_formula = closed and not _words(bare) and not _ANY_MASK.search(bare) and len(formulas) < _MASKS
        return match[0].replace(bare, mask(bare, True)) if is_formula else match[0]

    without = _FORMULA.sub(formula, _ANY_MASK.sub("", text))
    return _Masked(re.sub(r"^.*\\.*$", line, without, flags=re.MULTILINE), tuple(formulas))


# --- runs of mathematics in a sentence --------------------------------------------------------------------------------

_GROUPS = r"(?:\s*(?:\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\[[^\[\]]*\](?=\s*\{)))*"
_TOKEN = re.compile(
    rf"(?P<mask>[{_MASK}])"
    rf"|(?P<latex>\\[A-Za-z]+{_GROUPS}|\\[{{}}%,;:! ]|[\^_]\s*\{{[^{{}}]*\}}|\{{[^{{}}]*\}})"
    r"|(?P<number>\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?|\.\d+)"
    rf"|(?P<word>{_LETTER}(?:['’]?{_LETTER}|-(?={_LETTER}{{2}})|(?<={_LETTER}{{2}})-(?={_LETTER}))*)"
    r"|(?P<sign>[-+*/^_=<>()\[\]|!%'′−–·∙⋅×÷⁄√∛±∓∪∖∈∞∅≤≥≠≈→⇒⁺⁻⁰¹²³⁴-⁹ⁿ₀-₉¼-¾⅐-⅞°ℝ…]|\.{3})"
    r"|(?P<space>[ \t]+)|(?P<other>.)",
    re.DOTALL,
)
_SHORT_WORDS = re.compile(
    "is|of|or|so|we|if|in|at|to|an|as|by|be|do|he|it|me|my|no|on|up|us|am|go|the|and|for|not|are|was|its|but|has|can"
    "|our|la|le|de|un|es|il|et|der|die|das"
)
_OPERATOR = re.compile(r"[-+*/^_=<>(\[|'′−–·∙⋅×÷⁄√∛±∓∪∖∈≤≥≠≈→⇒]$")
_BEGINS_OPERATOR = re.compile(
    r"[-+*/^_=<>)\]|!%'′−–·∙⋅×÷⁄±∓∪∖∈≤≥≠≈→⇒⁺⁻⁰¹²³⁴-⁹ⁿ…°]|\.{3}|\\(?:cdot|times|pm|le|ge|cup|approx)|\\%"
)


@dataclass(slots=True)
class _Run:
    """Mathematics between words: its pieces (text, whether LaTeX) and its place in the masked text."""

    start: int
    end: int
    pieces: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def latex(self) -> str:
        parts: list[str] = []
        plain = ""
        for text, is_latex in self.pieces:
            if is_latex:
                parts += [_from_plain(plain), text]
                plain = ""
            else:
                plain += text
        return tidy("".join((*parts, _from_plain(plain))))


@dataclass(frozen=True, slots=True)
class _Phrase:
    """One or several runs that are joined, as LaTeX, with its place in the sentence."""

    latex: str
    start: int
    end: int


def _is_mathematics(match: re.Match[str], text: str) -> bool:
    """Whether a word is mathematics: a letter, a function's name, or letters that signs hold on to (`2xy`, `xe^x`)."""
    word = match["word"]
    if not word.isascii() and not re.fullmatch("[α-ω]", word):
        return False
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    if len(word) == 1:
        follows_word = re.match(r"\s+[^\W\d]{2}", text[match.end() : match.end() + 4]) is not None
        return not (word in "aAI" and before in ("", " ", "(", "*") and follows_word)
    if re.fullmatch(rf"{_FUNCTION}|infinity|infty|oo|log10|log2", word):
        return word not in ("sec", "abs", "floor") or after == "("
    if _SHORT_WORDS.fullmatch(word) or len(word) > 3 or not word.islower():
        return False
    holds_before = before != "" and before in "0123456789^*/(+-)²³"
    return holds_before or (after != "" and after in "^*/)²³") or (after == "(" and len(word) == 2)


_UNIT_GOES_ON = re.compile(r"[²³]?\s*(?:[=×·*≈]|[+/−-]\s+\d)")


class _Reader:
    """Collects the runs of a text, and what stands between each and the next: `and`, `or`, `,`, or `-` for other words."""

    def __init__(self, masked: _Masked, text: str) -> None:
        self.masked, self.text = masked, text
        self.runs: list[_Run] = []
        self.joints: list[str] = []
        self.current: _Run | None = None
        self.joint, self.depth, self.gap = "", 0, False
        for match in _TOKEN.finditer(text):
            self.read(match)

    def read(self, match: re.Match[str]) -> None:
        kind, token = str(match.lastgroup), match[0]
        if kind == "space":
            self.gap = True
        elif kind == "word" and not _is_mathematics(match, self.text):
            if self.current is not None and self.is_unit(match):
                self.gap = True
            else:
                self.stop(_JOINTS.get(token.lower(), ""), token)
        elif kind == "other" and not (token in ",;:" and self.depth):
            if token not in "*`\"'“”":
                self.stop("," if token == "," else "")
            self.gap = False
        else:
            self.add(match, kind, token)

    def is_unit(self, match: re.Match[str]) -> bool:
        """Whether a word is a unit inside a formula: `9 cm × 8 cm = 72 cm²`."""
        behind_number = re.search(r"[\d²³)]\s*$", self.text[max(0, match.start() - 3) : match.start()]) is not None
        return behind_number and _UNIT_GOES_ON.match(self.text, match.end()) is not None

    def stop(self, joined: str, word: str = "") -> None:
        """A word or a sign that is no mathematics ends the run. Of `-4 °C or maybe -5 °C` the joint is `°C or`."""
        if self.joint.endswith("or") and word in ("maybe", "perhaps", "possibly", "even", "rather"):
            pass
        elif joined == "or" and self.joint.startswith("-") and len(self.joint) > 1:
            self.joint = f"{self.joint[1:]} or"
        elif not joined or self.joint.startswith("-") or " " in self.joint:
            self.joint = f"-{word}" if self.current is not None and word else "-"
        elif self.joint in ("", ","):
            self.joint = joined
        self.current, self.depth, self.gap = None, 0, False

    def add(self, match: re.Match[str], kind: str, token: str) -> None:
        goes_on = self.current is not None and (not self.gap or self.depth or _goes_on(self.current, match))
        if self.current is None or not goes_on:
            if self.runs:
                self.joints.append(self.joint if self.current is None else "-")
            self.current, self.depth = _Run(match.start(), match.end()), 0
            self.runs.append(self.current)
        elif self.gap:
            self.current.pieces.append((" ", False))
        piece = self.masked.formula(token) if kind == "mask" else (token, kind == "latex" and token[0] != "{")
        self.current.pieces.append(piece)
        self.current.end = match.end()
        self.depth = max(0, self.depth + (token in ("(", "[", r"\{")) - (token in (")", "]", r"\}")))
        self.joint, self.gap = "", False


def _goes_on(run: _Run, match: re.Match[str]) -> bool:
    """Whether a token behind a blank belongs to the run: `x + 2`, `3 x`, `2 1/2`, `ln x`; not `4 5` nor `x 2`."""
    token, kind, text = match[0], str(match.lastgroup), match.string
    last = text[run.end - 1]
    if _OPERATOR.search(last):
        return True
    if _BEGINS_OPERATOR.match(token):
        return True
    before = run.pieces[-1][0].strip()
    if re.fullmatch(_FUNCTION, before.removeprefix("\\")):
        return True
    if kind == "number":
        return before.isdigit() and re.match(r"\d+/\d", text[match.start() :]) is not None
    if kind == "mask" or _ANY_MASK.fullmatch(last):
        return False
    operand = last.isdigit() or last in ")}²³½°"
    return operand and (token == "(" or kind in ("latex", "word") or token in "√π¼½¾⅓⅔")


def _phrases(masked: _Masked, text: str) -> list[_Phrase]:
    """The statements of mathematics in a piece of a sentence: runs, those that are joined as one."""
    reader = _Reader(masked, text)
    found: list[_Phrase] = []
    place = -2
    for number, run in enumerate(reader.runs):
        latex = run.latex
        if not re.search(r"\d|[A-Za-z]", re.sub(r"\\(?:to|cdot|times|le|ge|approx|pm|in)\b", "", latex)):
            continue
        joint = reader.joints[number - 1] if number else "-"
        if joint.endswith(" or") and re.match(rf"[\s*_]*{re.escape(joint[:-3])}\b", text[run.end :]):
            joint = "or"
        lead = re.match(r"[\s=≈~]*", text[run.start : run.end])
        start = run.start + (lead.end() if lead else 0)
        if found and place == number - 1 and joint in (",", "or", "and"):
            between = ", " if joint == "," else rf" \l{joint} "
            found[-1] = _Phrase(found[-1].latex + between + latex, found[-1].start, run.end)
        else:
            found.append(_Phrase(latex, start, run.end))
        place = number
    return found


# --- sentences and clauses --------------------------------------------------------------------------------------------

# What may stand before the first word of a clause; a masked formula is no such sign.
_GAP = f"[^\\w{_MASK}]*"
_SENTENCE = re.compile(
    r"(?<!\b(?:eq|vs|cf|ca|sq|no|st)\.)(?<!approx\.)(?<!resp\.)(?<=[.?!])[\"')\]*_]*\s+(?=[^a-zà-ÿ\s])|(?<=[。！？])"
)
_BESIDE = re.compile(
    _any(
        *(r"\bwould (?:be|have|give|become|then|get|yield|equal|make|only)\b", r"\b(?:could|might) (?:be|also|have)\b"),
        *(r"\bfor (?:example|instance|comparison)\b", r"\b(?:confus|compar)(?:e|ed|ing)\b", r"\bby the way\b"),
        *(r"\b(?:many|some|most) (?:people|students|textbooks|authors|sources)\b", r"\btextbooks?\b", r"\bincidentally\b"),
        *(r"\bcommon (?:mistake|error)\b", r"\binterestingly\b", r"\b(?:i|we) (?:first |initially |originally )?thought\b"),
        *(r"\b(?:you|we|one) can (?:also )?(?:check|verify|confirm)\b", r"\bzum beispiel\b", r"\bpar exemple\b", "例如", r"\bother units\b"),
        r"\b(?:is|are|was|were|be) (?:\w+ )?(?:wrong|incorrect|not correct|a mistake)\b",
    )
    + rf"|^{_GAP}"
    + _any(
        r"(?:and |but )?if\b",
        r"(?:note|remark|hint|tip|fun fact|check(?:ing)?|verif\w+|sanity check|proof|explanation)\b\s*[:,]",
        r"(?:note that|indeed|its|moreover|furthermore|additionally|likewise)\b",
    ),
    re.IGNORECASE,
)
_SPECIAL_CASE = re.compile(rf"^{_GAP}(?:for|when|at|with|taking|setting|if|putting|let)\s+{_GAP}(?=\S)", re.IGNORECASE)
_CONCLUDES = re.compile(
    rf"(?:^{_GAP}|[,;:]\s+)(?:and\s+)?"
    + _any("so", "therefore", "thus", "hence", "finally", "in conclusion", "consequently", "also", "donc")
    + r"\b|因此|所以",
    re.IGNORECASE,
)
# A clause that begins with one of these gives a reason, a condition or a remark; the answer stands before it.
_SUBORDINATE = (
    _any(
        *("because", "since", "as (?:the|it)", r"as \w+ (?:is|are)", "where", "whereas", "while", "when", "whenever", "if"),
        *("unless", "provided", "for", "using", "with", "depending", "rather than", "instead of", "given", "assuming"),
        *("which", "who", "whose", "but not", "and not", "not", "than", "compared", "unlike", "excluding", "without"),
        *("despite", "although", "though", "even though", "valid", "obtained", "found by", r"by \w+ing", "after", "before"),
        *("from which", "the other", "weil", "denn", "da", "wobei", "falls", "für", "wenn", "car", "puisque", "parce"),
        *("où", "pour", "porque", "ya que", "being", "over the", "during", "across", "from", "within", "per", "and its"),
    )
    + r"\b|因为"
)
_CAUSE = re.compile(r"\s(?:because|since|as|where|when|whenever|if|but|and|not|weil|denn|da|car|puisque|parce|porque)\b", re.I)
_BEGINS_SUBORDINATE = re.compile(rf"{_GAP}(?:{_SUBORDINATE})", re.IGNORECASE)
_INSIDE_SUBORDINATE = re.compile(rf"\s(?:{_SUBORDINATE})", re.IGNORECASE)
_RESTATES = re.compile(
    _GAP
    + _any(
        *("that is(?: to say)?", "or", r"which (?:is|equals)", "equivalently", "namely", "in other words", "alternatively"),
        *("c['’]est-à-dire", "das heißt"),
    )
    + r"(?!\w),?",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    rf";\s+|\s*—\s*|\s+[–-]{{1,2}}\s+(?={_LETTER}{{2}})(?!{_FUNCTION}\b)|:\s+"
    rf"|,(?=[一-鿿])|,\s+(?=(?:{_LETTER}{{2,}}|I\b|a\b))(?!{_FUNCTION}\b)(?!(?:and|or|und|oder|et|ou)\s+{_GAP}\S{{1,12}}\s*(?:$|[.,]))"
    r"|，|；|：|,?\s+(?=but\b)",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"(?:\b"
    + _any(
        *("is", "are", "was", "be", "equals?", "gives?", "yields?", "becomes?", "makes?", "leaves?", "gets?", "have", "has"),
        *("obtain", "find", r"(?:comes?|simplif(?:y|ies)|reduces?|evaluates?|amounts?|equal|equivalent) (?:out )?to"),
        *(r"(?:at|in|point|pair|set|interval)(?=\W*[(\[{])", "result", "answer", "conclude", "remains?", "write", "written as"),
        *("expressed as", "contains?", "costs?", "takes?", "pays?", "total of", "ist", "sind", "beträgt", "lautet"),
        *("est", "vaut", "sont", "donc", "es", "son", "giving", "yielding", "leaving", "getting", "so", "hence", "thus"),
    )
    + r"\b|[=:→>]|[为是得])[\s*_$({\[=≈~:]*(?:"
    + _any(
        *("then", "exactly", "simply", "just", "only", "therefore", "thus", "hence", "equal to", "given by", "either"),
        *("the (?:point|set|interval|number|value|expression|fraction|pair|matrix)", "both", "now", "indeed", "all"),
        *("donc", "also", "somit"),
    )
    + r"\b[\s*_$:,]*)*$",
    re.IGNORECASE,
)
_NEARLY = _any(
    *("about", "approximately", "approximated (?:as|by|to)", r"approx\.?", "roughly", "around", "nearly", "almost", "environ", "etwa", "rund", "circa"),
    *(r"ca\.", "numerically", r"decimal(?:ly)?(?: \w+)?"),
)
_ROUNDED = re.compile(rf"(?:\b{_NEARLY}|[≈~≃])[\s*_$:(]*(?:is\s+)?(?:equal\s+to\s+)?$", re.IGNORECASE)
_IS_ROUNDED = re.compile(rf"\b{_NEARLY}(?!\w)|[≈~]", re.IGNORECASE)
_DENIED = re.compile(
    r"\b"
    + _any("not", "never", "neither", "nor", r"\w+n['’]t", "rather than", "instead of", "unlike", "nicht", "pas")
    + r"(?:\s+(?:equal\s+to|simply|just|the|be|a))*[\s*_$]*$",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"\b(?:i|we)\s+(?:can(?:not|['’]t)|could\s*n[o'’]t|am\s+(?:not\s+able|unable)|(?:do|did)(?:\s+not|n['’]t)\s+know"
    r"|will\s+not|won['’]t)\b|\b(?:cannot|can\s*not|impossible\s+to)\s+(?:be\s+)?(?:determine|say|tell|answer|know|calculat"
    r"|comput)\w*\b|\bnot\s+enough\s+information\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"\s*\([^()\n]{0,300}(?:\([^()\n]{0,100}\)[^()\n]{0,300}){0,5}\)")
_BOLD = re.compile(r"(?<![\w)*])(?:\*\*|__)(?=[^\s*])([^*\n]{1,200}?)(?:\*\*|__)(?![\w(])")
_ITALIC = re.compile(r"(?<![\w)*\\])([*_])(?=[^\s*_])([^*_\n]{1,200}?)(?<=[^\s*_])\1(?![\w(*_])")
_HEADING = re.compile(r"(?:step|case|part|method|option)\b|\d+[.)]\s", re.IGNORECASE)
def _rows(match: re.Match[str]) -> str:
    """Rows of a matrix in plain text: `[1 2; 0 1]`, or one row a line, as `[[1, 2], [0, 1]]`."""
    rows = [re.findall(r"-?[\w./]+", row) for row in re.split(r"[;\n]", match[0]) if re.search(r"\w", row)]
    if any(re.search(r"[A-Za-z]{2}", cell) for row in rows for cell in row) or len({len(row) for row in rows}) != 1:
        return match[0]
    listed = [f"[{', '.join(row)}]" for row in rows]
    return f"[{', '.join(listed)}]\n" if len(rows) > 1 else listed[0]


def _choose(match: re.Match[str]) -> str:
    return rf"\binom{{{match[1] or match[3]}}}{{{match[2] or match[4]}}}"


_REPLACED: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\bi\.\s?e\.,?|\bd\.\s?h\.,?", re.IGNORECASE), "that is"),
    (re.compile(r"\be\.\s?g\.,?|\bz\.\s?B\.,?"), "for example"),
    (re.compile(r"(?<=\d)\s*(?:percent|per\s+cent|pct|Prozent|pour\s+cent|por\s+ciento)\b"), "%"),
    (re.compile(r"(?<=[\],])\s*\n\s*(?=\[)"), " "),
    (re.compile(r"(?<=\d)[\u00a0\u202f\u2009](?=\d{3}(?!\d))|(?<=^\d)\s(?=\d{3}\W*$)"), ""),
    (re.compile(r"\b(\d+)\s+out\s+of\s+(\d+)\b"), r"\1/\2"),
    (re.compile(r"(?<![\w.,])(?:1|[Oo]ne)\s+in\s+(?=[\d(])"), "1/"),
    (re.compile("[\U0001d400-\U0001d7ff\uff01-\uff5e]"), lambda m: unicodedata.normalize("NFKC", m[0])),
    (re.compile(r"(?:^[ \t]*[\[|(⎡⎢⎣][ \t]*-?[\w./]+(?:[ \t]+-?[\w./]+)+[ \t]*[\]|)⎤⎥⎦][ \t]*(?:\n|\Z)){2,}", re.MULTILINE), _rows),
    (re.compile(r"\[[ \t]*(?:-?[\w./]+[ \t]+)+-?[\w./]+[ \t]*(?:;[ \t]*(?:-?[\w./]+[ \t]+)+-?[\w./]+[ \t]*)*\]"), _rows),
    (re.compile(r"[€£¥₹]\s?(?=\d)"), ""),
    (re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{3}){2,}(?![\d.])"), lambda m: m[0].replace(".", "")),
    (re.compile(r"\(([^()\n]{1,20}?)\s+choose\s+(\w{1,5})\)|\b([a-z]|\d+)\s+choose\s+([a-z]|\d+)\b"), _choose),
    (re.compile(r"(?<=\d)\s+root\s+(?=\d)"), "√"),
    (re.compile(r"(?:\bthe\s+)?\bsquare\s+root\s+of\s+(?=[\d(]|[a-zπ]\b)", re.IGNORECASE), "√"),
    (re.compile(r"(?<=[\dπ)])\s+(?:times|multiplied\s+by)\s+(?=[\dπ(√]|pi\b|[a-z]\b)"), " · "),
    (re.compile(r"(?<=[\dπ)])\s+plus\s+(?=[\dπ(√]|pi\b)"), " + "),
    (re.compile(r"(?<=[\dπ)e])\s+minus\s+(?=[\dπ(√]|pi\b)"), " - "),
    (re.compile(r"(?<=[\dπ)i])\s+(?:divided\s+by|over)\s+(?=[\dπ(√])"), "/"),
)


def _spoken(text: str) -> str:
    """Abbreviations and mathematics in words as signs: `i.e.`, `50 percent`, `3 out of 6`, `pi over 4`, `square root of 3`."""
    for pattern, sign in _REPLACED:
        text = pattern.sub(sign, text)
    return text


def _is_aside(inner: str) -> bool:
    """Whether a bracket holds a remark: words, a rounding or the like; not `(x + 1)` or `(2, 3)`."""
    return bool(_words(inner)) or re.match(r"\s*(?:[=≈~]|\\approx)", inner) is not None


def _without_asides(text: str) -> str:
    def shorten(match: re.Match[str]) -> str:
        attached = not match[0][0].isspace() and re.search(r"[A-Za-z]\Z", text[: match.start()]) is not None
        return match[0] if attached or not _is_aside(match[0].strip()[1:-1]) else " " * len(match[0])

    return _ASIDE.sub(shorten, text) if "(" in text else text


def _unemphasised(line: str) -> str:
    return _ITALIC.sub(r"\2", _BOLD.sub(r"\1", line)) if "*" in line or "_" in line else line


def _split(pattern: re.Pattern[str], text: str) -> list[str]:
    """The pieces between matches outside of brackets that hold something."""
    pieces, begin, depth, seen = [], 0, 0, 0
    for match in pattern.finditer(text):
        depth += sum(map(text[seen : match.start()].count, "([{")) - sum(map(text[seen : match.start()].count, ")]}"))
        seen = match.start()
        if depth <= 0:
            pieces.append(text[begin : match.start()])
            begin = match.end()
    return [piece for piece in (*pieces, text[begin:]) if piece.strip()]


def _clauses(sentence: str) -> list[str]:
    """The clauses of a sentence; what a colon introduces belongs to a remark before it (`which you can check: …`)."""
    found: list[str] = []
    for piece in _split(_CLAUSE, sentence):
        ended = sentence.find(piece)
        before = sentence[:ended].rstrip()
        if found and before.endswith(":") and (_BEGINS_SUBORDINATE.match(found[-1]) or _BESIDE.search(found[-1])):
            found[-1] += f": {piece}"
        else:
            found.append(piece)
    return found


def _sentences(line: str) -> list[str]:
    return [sentence for sentence in _SENTENCE.split(line) if sentence.strip()]


def _telling(masked: _Masked, clause: str) -> list[_Phrase]:
    """The phrases of a clause that may be meant: not denied, no roundings of others, no mere names such as `f(x)`."""
    found = [p for p in _phrases(masked, clause) if not _DENIED.search(clause, max(0, p.start - 40), p.start)]
    names = r"[A-Za-z]'*|\\(?!pi\b|infty\b|emptyset\b)[a-z]+|[A-Za-z]'*\([A-Za-z]\)"
    strong = [p for p in found if not re.fullmatch(names, p.latex) or p.latex == "e"]
    exact = [p for p in strong if not _ROUNDED.search(clause, max(0, p.start - 40), p.start)]
    if exact or strong:
        return exact or strong
    return [p for p in found if not clause[p.end :].strip(" .*_!") and _VERB.search(clause, max(0, p.start - 80), p.start)]


def _chosen(masked: _Masked, clause: str, only_told: bool = False) -> str:
    """The phrase that a clause gives: behind its verb, else the last one; reasons and conditions behind it are left out."""
    for cut in _INSIDE_SUBORDINATE.finditer(clause):
        found = _telling(masked, clause[: cut.start()])
        if found and (_CAUSE.match(cut[0]) or any(_told(clause, phrase) for phrase in found)):
            clause = clause[: cut.start()]
            break
    found = _telling(masked, clause)
    told = [phrase for phrase in found if _told(clause, phrase)]
    found = told if told or only_told else found
    return found[-1].latex if found else ""


def _told(clause: str, phrase: _Phrase) -> bool:
    """Whether a phrase is what its clause says: an equation, or behind a verb, or all of it."""
    return "=" in phrase.latex or not clause[: phrase.start].strip(" *_(") or _VERB.search(clause, max(0, phrase.start - 80), phrase.start) is not None


def _of_sentence(masked: _Masked, sentence: str) -> str:
    """The expression that a sentence gives: that of its last main clause; what restates it is joined by `or`."""
    bare = _without_asides(_unemphasised(sentence))
    said = ""
    for clause in _clauses(bare):
        restated = _RESTATES.match(clause)
        beside = restated is None and (_BEGINS_SUBORDINATE.match(clause) or (said and _BESIDE.search(clause)))
        if beside or (said and _IS_ROUNDED.search(clause) and not _CONCLUDES.search(clause)):
            continue
        rest = clause[restated.end() :] if restated else clause
        if restated and said and not _begins_with_value(masked, rest):
            continue
        found = _chosen(masked, rest, only_told=bool(said) and not restated)
        if found:
            several = re.match(r"[^()\[\]{}]*,", said) is not None
            joint = r"\lor" if restated and restated[0].strip(" ,").lower() == "or" else r"\equiv"
            said = f"{said} {joint} {found}" if restated and said and not several else found
    return said or _chosen(masked, re.sub(rf"^{_GAP}(?:{_SUBORDINATE})", "", bare, flags=re.IGNORECASE))


def _begins_with_value(masked: _Masked, clause: str) -> bool:
    """Whether a clause begins with a value, apart from words such as `exactly`."""
    filler = _FILLER.match(clause)
    begin = filler.end() if filler else 0
    phrases = _phrases(masked, clause[begin:])
    return bool(phrases) and not clause[begin : begin + phrases[0].start].strip(" (*_$\"'")


def _named(sentence: str) -> str:
    """A number in words, such as `one half`."""
    found = named_numbers(sentence)
    return str(found[-1].value) if found else ""


def _bold(masked: _Masked, sentence: str) -> str:
    """The emphasised expression of a sentence: emphasis on words is none."""
    for inner in reversed(_BOLD.findall(sentence)):
        content = inner.strip()
        short = len(_PROSE.findall(content)) <= 3 and not content.endswith(":") and not _HEADING.match(content)
        if short and len(_phrases(masked, content)) == 1:
            return _chosen(masked, content)
    return ""


def _of_line(masked: _Masked, line: str, beside: bool) -> Iterator[str]:
    """The expressions of a line, that of its conclusion first."""
    if line.count("|") > 2 and line.strip().startswith("|"):
        line = line.strip().strip("|").rpartition("|")[2]
    told = [sentence for sentence in _sentences(line) if beside or not _is_beside(masked, sentence)]
    concluding = [sentence for sentence in told if _CONCLUDES.match(sentence)]
    yield from (found for sentence in reversed(told) if (found := _bold(masked, sentence)))
    yield from (found for s in (*concluding[-1:], *reversed(told)) if (found := _of_sentence(masked, s)))


def _is_beside(masked: _Masked, sentence: str) -> bool:
    """Whether a sentence is a remark, a question, or only says what the answer is about."""
    inner = sentence.strip(" .*_")
    if inner[:1] == "(" and inner[-1:] == ")" and _is_aside(inner[1:-1]) and _ASIDE.fullmatch(inner):
        return True
    if re.search(r"\?[\s*_\"')]*$", sentence):
        return True
    main = [clause for clause in _clauses(sentence) if not _BESIDE.search(clause)]
    if any(_CONCLUDES.search(f", {clause.lstrip()}") for clause in main):
        return False
    if _IS_ROUNDED.search(sentence) and not _without_roundings(masked, sentence):
        return True
    case = _SPECIAL_CASE.match(sentence)
    phrases = _phrases(masked, sentence[case.end() :]) if case else []
    if len(phrases) > 1 and re.match(r"[A-Za-z]\s*=\s*-?\d+(?![\w^])", phrases[0].latex):
        return True
    return _BESIDE.search(sentence) is not None


def _without_roundings(masked: _Masked, sentence: str) -> bool:
    """Whether a sentence gives more than a rounding."""
    return any(
        not _ROUNDED.search(sentence, max(0, p.start - 40), p.start) and re.search(r"[\d=]|\\", p.latex)
        for p in _phrases(masked, sentence)
    )


# --- the answer -------------------------------------------------------------------------------------------------------

# Further back from the end an expression is a step of the working.
_MOST_LINES = 12
_END_CHARACTERS = 3000
# A statement's value stands at its beginning. An answer of more statements repeats itself: the last ones count.
_STATEMENT_CHARACTERS = 500
_MOST_STATEMENTS = 40
_FILLER = re.compile(
    r"^(?:[\s*_`\"“”‘:=>]|\(?[A-H][).:]\s+(?=\S)|\b"
    + _any(
        *("that", "exactly", "precisely", "simply", "just", "only", "equal to", "equals?", "thus", "therefore", "indeed"),
        *("now", "then", "hence", "is", "are", "given by", "be", "so", "also", "either"),
        "the (?:value|number|point|set|interval|expression|fraction)",
    )
    + r"\b,?)*",
    re.IGNORECASE,
)
_MARKS = re.compile(r"^[ \t]*(?:[>#]+[ \t]*|[-+•*][ \t]+(?=\S)|(?:\d{1,2}[.)]|\(?[a-h]\))[ \t]+(?=\S))*")
_AFTERWARDS = re.compile(
    r"^[\s>#*_]*(?:(?:quick\s+|sanity\s+|double[- ])?check(?:ing)?|verification|verify(?:ing)?|explanation|note|remark"
    r"|justification|numerical(?:ly)?\s+check|alternative\w*(?:\s+\w+)?)[\s*_]*(?::|\n|$)",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(
    _GAP + _any("because", "since", "explanation", "reason", "this is", "here['’]?s", "to see", "we know", "steps?") + r"\b",
    re.IGNORECASE,
)


def _of_statement(statement: Statement, goes_on: bool) -> Iterator[str]:
    """The expressions that a statement may mean: the one that it begins with, else that of its sentence.

    A label before working that goes on (`Answer: We have 2x = 4. So …`) states nothing: the answer's end does.
    """
    if statement.form == "boxed" and len([word for word in _words(statement.text) if len(word) > 3]) < 2:
        yield tidy(statement.text) or statement.text
        return
    masked = _masked(_spoken(statement.text[:_STATEMENT_CHARACTERS]))
    lines = [line for line in masked.text.split("\n") if line.strip()]
    if statement.form.startswith("<") and len(lines) > 1:
        yield from _of_line(masked, lines[-1], True)
    sentences = _sentences(lines[0]) if lines else []
    sentence = _unemphasised(sentences[0]) if sentences else ""
    filler = _FILLER.match(sentence)
    bare = sentence[filler.end() :] if filler else sentence
    phrases = _phrases(masked, bare)
    if _begins_with_value(masked, bare):
        clause = _CLAUSE.search(bare, phrases[0].end)
        restated = clause is not None and _RESTATES.match(bare[clause.end() :]) is not None
        yield _of_sentence(masked, bare) if restated else phrases[0].latex
    if not goes_on:
        yield _of_sentence(masked, sentence)
        if not phrases:
            yield _named(sentence)


def _joined_boxes(text: str, found: Sequence[Statement]) -> list[Statement]:
    """Statements, boxes that a comma or a word joins as one: `\\boxed{1}` and `\\boxed{2}`."""
    kept: list[Statement] = []
    for statement in found:
        if statement.rank == BOXED and kept and kept[-1].rank == BOXED:
            between = text[kept[-1].end : statement.start]
            joint = re.fullmatch(
                r"[ \t$]*(?P<sign>[,;])?[ \t$]*(?:\\text\{\s*)?(?P<word>and|or)?[ \t}$]*(?:[A-Za-z]\s*=\s*)?", between
            )
            if joint is not None and (joint["word"] or joint["sign"]):
                word = joint["word"] or "and"
                kept[-1] = replace(
                    kept[-1], end=statement.end, text=rf"{kept[-1].text} \l{word} {statement.text}"
                )
                continue
        kept.append(statement)
    return kept


def _is_working(text: str, statement: Statement, later: Statement) -> bool:
    """Whether a box holds an intermediate result: its formula goes on behind it, or another step with a box follows."""
    goes_on = re.match(r"\s*(?:[-+*/^=]|\\(?:cdot|times|pm))", text[statement.end : statement.end + 12]) is not None
    between = text[statement.end : later.start]
    step = re.search(r"^[\s#*_>]*(?:step|part)\s*\d|^\s*\d+[.)]\s", between, re.IGNORECASE | re.MULTILINE)
    return goes_on or step is not None


def read_expression(answer: str, equals: Equals) -> Reading[bool] | Undecided[bool] | None:
    """Whether the expression that an answer commits to is the one that `equals` accepts (None: not an expression)."""
    text = tail(answer)

    def read(statement: Statement) -> bool | None:
        rest = text[statement.end :].strip(" \t\n*_.")
        goes_on = statement.form in ("final answer", "Answer:") and re.search(r"\d|[=π√]", rest) is not None
        return _first_verdict(_of_statement(statement, goes_on), equals)[0]

    found = _joined_boxes(text, statements(text))[-_MOST_STATEMENTS:]
    boxes = [statement for statement in found if statement.rank == BOXED]
    working = {box.start for box, later in zip(boxes, boxes[1:], strict=False) if _is_working(text, box, later)}
    kept = [statement for statement in found if statement.rank != BOXED or statement.start not in working]
    return settle(text, kept, read) or _ending(text, equals)


def _first_verdict(expressions: Iterator[str], equals: Equals) -> tuple[bool | None, str]:
    """(the verdict on the first of some texts that is an expression, that text)."""
    for expression in dict.fromkeys(expressions):
        if expression and (verdict := equals(expression)) is not None:
            return verdict, expression
    return None, ""


def _end(text: str) -> str:
    """The end of a text, from a paragraph's, line's or sentence's beginning; a formula is not cut."""
    if len(text) <= _END_CHARACTERS:
        return text
    begin = len(text) - _END_CHARACTERS
    for mark in ("\n\n", "\n", ". "):
        place = text.find(mark, begin, begin + _END_CHARACTERS // 2)
        if place >= 0:
            begin = place + len(mark)
            break
    if text.count("$$", 0, begin) % 2:
        begin = text.rfind("$$", 0, begin)
    elif text.rfind(r"\[", 0, begin) > text.rfind(r"\]", 0, begin):
        begin = text.rfind(r"\[", 0, begin)
    return text[max(begin, len(text) - 2 * _END_CHARACTERS) :]


def _ending(text: str, equals: Equals) -> Reading[bool] | Undecided[bool] | None:
    """The expression that an answer ends on; verifications and remarks come after the answer."""
    masked = _masked(_spoken(_end(without_courtesy(text))))
    several = "\n" in masked.text.strip()
    lines = [_MARKS.sub("", line) if several else line.strip() for line in masked.text.split("\n")]
    lines = _listed(masked, [line for line in lines if line.strip() and not re.fullmatch(r"[\s`~*_#=|:-]*|```\w*", line)])
    if not lines or _breaks_off(masked, lines):
        return None
    if (headline := _headline(masked, lines)) and (verdict := equals(headline)) is not None:
        return Reading(verdict, "the first line", headline)
    values = [_has_value(masked, line) for line in lines[-40:]]
    before = lines[:-40]
    remarks = (k for k, line in enumerate(lines[-40:]) if k and _AFTERWARDS.match(line) and any(values[:k]))
    main = before + lines[-40:][: next(remarks, None)]
    for among, beside in ((main, False), (lines, False), (main, True)):
        for place in range(len(among) - 1, max(-1, len(among) - 1 - _MOST_LINES), -1):
            verdict, found = _first_verdict(_of_line(masked, among[place], beside), equals)
            if verdict is not None:
                return _contradiction(masked, among[: place + 1], verdict, equals) or Reading(verdict, "the end", found)
    named, found = _first_verdict(iter([_named(lines[-1])]), equals)
    return None if named is None else Reading(named, "the end", found)


def _listed(masked: _Masked, lines: list[str]) -> list[str]:
    """Lines, those at the end that each only give a name a value (`x = 2`, `y = 3`) as one."""
    first = len(lines)
    while first and len(lines) - first < 5 and _ASSIGNS.fullmatch(_shown(masked, lines[first - 1])):
        first -= 1
    names = [_shown(masked, line).split("=")[0].strip() for line in lines[first:]]
    several = len(names) > 1 and len(set(names)) == len(names) and first > 0 or (len(names) == len(lines) > 1)
    return [*lines[:first], ", ".join(line.strip(" .,;") for line in lines[first:])] if several else lines


_ASSIGNS = re.compile(r"\s*[A-Za-z](?:_\{?\w\}?|[₀-₉])?\s*=\s*[^=A-Za-z]+[.,;]?\s*")


def _shown(masked: _Masked, line: str) -> str:
    """A line with its formulas."""
    return _ANY_MASK.sub(lambda m: masked.formula(m[0])[0], line)


def _has_value(masked: _Masked, line: str) -> bool:
    return any(re.search(r"[=\d]|\\pi|\\sqrt", phrase.latex) for phrase in _phrases(masked, line))


def _breaks_off(masked: _Masked, lines: Sequence[str]) -> bool:
    """Whether an answer refuses at its end, or breaks off in a formula or in the middle of a sentence."""
    last = lines[-1]
    if _OPEN.search("\n".join(lines[-4:])) or ("\\" in last and last.count("{") > last.count("}")):
        return True
    sentence = (_sentences(last) or [last])[-1]
    refusal = _REFUSES.search(sentence)
    if refusal is not None and not _telling(masked, sentence[: refusal.start()]):
        return True
    ends_on_word = re.search(rf"{_LETTER}{{3,}}\s*$|[,:=]\s*$", sentence) is not None
    return ends_on_word and len(sentence.split()) > 3 and not _phrases(masked, sentence) and not _named(sentence)


def _headline(masked: _Masked, lines: Sequence[str]) -> str:
    """The expression that an answer opens with, before it explains: a first line that is one value and nothing else."""
    if len(lines) < 2 or not (_AFTERWARDS.match(lines[1]) or _EXPLAINS.match(lines[1])):
        return ""
    line = _unemphasised(lines[0]).strip()
    phrases = _phrases(masked, line)
    rest = line[: phrases[0].start] + line[phrases[0].end :] if len(phrases) == 1 else line
    return phrases[0].latex if phrases and len(_PROSE.findall(rest)) <= 2 else ""


_LEAD = re.compile(r"[^\n=:$]{4,60}?\b(?:is|are|ist|est)\b")


def _contradiction(
    masked: _Masked, lines: Sequence[str], verdict: bool, equals: Equals
) -> Undecided[bool] | None:
    """Two lines that say in the same words that something is one thing and another, with no word that one is wrong."""
    lead = _LEAD.match(lines[-1])
    if lead is None:
        return None
    for place, line in enumerate(lines[:-1]):
        if line.startswith(lead[0]):
            between = "\n".join(lines[place:])
            other, _ = _first_verdict(_of_line(masked, line, False), equals)
            if other is not None and other is not verdict and not corrects(between, len(line), len(between)):
                return Undecided("says twice in the same words what the answer is, and not the same", (other, verdict))
    return None
