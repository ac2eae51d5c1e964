"""What `help` says of every public name: each parameter, what comes back, and what is raised; and its types."""

import inspect
import re
from dataclasses import is_dataclass
from importlib import import_module

import pytest

import audiogen
from audiogen import _modidx
from audiogen.support.docs import read_docstring

OBVIOUS = {"rngs", "key"}  # they are the same everywhere: nnx.Rngs, and a key of jax.random
STARS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
RAISES = re.compile(r"^\s+raise \w|\bcheck_\w+\(", re.M)


def public_symbols():
    "{name: function or class} of all that the notebooks export."
    for name in _modidx.d["syms"]:
        module = import_module(name)
        for key in module.__all__:
            symbol = inspect.unwrap(getattr(module, key))
            if inspect.isfunction(symbol) or inspect.isclass(symbol):
                yield f"{name}.{key}", symbol
    yield from {"audiogen.load": audiogen.load, "audiogen.models": audiogen.models}.items()


SYMBOLS = dict(public_symbols())
FUNCTIONS = [name for name, symbol in SYMBOLS.items() if inspect.isfunction(symbol)]


def parameters(symbol):
    "The parameters of a function or of a class of ours."
    return inspect.signature(symbol).parameters.values()


def described(symbol):
    "The names that a docstring tells of; of a dataclass, also those of the ones that it extends."
    texts = [inspect.getdoc(symbol)]
    if is_dataclass(symbol):
        texts += [vars(base).get("__doc__") for base in symbol.__mro__]
    return {
        name for text in filter(None, texts) for name in read_docstring(inspect.cleandoc(text)).args
    }


def undocumented(symbol):
    "Parameters that the docstring doesn't tell of, and names that it tells of and aren't there."
    told = described(symbol)
    known = {STARS.get(each.kind, "") + each.name for each in parameters(symbol)}
    members = set(dir(symbol)) if inspect.isclass(symbol) else set()
    return (known - OBVIOUS - told) | (told - known - members)


@pytest.mark.parametrize("name", SYMBOLS)
def test_the_docstring_tells_of_each_parameter(name):
    summary = read_docstring(inspect.getdoc(SYMBOLS[name])).text.partition("\n")[0]
    assert re.fullmatch(r".{6,}[.?!:]", summary)
    assert undocumented(SYMBOLS[name]) == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_tells_what_comes_back_and_what_is_raised(name):
    parts = read_docstring(inspect.getdoc(SYMBOLS[name]))
    returned = inspect.signature(SYMBOLS[name]).return_annotation
    assert bool(parts.returns) == (returned not in (None, "None"))
    if RAISES.search(inspect.getsource(SYMBOLS[name])):
        assert parts.raises


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_is_annotated(name):
    lacking = [each.name for each in parameters(SYMBOLS[name]) if each.annotation is each.empty]
    assert lacking == []
    assert inspect.signature(SYMBOLS[name]).return_annotation is not inspect.Signature.empty


def test_a_gap_would_be_noticed():
    def draw(x, *, rate, rngs):
        """Draw.

        Args:
            x: a waveform
            width: of the line
        """

    assert undocumented(draw) == {"rate", "width"}
