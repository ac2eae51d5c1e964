"""The tutorial's own script, written again from the tutorial's description: the baseline of the `demo` benchmark.

It builds the network layer by layer, computes the spectrogram frame by frame and draws with pyplot, as described, and
saves its three figures and one sound. Run it as `python -m benchmarks.tutorial FOLDER`.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import scipy.io.wavfile
from flax import nnx


class SimpleAudioGenerator(nnx.Module):
    """A feed-forward network from a latent vector to a waveform."""

    def __init__(self, sample_rate=16000, duration=1.0, latent_dim=32, *, rngs):
        self.sample_rate, self.duration, self.latent_dim = sample_rate, duration, latent_dim
        self.num_samples = int(sample_rate * duration)
        self.generator = nnx.Sequential(
            nnx.Linear(latent_dim, 128, rngs=rngs),
            nnx.relu,
            nnx.Linear(128, 256, rngs=rngs),
            nnx.relu,
            nnx.Linear(256, 512, rngs=rngs),
            nnx.relu,
            nnx.Linear(512, self.num_samples, rngs=rngs),
            nnx.tanh,
        )

    def generate(self, batch_size=1, *, rngs):
        """Waveforms of random latent vectors, (batch_size, num_samples)."""
        return self.generator(jax.random.normal(rngs.sample(), (batch_size, self.latent_dim)))

    def generate_with_variation(self, base_latent, variation_scale=0.1, num_variations=4, *, rngs):
        """Waveforms of latent vectors near `base_latent`, one after the other."""
        waveforms = []
        for _ in range(num_variations):
            noise = jax.random.normal(rngs.sample(), base_latent.shape)
            waveforms.append(self.generator((base_latent + variation_scale * noise)[None, :])[0])
        return jnp.stack(waveforms)


def visualize_waveforms(waveforms, sample_rate):
    """A panel for each waveform."""
    batch_size, num_samples = waveforms.shape
    time = np.linspace(0, num_samples / sample_rate, num_samples)
    fig, axes = plt.subplots(batch_size, 1, figsize=(12, 3 * batch_size))
    for i, ax in enumerate(axes):
        ax.plot(time, waveforms[i], linewidth=0.5)
        ax.set_xlabel("Time (s)")
        ax.set_ylabel("Amplitude")
        ax.set_title(f"Waveform {i + 1}")
        ax.set_ylim(-1.1, 1.1)
        ax.grid(True, alpha=0.3)
    plt.tight_layout()
    return fig


def generate_spectrogram(waveform, sample_rate):
    """The spectrogram, a frame at a time."""
    window_size, hop_size = 512, 128
    frames = []
    for i in range(0, len(waveform) - window_size, hop_size):
        windowed_frame = waveform[i : i + window_size] * jnp.hanning(window_size)
        frames.append(jnp.abs(jnp.fft.rfft(windowed_frame)))
    spectrogram = jnp.stack(frames).T
    fig, ax = plt.subplots(figsize=(12, 4))
    im = ax.imshow(
        20 * jnp.log10(spectrogram + 1e-10),
        aspect="auto",
        origin="lower",
        extent=[0, len(waveform) / sample_rate, 0, sample_rate / 2],
        cmap="viridis",
    )
    ax.set_xlabel("Time (s)")
    ax.set_ylabel("Frequency (Hz)")
    ax.set_title("Spectrogram")
    plt.colorbar(im, ax=ax, label="Magnitude (dB)")
    return fig


def main(out):
    """Generate, vary, see, analyse, save."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rngs = nnx.Rngs(42)
    generator = SimpleAudioGenerator(sample_rate=16000, duration=0.5, latent_dim=32, rngs=rngs)
    waveforms = generator.generate(batch_size=3, rngs=rngs)
    base_latent = jax.random.normal(rngs.sample(), (32,))
    variations = generator.generate_with_variation(
        base_latent, variation_scale=0.2, num_variations=4, rngs=rngs
    )
    visualize_waveforms(waveforms, 16000).savefig(out / "waveforms.png")
    visualize_waveforms(variations, 16000).savefig(out / "variations.png")
    generate_spectrogram(waveforms[0], 16000).savefig(out / "spectrogram.png")
    scipy.io.wavfile.write(out / "generated_audio.wav", 16000, np.asarray(waveforms[0]))


if __name__ == "__main__":
    main(sys.argv[1])
