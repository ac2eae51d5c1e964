"""Random sounds, sizes and settings: round trips, closed forms, and what SciPy and librosa say."""

import warnings

import librosa
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import ShortTimeFFT, get_window

from audiogen.stft import amplitude_to_db, db_to_amplitude, istft, spectrogram, stft
from audiogen.support.mel import mel_filters
from audiogen.support.recordings import spectrogram_blocks
from audiogen.variation import crossfade, slerp
from audiogen.waveform import (
    load_audio,
    peak_normalize,
    resample,
    samples_to_seconds,
    save_audio,
    seconds_to_samples,
    sine,
)

seeds = st.integers(0, 2**32 - 1)
rates = st.integers(1, 768_000)
channels = st.sampled_from([1, 2])
formats = st.sampled_from(["wav", "aiff", "flac", "ogg", "mp3"])
places = st.floats(0, 1, exclude_max=True)  # in a file, from its first byte to its last
windows = st.sampled_from(
    ["hann", "hamming", "boxcar", "blackman", "bartlett", ("kaiser", 8.6), ("tukey", 0.5)]
)


def noise(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@st.composite
def framings(draw):  # few sizes: each new shape is compiled anew
    size = draw(st.sampled_from([1, 2, 5, 16, 63, 128]))
    return dict(
        window_size=size,
        hop_size=draw(st.integers(1, size)),
        window=draw(windows),
        center=draw(st.booleans()),
    )


def squares(window_size, hop_size, window, n):
    "The sum of the squares of n windows, at each sample from the start of the first to the end of the last."
    w, total = get_window(window, window_size) ** 2, np.zeros((n - 1) * hop_size + window_size)
    for start in range(0, n * hop_size, hop_size):
        total[start : start + window_size] += w
    return total


shapes = st.sampled_from([(1,), (2,), (100,), (257,), (2, 64), (2, 1, 130)])


@given(seeds, shapes, framings())
def test_istft_inverts_stft_or_refuses(seed, shape, framing):
    size, hop, window, center = framing.values()
    x, length = noise(seed, *shape), shape[-1]
    S = stft(x, **framing)
    full = squares(size, hop, window, 2 * size + 2)[size:-size]  # where all windows are there
    if full.min() < 5e-4 * full.max():  # the hop leaves gaps
        with pytest.raises(ValueError, match="smaller hop"):
            istft(S, **framing)
        return
    assume(full.min() > 2e-3 * full.max())
    there = squares(size, hop, window, S.shape[-1])[size // 2 if center else 0 :][:length]
    seen = there > 1e-3 * full.max()  # without centring, a window of 0 hides the first samples
    assert seen.all() or not center
    np.testing.assert_allclose(
        np.asarray(istft(S, length=length, **framing))[..., seen], x[..., seen], atol=1e-4
    )


@given(seeds, shapes, framings())
def test_stft_equals_scipy(seed, shape, framing):
    size, hop, window, center = framing.values()
    assume(size > 1)
    x = noise(seed, *shape)
    S = np.asarray(stft(x, **framing))
    left = 0 if center else -(size // 2) % hop  # SciPy centres all frames, on 0, hop, 2·hop, …
    first = (
        0 if center else (size // 2 + left) // hop
    )  # of them is centred in the first `size` samples
    padded = np.pad(x.astype(float), [(0, 0)] * (x.ndim - 1) + [(left, 2 * size)])
    want = ShortTimeFFT(get_window(window, size), hop, 1.0, phase_shift=None).stft(
        padded, p0=first, p1=first + S.shape[-1]
    )
    assert np.abs(S - want).max() <= 1e-4 * get_window(window, size).sum() / 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sounds")


@given(
    seeds,
    st.integers(1, 3000),
    channels,
    st.sampled_from([(16, 4), (63, 20), (64, 64)]),
    st.sampled_from([1, 7, 50, 2048]),
)
@settings(max_examples=15)
def test_spectrogram_in_blocks_is_that_of_the_whole(
    folder, seed, length, channels, framing, block_frames
):
    framing = dict(zip(("window_size", "hop_size"), framing))
    save_audio(folder / "x.wav", noise(seed, channels, length), sample_rate=8000, subtype="FLOAT")
    S = np.concatenate(
        list(spectrogram_blocks(folder / "x.wav", block_frames=block_frames, **framing)), axis=1
    )
    np.testing.assert_allclose(
        S, spectrogram(load_audio(folder / "x.wav")[0], **framing), atol=1e-4
    )


subtypes = st.sampled_from([(None, 2**-15), ("PCM_24", 2**-23)])  # and how far off a sample may be


@given(
    seeds,
    st.integers(1, 70_000),
    channels,
    rates,
    st.sampled_from(["wav", "aiff", "flac"]),
    subtypes,
)
def test_lossless_files_keep_the_sound(folder, seed, length, channels, rate, suffix, kind):
    subtype, tolerance = kind
    if suffix == "flac" and rate > 65_535:
        rate = min(rate // 10 * 10, 655_350)  # all that FLAC has room to say
    x = noise(seed, channels, length)
    save_audio(folder / f"x.{suffix}", x, sample_rate=rate, subtype=subtype)
    y, got_rate = load_audio(folder / f"x.{suffix}", mono=False)
    assert got_rate == rate and y.shape == x.shape and np.abs(x - y).max() <= tolerance


@given(
    st.integers(1, 70_000),
    channels,
    st.sampled_from([8000, 16000, 22050, 44100, 48000]),
    st.sampled_from(["ogg", "mp3"]),
)
def test_lossy_files_keep_length_rate_and_level(folder, length, channels, rate, suffix):
    x = np.tile(sine(440, duration=1, sample_rate=rate, amplitude=0.5), (channels, 9))[:, :length]
    save_audio(folder / f"x.{suffix}", x, sample_rate=rate)
    y, got_rate = load_audio(folder / f"x.{suffix}", mono=False)
    assert got_rate == rate and y.shape == x.shape
    if length > 1152:  # a click of a few samples is not what these formats keep
        assert np.sqrt(np.mean((x - y) ** 2)) < 0.1


@given(formats, places)
def test_a_file_cut_short_is_refused(folder, suffix, part):
    x, path = noise(0, 80_000), folder / f"cut.{suffix}"
    save_audio(path, x, sample_rate=8000)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    try:
        y, _ = load_audio(path)
    except ValueError as e:
        assert str(path) in str(e)
    else:
        assert (
            suffix == "mp3" and len(y) >= len(x) - 2304
        )  # an MP3 says its length only to within two frames


@given(formats, st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=5))
@settings(max_examples=200)
def test_a_damaged_file_is_refused_or_finite(folder, suffix, flips):
    path = folder / f"damaged.{suffix}"
    save_audio(path, noise(0, 2000), sample_rate=8000)
    data = bytearray(path.read_bytes())
    for place, bits in flips:
        data[int(place**2 * len(data))] ^= bits  # more often in the header than elsewhere
    path.write_bytes(data)
    try:
        y, rate = load_audio(path)
    except ValueError as e:
        assert str(path) in str(e) and str(e).isprintable()
    else:
        assert y.ndim == 1 and len(y) and rate >= 1 and np.isfinite(y).all()


@given(st.integers(4000, 96_000), st.integers(4000, 96_000), st.floats(0.01, 0.42))
def test_resampled_sine_is_a_sine(from_hz, to_hz, part):
    frequency, duration = part * min(from_hz, to_hz), 0.2
    x = sine(frequency, duration=duration, sample_rate=from_hz)
    y = resample(x, from_hz=from_hz, to_hz=to_hz)
    want = sine(frequency, duration=len(y) / to_hz, sample_rate=to_hz)
    assert abs(len(y) - len(x) * to_hz / from_hz) <= 1
    middle = slice(len(y) // 4, -len(y) // 4)  # the filter rings where the sound begins and ends
    np.testing.assert_allclose(y[middle], want[middle], atol=1e-3)


@given(
    st.integers(1000, 192_000),
    st.integers(1, 4096),
    st.integers(1, 128),
    st.floats(0, 0.5),
    st.floats(0.1, 1),
)
def test_mel_filters_equal_librosa(rate, window_size, num_mels, low, width):
    corners = rate / 2 * low, rate / 2 * min(1, low + width)
    with warnings.catch_warnings(
        action="ignore"
    ):  # librosa warns of empty filters, audiogen refuses them
        want = librosa.filters.mel(
            sr=rate, n_fft=window_size, n_mels=num_mels, fmin=corners[0], fmax=corners[1]
        )
    try:
        got = mel_filters(
            rate, window_size=window_size, num_mels=num_mels, min_hz=corners[0], max_hz=corners[1]
        )
    except ValueError:
        assert want.max(1).min() <= 1e-6 * want.max()
    else:
        np.testing.assert_allclose(got, want, atol=1e-5 * want.max())


@given(arrays(np.float32, 20, elements=st.floats(2**-60, 2**60, width=32)), st.floats(1e-3, 1e3))
def test_db_to_amplitude_inverts_amplitude_to_db(amplitude, ref):
    np.testing.assert_allclose(
        db_to_amplitude(amplitude_to_db(amplitude, ref=ref, top_db=None), ref=ref),
        amplitude,
        rtol=1e-4,
    )


@given(arrays(np.float32, (2, 8), elements=st.floats(-1, 1, width=32)), st.floats(0, 1))
def test_slerp_keeps_the_norm(ab, alpha):
    assume(np.linalg.norm(ab, axis=1).min() > 1e-3)
    a, b = ab / np.linalg.norm(ab, axis=1, keepdims=True)
    assume(a @ b > -0.9998)  # between opposite points there's no one great circle
    assert abs(np.linalg.norm(slerp(a, b, alpha)) - 1) < 1e-3


@given(seeds, st.floats(0, 1))
def test_crossfade_keeps_the_power(seed, correlation):
    x, other = noise(seed, 2, 40_000)
    y = correlation * x + np.sqrt(1 - correlation**2) * other
    power = np.square(crossfade(x, y)).reshape(10, -1).mean(1)
    np.testing.assert_allclose(power, 1 / 3, rtol=0.1)


@given(st.integers(0, 10**10), rates)
@settings(max_examples=1000)
def test_seconds_to_samples_inverts_samples_to_seconds(samples, rate):
    assert (
        seconds_to_samples(samples_to_seconds(samples, sample_rate=rate), sample_rate=rate)
        == samples
    )


@given(
    arrays(np.float32, (2, 16), elements=st.floats(-(2**100), 2**100, width=32)), st.floats(0.1, 1)
)
def test_peak_normalize_is_idempotent(x, level):
    y = peak_normalize(x, level=level)
    peaks = np.where(np.abs(x).max(1) < 2**-126, 0, level)  # silence stays silence
    np.testing.assert_allclose(np.abs(y).max(1), peaks, rtol=1e-6)
    np.testing.assert_allclose(peak_normalize(y, level=level), y, rtol=1e-6)
