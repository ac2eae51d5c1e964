"""Learn neural audio generation by building it, in JAX and Flax NNX.

Every public name of every chapter can be had from here: `audiogen.SimpleAudioGenerator` is
`audiogen.generator.SimpleAudioGenerator`. A chapter's module is imported when one of its names is first used, so
`import audiogen` itself is quick. (`audiogen.stft` is the chapter; the function is `audiogen.stft.stft`.)
"""

__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING

from ._modidx import d as _index

# {"SimpleAudioGenerator": "audiogen.generator", …}, from the index that nbdev writes on export
_home = {path.split(".")[2]: module for module, names in _index["syms"].items() for path in names}
_home = {name: module for name, module in _home.items() if not name.startswith("_")}
_chapters = {module.split(".")[1] for module in _index["syms"]}

__all__ = sorted(_home.keys() - _chapters)


def __getattr__(name):
    if name in _chapters:
        return import_module(f"{__name__}.{name}")
    if name in _home:
        return getattr(import_module(_home[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__, *_chapters]


if TYPE_CHECKING:
    from .cli import *
    from .conditional import *
    from .demo import *
    from .generator import *
    from .metrics import *
    from .sounds import *
    from .spectral import *
    from .stft import *
    from .training import *
    from .vae import *
    from .variation import *
    from .waveform import *
    from .wavenet import *
