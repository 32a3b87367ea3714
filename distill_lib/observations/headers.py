"""Which column is N: headers in other words, recognised, reported, and never guessed."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from distill_lib.observations.findings import Finding
from distill_lib.observations.units import UNITS, letter
from distill_lib.scaling import _checks

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "supervised": ("N", "D", "L"),
    "distillation": ("N_S", "D_S", "L_T", "L_S"),
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "supervised": ("C", "weight", "run", "vocab_size"),
    "distillation": ("C", "N_T", "D_T", "weight", "run", "vocab_size"),
}

# Squeezed to letters and digits: "Model Size", "model_size" and "modelSize" are one word.
_WORDS: Mapping[str, frozenset[str]] = {
    symbol: frozenset(words.split())
    for symbol, words in {
        "N": "n params param parameters nparams nparam nparameters numparams numparameters numberofparameters "
        "paramcount parametercount modelsize modelparams modelparameters nonembeddingparams "
        "nonembeddingparameters nonembparams nnonembedding",
        "D": "d tokens token ntokens numtokens numberoftokens tokencount trainingtokens traintokens "
        "ntrainingtokens ntraintokens tokensseen tokenstrained datasetsize datasettokens",
        "C": "c flop flops trainingflop trainingflops trainflop trainflops totalflop totalflops nflops "
        "trainingcompute traincompute computeflop computeflops",
        "L": "l loss crossentropy crossentropyloss ce celoss nll xent lmloss finalloss valloss validationloss "
        "evalloss evaluationloss testloss heldoutloss trainloss trainingloss valcrossentropy "
        "validationcrossentropy valnll valce lossnats",
        "weight": "weight weights",
        "run": "run runid runname group cluster experimentid",
        "vocab_size": "vocabsize vocabulary vocabularysize vocab nvocab",
    }.items()
}
# These words alone are no proof: a better name in the same table goes before them.
_WEAK: Mapping[str, frozenset[str]] = {
    "N": frozenset({"size"}),
    "D": frozenset({"data", "datasize"}),
    "C": frozenset({"compute"}),
}
# Losses that say in their name that they are not in nats per token.
_LOSS_IN: Mapping[str, str] = {
    squeezed: unit
    for unit, words in {
        "perplexity": "perplexity ppl valppl valperplexity validationperplexity evalppl testperplexity testppl",
        "bits-per-byte": "bpb bitsperbyte valbpb validationbpb evalbpb testbpb",
    }.items()
    for squeezed in words.split()
}
_UNIT_WORDS: Mapping[str, str] = {
    word: unit
    for unit, words in {
        "thousands": "k thousand thousands 1e3",
        "millions": "m mn million millions 1e6",
        "billions": "b bn g billion billions 1e9",
        "trillions": "t tn trillion trillions 1e12",
        "nats": "nat nats natstoken natspertoken",
        "bits": "bit bits bitstoken bitspertoken",
        "bits-per-byte": "bpb bitsbyte bitsperbyte",
        "percent": "% percent",
        "petaflop-days": "pfday pfdays petaflopday petaflopdays petaflopsdays",
        "exaflops": "eflop eflops exaflop exaflops 1e18",
        "zettaflops": "zflop zflops zettaflop zettaflops 1e21",
    }.items()
    for word in words.split()
}
_BRACKETED = re.compile(r"^(?P<base>.*?)\s*[(\[{]\s*(?P<unit>[^()\[\]{}]*)\s*[)\]}]\s*$")
_ROLE = re.compile(r"[\s_\-]([sStT])$")
_SUFFIXED = re.compile(r"^(?P<base>.+?)(?:[\s_\-/]+|(?=%))(?P<unit>[^\s_\-/]+)$")


@dataclass(frozen=True)
class Meaning:
    """What a header seems to name.

    Parameters
    ----------
    symbol : str
        Such as ``"N"``.
    tier : int
        How sure: 0 for the symbol itself, 1 for its name, 2 for a word that can mean it, 3 for a loss in
        another unit. Within one table the least tier counts.
    unit : str, optional
        The unit that the header names.
    """

    symbol: str
    tier: int
    unit: str | None = None


def meanings(header: str, kind: str) -> list[Meaning]:
    """Say what a header can mean.

    Parameters
    ----------
    header : str
        A name as it stands in the table.
    kind : {"supervised", "distillation"}
        For which fit the table is read: a student's loss is no plain loss.

    Returns
    -------
    list of Meaning
        Empty for a name that is not known; one at most per symbol.
    """
    symbols = (*REQUIRED[kind], *OPTIONAL[kind])
    if header.strip() in symbols:
        return [Meaning(header.strip(), 0)]
    for base, unit in _readings(header):
        found = [meaning for symbol in symbols if (meaning := _meaning(base, symbol, kind, unit))]
        if found:
            return found
    return []


def _readings(header: str) -> list[tuple[str, str | None]]:
    """Split a header into name and unit, in the ways that make sense, the whole name first."""
    readings: list[tuple[str, str | None]] = [(header, None)]
    if match := _BRACKETED.match(header):
        readings.append((match["base"], _UNIT_WORDS.get(_squeeze(match["unit"]))))
    if (match := _SUFFIXED.match(header)) and not _ROLE.search(header):  # params_T: the teacher's
        unit = _UNIT_WORDS.get(_squeeze(match["unit"]))
        readings += [(match["base"], unit)] if unit else []
    return readings


def _meaning(base: str, symbol: str, kind: str, unit: str | None) -> Meaning | None:
    """Match a name without its unit against one symbol."""
    kind_of = letter(symbol)
    if unit is not None and unit not in UNITS.get(kind_of, {}):
        return None
    role = symbol[len(kind_of) :].strip("_") if kind_of in UNITS else ""
    squeezed, told = _squeeze(base), ""
    if match := _ROLE.search(base):
        squeezed, told = _squeeze(base[: match.start()]), match[1].upper()
    elif "student" in squeezed or "teacher" in squeezed:
        told = "S" if "student" in squeezed else "T"
        squeezed = squeezed.replace("student", "").replace("teacher", "")
    elif role and squeezed == f"{kind_of}{role}".lower():
        squeezed, told = kind_of.lower(), role
    # In a table of students a plain name is the student's, and so is the compute of its training.
    generic = kind == "distillation" and role == "S" and not told
    if told != role and not generic and not (kind_of == "C" and told == "S"):
        return None
    if squeezed in _WORDS.get(kind_of, ()):
        return Meaning(symbol, 2 if generic else 1, unit)
    if squeezed in _WEAK.get(kind_of, ()):
        return Meaning(symbol, 2, unit)
    if kind_of == "L" and squeezed in _LOSS_IN:
        return Meaning(symbol, 3, _LOSS_IN[squeezed])
    return None


def _squeeze(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum() or char == "%")


@dataclass(frozen=True)
class Headers:
    """Which columns of a table are taken for what.

    Parameters
    ----------
    columns : dict of str to str
        Header by symbol.
    units : dict of str to str
        Unit by symbol, where the header names one.
    findings : list of Finding
        Missing columns, ambiguities, and second-best candidates.
    """

    columns: dict[str, str]
    units: dict[str, str]
    findings: list[Finding]


def recognise(
    headers: list[str],
    kind: str,
    columns: Mapping[str, str] | None = None,
    *,
    repeated: tuple[str, ...] = (),
    derived: str | None = None,
) -> Headers:
    """Find the column of each symbol.

    Parameters
    ----------
    headers : list of str
        The names in the table.
    kind : {"supervised", "distillation"}
        Which symbols are needed.
    columns : mapping of str to str, optional
        Symbol by header, where the caller says it; the rest is recognised.
    repeated : tuple of str
        Names that stand more than once in the header of the file.
    derived : str, optional
        The symbol that will be computed from C, which is then needed in its place.

    Returns
    -------
    Headers
        What was found, and findings for what was not.

    Raises
    ------
    ValueError
        For a symbol that does not exist.
    """
    symbols = (*REQUIRED[kind], *OPTIONAL[kind])
    findings: list[Finding] = []
    chosen: dict[str, str] = {}
    for header, symbol in (columns or {}).items():
        _checks.choice(f"columns[{header!r}]", symbol, symbols)
        if header not in headers:
            said = f"the table has no column {header!r}; its columns are {_quoted(headers)}"
            near = difflib.get_close_matches(header, headers, n=1)
            remedy = naming(symbol, near[0] if near else "its header")
            findings.append(Finding("error", "column", said, remedy, symbol))
        elif symbol in chosen:
            said = f"both {chosen[symbol]!r} and {header!r} are given for {symbol}"
            findings.append(Finding("error", "ambiguous", said, "name one of them", symbol))
        else:
            chosen[symbol] = header
    explicit = set(chosen) | {str(finding.column) for finding in findings}

    units: dict[str, str] = {}
    known = {header: meanings(header, kind) for header in headers if header not in chosen.values()}
    for symbol in symbols:
        fits = [(m.tier, header, m) for header, found in known.items() for m in found if m.symbol == symbol]
        if symbol in explicit or not fits:
            continue
        best = min(tier for tier, _, _ in fits)
        first = [(header, meaning) for tier, header, meaning in fits if tier == best]
        if len(first) > 1:
            needed = (symbol in REQUIRED[kind] and symbol != derived) or (
                symbol == "C" and derived is not None
            )
            names = [header for header, _ in first]
            said = (
                f"{_quoted(names)} could all be {symbol}"
                if len(first) > 2
                else f"{_quoted(names, ' or ')} could be {symbol}"
            )
            remedy = "name one: " + " or ".join(naming(symbol, name) for name in names[:3])
            findings.append(
                Finding(
                    "error" if needed else "note",
                    "ambiguous",
                    said + ("" if needed else ": not used"),
                    remedy,
                    symbol,
                )
            )
            explicit.add(symbol)
            continue
        header, meaning = first[0]
        chosen[symbol] = header
        if meaning.unit:
            units[symbol] = meaning.unit
        passed = [other for tier, other, m in fits if tier > best and m.symbol == symbol]
        if passed:
            said = f"{_quoted(passed)} could be {symbol} too; {header!r} is taken"
            findings.append(
                Finding("note", "candidate", said, f"to change it: {naming(symbol, passed[0])}", symbol)
            )
    for header, symbol in (columns or {}).items():
        named = next(
            (m.unit for m in meanings(header, kind) if letter(m.symbol) == letter(symbol) and m.unit), None
        )
        if named and chosen.get(symbol) == header:
            units[symbol] = named

    missing = [s for s in REQUIRED[kind] if s not in chosen and s not in explicit and s != derived]
    other = "distillation" if kind == "supervised" else "supervised"
    sure = {m.symbol for header in headers for m in meanings(header, other) if m.tier < 2}
    if missing and set(REQUIRED[other]) <= sure and not columns:
        said = f"no columns for {', '.join(missing)}: these look like {other} runs"
        option = "with --distillation" if other == "distillation" else "without --distillation"
        findings.append(Finding("error", "missing", said, f'read them with kind="{other}" ({option})'))
    elif len(missing) > 1 and len(headers) == 1:
        said = f"the table has a single column, {headers[0]!r}"
        findings.append(Finding("error", "missing", said, "separate the fields by commas"))
    else:
        findings += [_missing(symbol, headers, chosen) for symbol in missing]
    findings += [
        Finding(
            "error" if name in chosen.values() else "warning",
            "repeated",
            f"the header holds {name!r} more than once",
            "give each column its own name",
            name,
        )
        for name in repeated
    ]
    if derived is not None and derived not in chosen and "C" not in chosen and "C" not in explicit:
        findings.append(_missing("C", headers, chosen))
    return Headers(chosen, units, findings)


def naming(symbol: str, header: str) -> str:
    """Say what to type so that a header is taken for a symbol.

    Parameters
    ----------
    symbol : str
        The symbol.
    header : str
        The header.

    Returns
    -------
    str
        The argument, and the option of the command line.
    """
    return f'columns={{"{header}": "{symbol}"}} (--column {symbol}="{header}")'


_NEEDED = {
    "N": "parameters without embeddings",
    "D": "training tokens",
    "L": "cross-entropy in nats per token",
    "C": "training compute in FLOPs",
}


def _missing(symbol: str, headers: list[str], chosen: Mapping[str, str]) -> Finding:
    said = f"no column for {symbol} ({_NEEDED[letter(symbol)]}) among {_quoted(headers)}"
    remedy = naming(symbol, "its header")
    if letter(symbol) == "D" and "C" in chosen:
        remedy = f'or let it follow from {chosen["C"]!r}: tokens_from="6ND" or "exact" (--tokens-from 6ND), else {remedy}'
    return Finding("error", "missing", said, remedy, symbol)


def _quoted(names: list[str], between: str = ", ") -> str:
    shown = between.join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
