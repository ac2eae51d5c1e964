"""Sound files as people have them: FFmpeg writes them, in many formats, and says what is in them."""

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogen.support.files import open_audio
from audiogen.waveform import audio_blocks, load_audio, save_audio, sine

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="needs ffmpeg; apt-get install ffmpeg")

# {name of a file: what FFmpeg is told to write into it}
ENCODERS = {
    "8.wav": "-c:a pcm_u8",
    "16.wav": "",
    "24.wav": "-c:a pcm_s24le",
    "float.wav": "-c:a pcm_f32le",
    "64.wav": "-c:a pcm_f64le",
    "law.wav": "-c:a pcm_mulaw",
    "adpcm.wav": "-c:a adpcm_ms",
    "rf64.wav": "-rf64 always",
    "mp3.wav": "-c:a libmp3lame",
    "x.aiff": "",
    "24.aif": "-c:a pcm_s24be",
    "x.au": "",
    "x.caf": "",
    "x.w64": "",
    "x.flac": "",
    "24.flac": "-sample_fmt s32",
    "flac.oga": "-c:a flac",
    "x.ogg": "-c:a libvorbis",
    "x.opus": "-c:a libopus",
    "cbr.mp3": "-b:a 128k",
    "vbr.mp3": "-q:a 4",
    "tagged.mp3": "-q:a 4 -metadata title=Info -id3v2_version 3 -write_id3v1 1",
    "bare.mp3": "-q:a 4 -write_xing 0",
    "x.mp2": "-c:a mp2",
    "x.m4a": "-c:a aac",
    "lossless.m4a": "-c:a alac",
    "x.mp4": "-c:a aac -movflags faststart",
    "x.aac": "-c:a aac",
    "x.wma": "-c:a wmav2",
    "x.mkv": "-c:a libvorbis",
    "x.webm": "-c:a libopus",
    "x.mov": "-c:a pcm_s16le",
    "x.avi": "-c:a mp3",
    "x.wv": "-c:a wavpack",
    "x.ac3": "-c:a ac3",
    "x.tta": "-c:a tta",
}
PIPED = {
    "wav": "-f wav",
    "caf": "-f caf",
    "flac": "-f flac",
    "mp3": "-q:a 4 -f mp3",
    "ogg": "-c:a libvorbis -f ogg",
}
SHAPES = {"long": (200_000, 2, 48_000), "short": (3_000, 1, 48_000)}  # samples, channels, rate (Hz)


def run(*words, **options):
    return subprocess.run([*map(str, words)], check=True, capture_output=True, **options).stdout


def sound(samples, channels, rate):
    "A tone over noise, different in each channel."
    rng, time = np.random.default_rng(0), np.arange(samples) / rate
    tones = np.sin(2 * np.pi * np.outer([330, 440], time))[:channels]
    return 0.4 * tones + 0.1 * rng.uniform(-1, 1, (channels, samples))


def by_ffmpeg(path, channels):
    "What FFmpeg hears in a file, (channels, t)."
    pcm = run(FFMPEG, "-v", "error", "-i", path, "-vn", "-f", "f32le", "-c:a", "pcm_f32le", "-")
    return np.frombuffer(pcm, "<f4").reshape(-1, channels).T


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    "{(length, name): (path, channels)}, all written by FFmpeg."
    folder, made = tmp_path_factory.mktemp("formats"), {}
    for length, (samples, channels, rate) in SHAPES.items():
        source = folder / f"{length}.source.wav"
        soundfile.write(source, sound(samples, channels, rate).T, rate, subtype="PCM_16")
        start = [FFMPEG, "-v", "error", "-i", source]
        for name, words in ENCODERS.items():
            path = folder / f"{length}.{name}"
            run(*start, *words.split(), path)
            made[length, name] = path, channels
        for suffix, words in PIPED.items():
            path = folder / f"{length}.piped.{suffix}"
            path.write_bytes(run(*start, *words.split(), "-"))
            made[length, f"piped.{suffix}"] = path, channels
    return made


