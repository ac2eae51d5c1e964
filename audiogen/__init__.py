"""Learn neural audio generation by building it, in JAX and Flax NNX.

>>> audiogen.models()                               # the trained models that come with the package
>>> model = audiogen.load("spectral")               # one of them; or a run's folder, a .safetensors file
>>> waveform, sample_rate = audiogen.load("kick.wav")

`dir(audiogen)` lists the names that most programs need. Every other public name of every chapter can be had from here,
too: `audiogen.num_frames` is `audiogen.stft.num_frames`. A chapter's module is imported when one of its names is first
used, so `import audiogen` itself is quick. (`audiogen.stft` is the chapter; the function is `audiogen.stft.stft`.)
"""

__version__ = "0.1.0"

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, overload

from ._modidx import d as _index

_chosen = {
    "waveform": """sine harmonic_tone chirp white_noise time_axis seconds_to_samples peak rms dbfs peak_normalize
        load_audio save_audio resample repitch plot_waveform""",
    "support.players": "visualize_waveforms play listen",
    "support.files": "recording open_audio audio_writer",
    "generator": """AudioModel SimpleAudioGenerator sample_latents vary_latent synthesize save_model
        load_model""",
    "support.conditions": "Condition",
    "support.rendering": "render model_classes",
    "support.store": "model_info",
    "support.runs": "read_log",
    "variation": "slerp latent_walk crossfade join_segments stream_walk cosine_similarity",
    "stft": """istft spectrogram griffin_lim amplitude_to_db db_to_amplitude
        log_stft_distance multi_resolution_stft_distance""",
    "support.mel": "mel_spectrogram",
    "support.pictures": "plot_spectrogram generate_spectrogram",
    "support.figures": "visualize_spectrogram",
    "demo": "main sliders slider_latent",
    "sounds": "VOICES DRUMS TONES make_sounds load_sounds load_folder split_sounds detune batch_source",
    "support.soundfonts": "load_soundfont",
    "support.sf2_writer": "write_soundfont",
    "support.pitch": "midi_to_hz hz_to_midi estimate_f0_hz pitch_error_cents",
    "support.clips": "SoundSet choose_classes",
    "support.phrases": "make_phrases",
    "support.augment": "augment",
    "support.library": "load_library",
    "metrics": "frechet_distance diversity memorization confidence",
    "support.scoring": "evaluate_sounds",
    "support.reports": "metrics_table verdict report",
    "support.evaluation": "evaluate",
    "support.encoding": "load_recordings encode_recordings",
    "training": "Supervised train plot_losses",
    "support.fitting": "Recipe fit",
    "spectral": "SpectralGenerator",
    "vae": "AudioVAE",
    "conditional": "ConditionalVAE resynthesize",
    "support.words": "WORDS",
    "wavenet": "WaveNet stream",
    "codec": "TokenCodec",
    "wavegan": "WaveGAN",
    "support.levels": "mu_law_encode mu_law_decode",
    "flow": "LatentFlow",
    "captions": "CaptionFlow",
    "support.filling": "fill",
    "prior": "TokenPrior",
    "own_sounds": "find_onsets cut_at slice_slider",
    "support.slicing": "slice_file",
    "support.lufs": "integrated_loudness",
    "support.kits": "make_kit",
    "support.packing": "save_kit",
    "explorer": "explore",
    "support.page": "save_page",
    "song": "Note play_notes read_midi",
    "support.loops": "loop_notes play_loop",
}

# {"SimpleAudioGenerator": "audiogen.generator", …}, of all functions and classes, from the index that nbdev writes
_home = {
    name: module
    for module, paths in _index["syms"].items()
    for path in paths
    if "." not in (name := path.removeprefix(f"{module}.")) and not name.startswith("_")
}
_home |= {
    name: f"{__name__}.{module}" for module, names in _chosen.items() for name in names.split()
}
_modules = {module.split(".")[1] for module in _index["syms"]}

__all__ = ["load", "models", *(name for names in _chosen.values() for name in names.split())]


def models() -> list[str]:
    """The names of the trained models that come with the package.

    Returns:
        names, as `load` takes them
    """
    from .support.store import shipped_models

    return list(shipped_models())


_Shipped = Literal[
    "captions",
    "codec",
    "conditional",
    "conditional-instruments",
    "flow",
    "prior",
    "spectral",
    "spectral-instruments",
    "vae",
    "wavegan",
    "wavenet",
    "wavenet-minute",
]


