"""From a slider's new value to new sound and picture, in Python."""

from itertools import cycle

import numpy as np
from flax import nnx

from audiogen.demo import sliders
from audiogen.generator import SimpleAudioGenerator

from .common import SEED, Section, median_ms, seconds

TEXT = (
    "Time from setting the interpolation slider of `audiogen.demo.sliders` to new bytes of WAV and PNG. This is the Python part only: the aim "
    "is for the whole way to the browser, where the messages and the player come on top."
)


def move(slider, box, value):
    """Set the slider, and see to it that sound and picture have changed."""
    audio, image = box.children[1:]
    before = audio.value, image.value
    slider.value = value
    assert audio.value != before[0] and image.value != before[1]


def sections(quick):
    """The table."""
    box = sliders(SimpleAudioGenerator(duration=0.5, rngs=nnx.Rngs(SEED)))
    slider, values = box.children[0].children[0].children[2], cycle([0.25, 0.75])
    for _ in range(3):
        move(slider, box, next(values))
    times = [seconds(lambda: move(slider, box, next(values))) for _ in range(10 if quick else 30)]
    low, high = np.quantile(times, [0.05, 0.95])
    row = [
        len(times),
        f"**{median_ms(times)}**",
        f"{1000 * low:.3g}–{1000 * high:.3g}",
        "≤ 45",
    ]
    return [
        Section(
            "slider: moved to changed", TEXT, ["moves", "median, ms", "5–95 %, ms", "aim"], [row]
        )
    ]