NAMES = [*ENCODERS, *(f"piped.{suffix}" for suffix in PIPED)]


@needs_ffmpeg
@pytest.mark.parametrize("length", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_every_format_is_read_as_ffmpeg_reads_it(files, length, name):
    "At once, and in blocks of any size; the number of samples is known; the beginning alone is the same."
    path, channels = files[length, name]
    want = by_ffmpeg(path, channels)
    whole, rate = load_audio(path, mono=False)
    assert rate == SHAPES[length][2]
    if whole.shape != want.shape:  # FFmpeg keeps what its encoder added to fill the last packet
        assert name in ("x.ogg", "piped.ogg", "x.webm")
        assert abs(whole.shape[1] - want.shape[1]) < 0.02 * rate
        samples = min(whole.shape[1], want.shape[1])
        want, shared = want[:, :samples], whole[:, :samples]
    else:
        shared = whole
    limit = 5e-4 if name == "x.opus" else 1e-5  # two decoders of Opus, each with its own rounding
    assert shared.size and np.abs(shared - want).max() < limit
    for block_size in (1, 1152, 65_536) if length == "short" else (1000, 65_536, 10**6):
        with open_audio(path) as audio:
            blocks = [*audio.blocks(block_size)]
            assert audio.num_samples == whole.shape[1] and audio.channels == channels
        assert {block.shape[1] for block in blocks[:-1]} <= {block_size}
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    beginning, _ = load_audio(path, mono=False, duration=0.05)
    np.testing.assert_array_equal(beginning, whole[:, : round(0.05 * rate)])


@needs_ffmpeg
@pytest.mark.parametrize(
    "name", ["vbr.mp3", "bare.mp3", "x.flac", "x.wv", "x.aac", "x.wma", "lossless.m4a"]
)
@pytest.mark.parametrize(
    "more", [b"\0", b"TAG" + bytes(125), bytes(9000)], ids=["byte", "tag", "zeros"]
)
def test_what_follows_the_sound_is_passed_over(files, tmp_path, name, more):
    path = files["long", name][0]
    (tmp_path / name).write_bytes(path.read_bytes() + more)
    want = load_audio(path)[0]
    got = load_audio(tmp_path / name)[0]
    np.testing.assert_array_equal(got[: len(want)], want)
    assert (
        len(got) - len(want) <= 1152
    )  # FFmpeg may no longer know by how much the last frame was filled up


@needs_ffmpeg
@pytest.mark.parametrize("name", ["cbr.mp3", "bare.mp3", "x.aac"])
def test_frames_of_another_kind_are_converted(files, tmp_path, name):
    "Stereo, then mono, as in a recording of a radio station: all of it with the channels of the first."
    first, second = (files[length, name][0] for length in SHAPES)
    path = tmp_path / name
    path.write_bytes(first.read_bytes() + second.read_bytes())
    got, rate = load_audio(path, mono=False)
    want = by_ffmpeg(path, 2)
    assert (got.shape, rate) == (want.shape, 48_000) and np.abs(got - want).max() < 1e-5


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "wv", "flac", "ogg"])
@pytest.mark.parametrize("channels", [3, 6, 8])
def test_channels_are_all_there_in_their_order(tmp_path, suffix, channels):
    x = np.linspace(0.1, 0.8, channels)[:, None] * np.sin(np.arange(48_000) / 20)
    soundfile.write(tmp_path / "x.wav", x.T, 48_000)
    path = tmp_path / f"surround.{suffix}"
    run(FFMPEG, "-v", "error", "-i", tmp_path / "x.wav", *ENCODERS[f"x.{suffix}"].split(), path)
    got, _ = load_audio(path, mono=False)
    want = by_ffmpeg(path, channels)
    samples = min(got.shape[1], want.shape[1])
    assert len(got) == channels and samples > 47_000
    assert np.abs(got[:, :samples] - want[:, :samples]).max() < 1e-5


