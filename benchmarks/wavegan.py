"""WaveGAN: what a critic of waveforms and one of pictures teach in the same time."""

import tempfile
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from flax import nnx

from audiogen.generator import SimpleAudioGenerator, sample_latents, synthesize
from audiogen.metrics import diversity, frechet_distance, judged_right
from audiogen.sounds import load_sounds, split_sounds
from audiogen.support.clips import SoundSet
from audiogen.support.fitting import fit
from audiogen.support.judge import log_mel_features, train_judge
from audiogen.support.runs import read_log
from audiogen.wavegan import Contest, critic_for, recipe, wavegan_model

from .common import SEED, Section

SECONDS, COUNT = 180, 100


def equal_weights(sounds, *, rngs):
    """A generator whose new layers repeat each frame, in place of drawing straight lines."""
    model = wavegan_model(sounds, rngs=rngs)
    for layer in model.layers:
        kernel = layer.weights.kernel
        kernel[...] = jnp.tile(kernel[:, : layer.outputs], (1, model.config.stride))
    return model


def dense(sounds, *, rngs):
    """Chapter 01's generator."""
    seconds = sounds.waveforms.shape[1] / sounds.sample_rate
    return SimpleAudioGenerator(sounds.sample_rate, seconds, 32, rngs=rngs)


RECIPES = {
    "waveforms, 1 critic step": replace(recipe, rule=Contest(critic_for), batch_size=8),
    "waveforms, 4 critic steps": replace(recipe, rule=Contest(critic_for, critic_steps=4)),
    "pictures, 4 critic steps": recipe,
    "pictures, 4 critic steps, equal weights at first": replace(recipe, build=equal_weights),
    "pictures, 4 critic steps, chapter 01's generator": replace(recipe, build=dense),
}


def hiss_db(waveforms):
    """Power above 2 kHz in the second half, as a share of all in it (dB)."""
    half = np.asarray(waveforms)[:, 4000:]
    power = np.square(np.abs(np.fft.rfft(half * np.hanning(4000)))).mean(0)  # 4 Hz a bin
    return 10 * np.log10(power[500:].sum() / power.sum())


def sections(quick):
    """The table."""
    training, validation, _ = split_sounds(load_sounds("sounds"))
    validation = validation["new sounds"]
    judge = train_judge(
        validation.waveforms,
        validation.labels,
        sample_rate=16000,
        num_classes=len(training.classes),
    )
    kick = training.classes.index("kick")
    training, real = (part[part.labels == kick] for part in (training, validation))
    reference = log_mel_features(real.waveforms, sample_rate=16000)
    lines = []
    for name, chosen in RECIPES.items():
        with tempfile.TemporaryDirectory() as folder:
            model = fit(chosen, training, out=folder, seconds=5 if quick else SECONDS, seed=SEED)
            steps = read_log(folder)[-1]["step"]
        made = synthesize(model, sample_latents(model, COUNT, rngs=nnx.Rngs(SEED)))
        clips = SoundSet(np.asarray(made), np.full(COUNT, kick), training.classes, 16000)
        features = log_mel_features(made, sample_rate=16000)
        lines.append(
            [
                name,
                f"{steps:,}",
                f"{judged_right(judge, made, clips.labels).mean():.0%}",
                f"{diversity(clips, training):.2f}",
                f"{frechet_distance(features, reference):,.0f}",
                f"{hiss_db(made):.0f}",
            ]
        )
        print(lines[-1], flush=True)
    text = (
        f"{SECONDS} s of training each, seed {SEED}; {COUNT} kicks against {len(real)} validation "
        f"kicks, whose hiss is at {hiss_db(real.waveforms):.0f} dB."
    )
    columns = ["the critic's view", "steps", "judged right", "diversity", "Fréchet", "hiss (dB)"]
    return [Section("wavegan: what the critic looks at", text, columns, lines)]