@overload
def load(name: _Shipped) -> "AudioModel": ...
@overload
def load(name: str | os.PathLike[str]) -> Any: ...  # `load_model` and `load_audio` say which
def load(name: str | os.PathLike[str]) -> Any:
    """Load a model or a sound, whichever it is: as `load_model` or `load_audio` do.

    Args:
        name: a shipped model's name, a run's folder, a model's file, or a sound file

    Returns:
        the model; or waveform, (t,), and sample rate (Hz)

    Raises:
        ValueError: when the file is damaged, or neither a model's nor a sound's
        FileNotFoundError: when there is no such file and no such shipped model
    """
    from .support.store import names_model

    if names_model(name):
        from .generator import load_model

        return load_model(name)
    from .waveform import load_audio

    return load_audio(name)


if TYPE_CHECKING:  # the public names; `stft` is the chapter here, not its function
    from . import captions as captions
    from . import codec as codec
    from . import conditional as conditional
    from . import demo as demo
    from . import explorer as explorer
    from . import flow as flow
    from . import generator as generator
    from . import metrics as metrics
    from . import own_sounds as own_sounds
    from . import prior as prior
    from . import song as song
    from . import sounds as sounds
    from . import source_filter as source_filter
    from . import spectral as spectral
    from . import stft as stft
    from . import training as training
    from . import vae as vae
    from . import variation as variation
    from . import waveform as waveform
    from . import wavegan as wavegan
    from . import wavenet as wavenet
    from .captions import *
    from .codec import *
    from .conditional import *
    from .demo import *
    from .explorer import *
    from .flow import *
    from .generator import *
    from .metrics import *
    from .own_sounds import *
    from .prior import *
    from .song import *
    from .sounds import *
    from .source_filter import *
    from .spectral import *
    from .stft import amplitude_to_db as amplitude_to_db
    from .stft import db_to_amplitude as db_to_amplitude
    from .stft import frames as frames
    from .stft import full_scale as full_scale
    from .stft import get_window as get_window
    from .stft import griffin_lim as griffin_lim
    from .stft import istft as istft
    from .stft import log_stft_distance as log_stft_distance
    from .stft import magnitude as magnitude
    from .stft import multi_resolution_stft_distance as multi_resolution_stft_distance
    from .stft import num_frames as num_frames
    from .stft import spectrogram as spectrogram
    from .support.attacks import *
    from .support.augment import *
    from .support.blocks import *
    from .support.cache import *
    from .support.captioned import *
    from .support.checks import *
    from .support.classes import *
    from .support.clips import *
    from .support.coded import *
    from .support.conditions import *
    from .support.contests import *
    from .support.copies import *
    from .support.docs import *
    from .support.draws import *
    from .support.encoding import *
    from .support.evaluation import *
    from .support.few import *
    from .support.figures import *
    from .support.files import *
    from .support.filling import *
    from .support.fitting import *
    from .support.folders import *
    from .support.grain import *
    from .support.judge import *
    from .support.kits import *
    from .support.learning import *
    from .support.lengths import *
    from .support.levels import *
    from .support.library import *
    from .support.linear import *
    from .support.locks import *
    from .support.loops import *
    from .support.loudness import *
    from .support.lufs import *
    from .support.mel import *
    from .support.midi import *
    from .support.models import *
    from .support.obeyed import *
    from .support.packing import *
    from .support.page import *
    from .support.phrases import *
    from .support.pictures import *
    from .support.pitch import *
    from .support.places import *
    from .support.players import *
    from .support.points import *
    from .support.priors import *
    from .support.prompts import *
    from .support.recordings import *
    from .support.rendering import *
    from .support.reports import *
    from .support.rhythm import *
    from .support.runs import *
    from .support.scoring import *
    from .support.scripts import *
    from .support.sf2_writer import *
    from .support.slicing import *
    from .support.sliders import *
    from .support.soundfonts import *
    from .support.states import *
    from .support.store import *
    from .support.streams import *
    from .support.strides import *
    from .support.tables import *
    from .support.token_pictures import *
    from .support.tokens import *
    from .support.voices import *
    from .support.words import *
    from .training import *
    from .vae import *
    from .variation import *
    from .waveform import *
    from .wavegan import *
    from .wavenet import *
else:  # where a type checker would believe in any name

    def __getattr__(name):
        if name in _modules:
            return import_module(f"{__name__}.{name}")
        if name in _home:
            return getattr(import_module(_home[name]), name)
        message = f"module {__name__!r} has no attribute {name!r}"
        if not name.startswith("_"):
            from difflib import get_close_matches

            known = {known.lower(): known for known in [*_home, *_modules, *__all__]}
            near = get_close_matches(name.lower(), known, n=1)
            message += f"; did you mean {known[near[0]]}?" if near else ""
        raise AttributeError(message)

    def __dir__():
        return [*(name for name in globals() if name.startswith("__")), *__all__, *_modules]