@needs_ffmpeg
@pytest.mark.parametrize("name", ["x.ogg", "x.opus", "piped.ogg"])
def test_streams_behind_each_other_are_all_read(files, tmp_path, name):
    first, second = (files[length, name][0] for length in SHAPES)
    path = tmp_path / "joined.ogg"
    path.write_bytes(first.read_bytes() * 2)
    once = load_audio(first)[0]
    np.testing.assert_array_equal(load_audio(path)[0], np.tile(once, 2))
    with open_audio(path) as audio:
        assert audio.num_samples == 2 * len(once)
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(ValueError, match="want them alike"):  # stereo, then mono
        load_audio(path)


@needs_ffmpeg
def test_the_sound_track_of_a_video_is_read(tmp_path):
    x = sound(96_000, 1, 48_000)
    soundfile.write(tmp_path / "x.wav", x.T, 48_000)
    picture = ["-f", "lavfi", "-i", "color=c=red:s=64x64:d=3"]
    words = [
        FFMPEG,
        "-v",
        "error",
        *picture,
        "-i",
        tmp_path / "x.wav",
        "-c:a",
        "alac",
        "-c:v",
        "mpeg4",
    ]
    run(*words, tmp_path / "film.mov")  # the picture lasts a second longer
    heard, rate = load_audio(tmp_path / "film.mov")
    assert rate == 48_000 and heard.shape == (96_000,)
    assert np.abs(heard - x[0]).max() < 2**-15
    run(FFMPEG, "-v", "error", *picture, tmp_path / "silent.mp4")
    with pytest.raises(ValueError, match="holds no sound"):
        load_audio(tmp_path / "silent.mp4")


def test_what_was_saved_as_mp3_is_read_as_one_piece(tmp_path):
    "Twenty seconds, of which soundfile's own blocks would be wrong around each seam."
    x = sound(320_000, 1, 16_000)[0]
    save_audio(tmp_path / "x.mp3", x, sample_rate=16_000)
    want = soundfile.read(tmp_path / "x.mp3", dtype="float32")[0]
    got = np.concatenate([*audio_blocks(tmp_path / "x.mp3", block_size=4096)], axis=1)[0]
    assert got.shape == x.shape and np.abs(got - want).max() < 1e-5
    assert np.abs(load_audio(tmp_path / "x.mp3")[0] - want).max() < 1e-5


def test_the_shortest_mp3s_are_read(tmp_path):
    "So short that FFmpeg alone would take some for a video."
    for samples in (*range(1, 120, 7), 100):
        x = 0.5 * np.sin(np.arange(samples))
        save_audio(tmp_path / "x.mp3", x, sample_rate=48_000)
        assert load_audio(tmp_path / "x.mp3")[0].shape == x.shape


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_two_readers_of_a_file_do_not_disturb_each_other(tmp_path, suffix):
    save_audio(tmp_path / f"x.{suffix}", sound(100_000, 1, 16_000), sample_rate=16_000)
    with open_audio(tmp_path / f"x.{suffix}") as audio:
        samples = 0
        for one, other in zip(audio.blocks(30_000), audio.blocks(30_000), strict=True):
            np.testing.assert_array_equal(one, other)
            samples += one.shape[1]
            assert audio.num_samples == 100_000  # counted meanwhile, for an MP3
        assert samples == 100_000


@needs_ffmpeg
def test_an_mp3_of_one_frame_is_read(files, tmp_path):
    data = files["long", "bare.mp3"][0].read_bytes()
    start = data.index(b"\xff\xfb")
    kbits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[data[start + 2] >> 4]
    size = 144 * kbits * 1000 // 48_000 + (data[start + 2] >> 1 & 1)
    for begin in (start, 0):  # without and with a tag before it
        (tmp_path / "one.mp3").write_bytes(data[begin : start + size])
        x, rate = load_audio(tmp_path / "one.mp3", mono=False)
        assert (x.shape, rate) == ((2, 1152), 48_000)


