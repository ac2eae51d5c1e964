"""Learn neural audio generation by building it, in JAX and Flax NNX.

Names of the chapters' modules can be had from here: `audiogen.SimpleAudioGenerator` is
`audiogen.generator.SimpleAudioGenerator`. They are imported when first used, so `import audiogen` costs nothing.
"""

__version__ = "0.1.0"
