"""A user's program, as a type checker sees it; tests/test_types.py has it checked, nothing runs it."""

import os
from pathlib import Path
from typing import assert_type

import jax
import numpy as np
from anywidget import AnyWidget
from flax import nnx
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import audiogen
from audiogen import (
    AudioModel,
    SimpleAudioGenerator,
    SoundSet,
    SpectralGenerator,
    amplitude_to_db,
    audio_writer,
    batch_source,
    chirp,
    choose_classes,
    cosine_similarity,
    crossfade,
    db_to_amplitude,
    dbfs,
    detune,
    explore,
    generate_spectrogram,
    griffin_lim,
    harmonic_tone,
    hz_to_midi,
    istft,
    join_segments,
    latent_walk,
    listen,
    load_audio,
    load_folder,
    load_model,
    load_sounds,
    log_stft_distance,
    main,
    make_sounds,
    mel_spectrogram,
    midi_to_hz,
    model_classes,
    model_info,
    multi_resolution_stft_distance,
    open_audio,
    peak,
    peak_normalize,
    play,
    plot_spectrogram,
    plot_waveform,
    repitch,
    resample,
    rms,
    sample_latents,
    save_audio,
    save_model,
    seconds_to_samples,
    sine,
    slerp,
    slider_latent,
    sliders,
    spectrogram,
    split_sounds,
    stream_walk,
    synthesize,
    time_axis,
    vary_latent,
    visualize_spectrogram,
    visualize_waveforms,
    white_noise,
)
from audiogen.spectral import log_magnitude, spectral_model, to_waveform
from audiogen.stft import num_frames, stft
from audiogen.support.mel import mel_filters
from audiogen.support.streams import AudioFile
from audiogen.variation import lerp

RATE = 16000


def waveforms(axes: Axes, folder: Path) -> None:
    x = assert_type(sine(440.0, duration=1.0, sample_rate=RATE), np.ndarray)
    assert_type(sine([220.0, 440.0], duration=1.0, sample_rate=RATE, amplitude=0.5), np.ndarray)
    assert_type(harmonic_tone(220, [1, 0.5], duration=1, sample_rate=RATE), np.ndarray)
    assert_type(chirp(20, 8000, duration=1, sample_rate=RATE), np.ndarray)
    noise = white_noise(duration=1, sample_rate=RATE, rng=np.random.default_rng(0))
    assert_type(noise, np.ndarray)
    assert_type(seconds_to_samples(0.5, sample_rate=RATE), int)
    assert_type(time_axis(100, sample_rate=RATE), np.ndarray)
    assert_type(peak(x), jax.Array)
    assert_type(rms([0.0, 0.5]), jax.Array)
    assert_type(dbfs(rms(x)), jax.Array)
    assert_type(peak_normalize(x, level=0.9, axis=(-2, -1)), jax.Array)
    assert_type(resample(x, from_hz=RATE, to_hz=22050), np.ndarray)
    assert_type(repitch(x, 1.5, sample_rate=RATE), np.ndarray)
    assert_type(load_audio("kick.wav"), tuple[np.ndarray, int])
    y, rate = load_audio(folder / "kick.wav", sample_rate=RATE, mono=False, duration=0.5)
    assert_type(y, np.ndarray)
    assert_type(rate, int)
    save_audio(folder / "kick.flac", y, sample_rate=rate, subtype="PCM_24")
    save_audio("kick.wav", peak_normalize(y), sample_rate=rate)
    with open_audio("film.mp4") as sound:
        assert_type(sound, AudioFile)
        for block in sound.blocks():
            assert_type(block, np.ndarray)
    with audio_writer("long.wav", sample_rate=RATE) as write:
        write(x)
    plot_waveform(axes, x, RATE)
    assert_type(visualize_waveforms([x, y], RATE, titles=["a", "b"]), Figure)
    assert_type(play(x, sample_rate=RATE), HTML)
    assert_type(listen([x, y], sample_rate=RATE, titles=["a", "b"]), HTML)