def test_headers_of_crashed_recorders(tmp_path):
    "A length of 0, or one that means “unknown”: what is there is read. A length of more than that: refused."
    path, x = tmp_path / "x.wav", sound(9_000, 1, 16_000)[0].astype(np.float32)
    save_audio(path, x, sample_rate=16_000, subtype="PCM_16")
    want, data = load_audio(path)[0], bytearray(path.read_bytes())
    for riff, length in ((0, 0), (2**32 - 1, 2**32 - 1), (0x7FFF_F024, 0x7FFF_F000), (36, 0)):
        data[4:8], data[40:44] = riff.to_bytes(4, "little"), length.to_bytes(4, "little")
        path.write_bytes(data)
        np.testing.assert_array_equal(load_audio(path)[0], want)
    data[40:44] = (20_000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"truncated: it holds 18000 of 20000 bytes.*ffmpeg -i"):
        load_audio(path)


def test_names_in_other_encodings(audiogen, tmp_path):
    "Latin-1 bytes, which Python can't show as UTF-8."
    path = os.fsencode(tmp_path) + b"/gr\xfcn.wav"
    save_audio(tmp_path / "x.wav", sine(440, duration=0.1, sample_rate=8000), sample_rate=8000)
    for suffix in (b".wav", b".mp3"):
        save_audio(
            tmp_path / f"x{suffix.decode()}",
            sine(440, duration=0.1, sample_rate=8000),
            sample_rate=8000,
        )
        os.rename(os.fsencode(tmp_path) + b"/x" + suffix, path.replace(b".wav", suffix))
        assert load_audio(os.fsdecode(path.replace(b".wav", suffix)))[0].shape == (800,)
    status, out, err = audiogen("spectrogram", os.fsdecode(path), "--out", tmp_path / "out")
    assert (status, err) == (0, "") and "gr\\udcfcn.wav: 0.10 s" in out
    save_audio(os.fsdecode(path), np.zeros(10), sample_rate=8000)
    assert load_audio(os.fsdecode(path))[0].shape == (10,)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_pipes_are_read(tmp_path, suffix):
    save_audio(tmp_path / f"x.{suffix}", sine(440, duration=3, sample_rate=8000), sample_rate=8000)
    data, pipe = (tmp_path / f"x.{suffix}").read_bytes(), tmp_path / f"pipe.{suffix}"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[data], daemon=True)
    writer.start()
    x, rate = load_audio(pipe)
    writer.join()
    np.testing.assert_array_equal(x, load_audio(tmp_path / f"x.{suffix}")[0])


def test_standard_input_is_read(audiogen, tmp_path):
    save_audio(
        tmp_path / "x.mp3", sine(440, duration=1, sample_rate=8000, amplitude=0.5), sample_rate=8000
    )
    with subprocess.Popen(["cat", tmp_path / "x.mp3"], stdout=subprocess.PIPE) as cat:
        status, out, err = audiogen(
            "spectrogram", "/dev/stdin", "--out", tmp_path, stdin=cat.stdout
        )
    assert (status, err) == (0, "") and "/dev/stdin: 1.00 s, 8000 Hz, 1 channel, peak -5" in out
    assert (tmp_path / "stdin.png").stat().st_size > 1000


def test_a_playlist_opens_nothing_else(tmp_path):
    save_audio(tmp_path / "secret.mp3", sine(440, duration=1, sample_rate=8000), sample_rate=8000)
    lines = [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:1",
        "#EXTINF:1,",
        str(tmp_path / "secret.mp3"),
        "#EXT-X-ENDLIST",
    ]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="list.m3u8"):
        load_audio(tmp_path / "list.m3u8")


@pytest.fixture
def another_user(tmp_path):
    "Be somebody who owns nothing here, but may pass through the folders."
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o11 != 0o11:
            folder.chmod(folder.stat().st_mode | 0o11)
    os.seteuid(65_534)
    yield
    os.seteuid(0)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs to become another user")
def test_what_one_may_not_read_or_write_says_so(tmp_path, request):
    save_audio(tmp_path / "x.wav", np.zeros(10), sample_rate=8000)
    (tmp_path / "x.wav").chmod(0)
    request.getfixturevalue("another_user")
    with pytest.raises(
        PermissionError, match=r"x\.wav: no permission to read it; make it readable"
    ):
        load_audio(tmp_path / "x.wav")
    for path in (tmp_path / "y.wav", tmp_path / "new" / "y.wav"):
        with pytest.raises(PermissionError, match=r"y\.wav: no permission to write there; choose"):
            save_audio(path, np.zeros(10), sample_rate=8000)


def test_a_missing_decoder_is_named(tmp_path):
    save_audio(tmp_path / "x.mp3", np.zeros(8000), sample_rate=8000)
    code = f"import sys; sys.modules['av'] = None; from audiogen import load_audio; load_audio({str(tmp_path / 'x.mp3')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "x.mp3: reading this kind of file takes PyAV; pip install av" in done.stderr


@pytest.fixture(scope="module")
def whole_files(files, tmp_path_factory):
    "Three seconds, in the formats whose end can be told."
    folder, x = tmp_path_factory.mktemp("whole"), sound(48_000, 1, 16_000)
    soundfile.write(folder / "x.wav", x.T, 16_000)
    for name in CUTTABLE:
        run(
            FFMPEG,
            "-v",
            "error",
            "-y",
            "-i",
            folder / "x.wav",
            *ENCODERS[name].split(),
            folder / name,
        )
    return folder


CUTTABLE = [
    "16.wav",
    "24.wav",
    "float.wav",
    "rf64.wav",
    "x.aiff",
    "x.au",
    "x.caf",
    "x.w64",
    "x.flac",
    "flac.oga",
    "x.ogg",
    "x.opus",
    "cbr.mp3",
    "vbr.mp3",
    "x.m4a",
    "lossless.m4a",
    "x.mp4",
    "x.wma",
    "x.mkv",
    "x.wv",
    "x.tta",
]


@needs_ffmpeg
@given(st.sampled_from(CUTTABLE), st.floats(0, 0.93))
@settings(max_examples=150)
def test_a_file_cut_short_is_refused(whole_files, name, part):
    data, path = (whole_files / name).read_bytes(), whole_files / f"cut.{name}"
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(ValueError) as caught:
        load_audio(path)
    assert str(path) in str(caught.value)


@needs_ffmpeg
@given(
    st.sampled_from([*ENCODERS]),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=5
    ),
)
@settings(max_examples=200)
def test_a_damaged_file_is_refused_or_finite(files, name, flips):
    data = bytearray(files["short", name][0].read_bytes())
    for place, bits in flips:
        data[int(place**2 * len(data))] ^= bits  # more often in the header than elsewhere
    path = files["short", name][0].with_name(f"damaged.{name}")
    path.write_bytes(data)
    try:
        x, rate = load_audio(path)
    except ValueError as e:
        assert str(path) in str(e) and str(e).isprintable()
    else:
        assert x.ndim == 1 and len(x) and rate >= 1 and np.isfinite(x).all()


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("length", [1, 10, 529, 575, 576, 1151, 1152, 1153])
def test_a_short_mp3_keeps_its_length(sample_rate, length, tmp_path):
    path, joined = tmp_path / "x.mp3", tmp_path / "joined.mp3"
    save_audio(path, np.full(length, 0.5, np.float32), sample_rate=sample_rate)
    assert load_audio(path)[0].shape == (length,)
    save_audio(tmp_path / "y.mp3", np.full(5000, 0.5, np.float32), sample_rate=sample_rate)
    joined.write_bytes(path.read_bytes() + (tmp_path / "y.mp3").read_bytes())
    assert len(load_audio(joined)[0]) >= 5000