def generators(folder: os.PathLike[str]) -> None:
    rngs = nnx.Rngs(42)
    model = SimpleAudioGenerator(RATE, duration=0.5, latent_dim=32, hidden_dims=(64,), rngs=rngs)
    assert_type(model, SimpleAudioGenerator)
    assert_type(model.generate(batch_size=3, rngs=rngs), jax.Array)
    z = assert_type(sample_latents(model, 3, rngs=rngs), jax.Array)
    assert_type(model.generate_with_variation(z[0], 0.2, 8, rngs=rngs), jax.Array)
    assert_type(model(z), jax.Array)
    assert_type(model.num_samples, int)
    assert_type(model.sample_rate, int)
    assert_type(model.duration, float)
    assert_type(vary_latent(model, z[0], scale=0.1, count=4, rngs=rngs), jax.Array)
    assert_type(synthesize(model, z), jax.Array)
    save_model("model.safetensors", model, half=True, about={"seed": 42})
    model.save(folder)
    loaded = assert_type(load_model("spectral"), AudioModel)
    assert_type(loaded(z), jax.Array)
    assert_type(loaded.generate(rngs=rngs, label="kick"), jax.Array)
    assert_type(synthesize(loaded, z, label=["kick", "snare"]), jax.Array)
    assert_type(model_classes(loaded), tuple[str, ...])
    assert_type(audiogen.load("spectral"), AudioModel)
    assert_type(audiogen.load("spectral").generate(rngs=rngs, label="kick"), jax.Array)
    assert_type(audiogen.models(), list[str])
    model_info("spectral")["about"]


def variations(model: AudioModel, key: jax.Array, x: np.ndarray) -> None:
    z = model.sample_latents(key, 2)
    assert_type(z, jax.Array)
    assert_type(cosine_similarity(x, x), jax.Array)
    assert_type(lerp(z[0], z[1], 0.5), jax.Array)
    assert_type(slerp(z[0], z[1], np.linspace(0, 1, 5)), jax.Array)
    assert_type(latent_walk(z, steps=4), np.ndarray)
    assert_type(crossfade(x, x), jax.Array)
    for block in join_segments([x, x], fade=100):
        assert_type(block, np.ndarray)
    stream_walk("walk.flac", model, duration=60, key=key)


def spectra(x: jax.Array, axes: Axes) -> None:
    S = assert_type(stft(x, window_size=1024, hop_size=256, window=("kaiser", 8.6)), jax.Array)
    assert_type(audiogen.stft.stft([0.0] * 512), jax.Array)
    assert_type(istft(S, window_size=1024, hop_size=256, length=8000), jax.Array)
    magnitudes = assert_type(spectrogram(x, window=np.hanning(512)), jax.Array)
    assert_type(mel_filters(RATE, num_mels=40, max_hz=7000), np.ndarray)
    assert_type(mel_spectrogram(x, RATE, num_mels=40), jax.Array)
    assert_type(griffin_lim(magnitudes, num_iters=16), jax.Array)
    db = assert_type(amplitude_to_db(magnitudes, ref=1.0, top_db=None), jax.Array)
    assert_type(db_to_amplitude(db), jax.Array)
    assert_type(log_stft_distance(x, x), jax.Array)
    assert_type(multi_resolution_stft_distance(x, x, window_sizes=(256, 512)), jax.Array)
    assert_type(num_frames(8000, window_size=512, hop_size=128), int)
    assert_type(plot_spectrogram(axes, x, RATE), AxesImage)
    assert_type(visualize_spectrogram(db, RATE), Figure)
    assert_type(generate_spectrogram(x, RATE, title="Kick"), Figure)


def demonstrations(model: AudioModel) -> None:
    assert_type(main("demo", seed=7), list[Path])
    assert_type(explore(), AnyWidget)
    assert_type(explore(model, directions=4), AnyWidget)
    sliders(model, latent_sliders=2)
    assert_type(slider_latent(model, seed_a=1, label="kick"), np.ndarray)


def sounds(folder: Path) -> None:
    made = assert_type(make_sounds(["kick", "snare"], per_class=20), SoundSet)
    assert_type(made.waveforms, np.ndarray)
    assert_type(made[:3], SoundSet)
    assert_type(len(made), int)
    assert_type(load_folder(folder, labels=folder / "labels.csv"), SoundSet)
    assert_type(load_sounds("drums"), SoundSet)
    train, validation, test = split_sounds(made, seed=1)
    assert_type(train, SoundSet)
    assert_type(validation, dict[str, SoundSet])
    assert_type(test, dict[str, SoundSet])
    assert_type(choose_classes(made, ["kick"]), SoundSet)
    assert_type(detune(made, semitones=[-1, 1]), SoundSet)
    assert_type(midi_to_hz(69), np.ndarray)
    assert_type(hz_to_midi([220, 440]), np.ndarray)
    assert_type(batch_source({"x": made.waveforms})[0], dict[str, np.ndarray])


def spectral(sounds: SoundSet, x: np.ndarray) -> None:
    rngs = nnx.Rngs(0)
    model = assert_type(spectral_model(sounds, rngs=rngs), SpectralGenerator)
    assert_type(SpectralGenerator(rngs=rngs, duration=0.25), SpectralGenerator)
    z = assert_type(model.encode(x), np.ndarray)
    assert_type(model(z), jax.Array)
    L = assert_type(log_magnitude(x), jax.Array)
    assert_type(to_waveform(L, num_samples=8000), jax.Array)
