"""Sound files as people have them: FFmpeg writes them, in many formats, and says what is in them."""

import os
import shutil
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogen.support.files import READABLE, open_audio
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


def test_names_in_other_encodings(audiogen_alone, tmp_path):
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
    words = ("spectrogram", os.fsdecode(path), "--out", tmp_path / "out")
    status, out, err = audiogen_alone(*words)  # its stdout can't show the name
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


def test_standard_input_is_read(audiogen_alone, tmp_path):
    save_audio(
        tmp_path / "x.mp3", sine(440, duration=1, sample_rate=8000, amplitude=0.5), sample_rate=8000
    )
    with subprocess.Popen(["cat", tmp_path / "x.mp3"], stdout=subprocess.PIPE) as cat:
        status, out, err = audiogen_alone(
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


# Files that are whole, and cut ones that look whole


def ffmpeg(*words):
    run(FFMPEG, "-v", "error", "-y", *words)


def same(path, want, *, limit=1e-5):
    "Is a file read as these samples, (channels, t)?"
    got, _ = load_audio(path, mono=False)
    got = np.atleast_2d(got)
    assert got.shape == np.shape(want)
    assert np.abs(got - want).max() < limit


def refused(path, match="truncated"):
    with pytest.raises(ValueError, match=match) as caught:
        load_audio(path)
    assert str(path) in str(caught.value) and str(caught.value).isprintable()


def id3(size, *, footer=False):
    "An ID3v2 tag of so many bytes, and a head."
    parts = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\4\0" + bytes([16 * footer]) + parts + bytes(size + 10 * footer)


@pytest.fixture
def source(tmp_path):
    "A WAV of 60,000 samples in stereo: its path, and what is in it."
    soundfile.write(tmp_path / "source.wav", sound(60_000, 2, 44_100).T, 44_100)
    return tmp_path / "source.wav", soundfile.read(tmp_path / "source.wav", dtype="float32")[0].T


@needs_ffmpeg
def test_matroska_that_begins_late_or_has_gaps_is_whole(tmp_path, source):
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:duration=8", "-c:a", "libopus"]
    ffmpeg(*tone, "-f", "segment", "-segment_time", "3", tmp_path / "seg%d.webm")
    ffmpeg(*tone, "-af", "aselect=not(between(t\\,2\\,5))", tmp_path / "gap.webm")
    ffmpeg(*tone, "-output_ts_offset", "5", tmp_path / "late.webm")
    for name in ("seg0.webm", "seg1.webm", "seg2.webm", "gap.webm", "late.webm"):
        data = (tmp_path / name).read_bytes()
        same(tmp_path / name, by_ffmpeg(tmp_path / name, 1), limit=5e-4)
        (tmp_path / "cut.webm").write_bytes(data[: len(data) // 2])
        refused(tmp_path / "cut.webm")
    path, x = source
    ffmpeg("-i", path, "-c:a", "flac", "-output_ts_offset", "100000", tmp_path / "late.mka")
    same(tmp_path / "late.mka", x)
    with open_audio(tmp_path / "late.mka") as audio:
        assert abs(audio.expected - 60_000) < 1000  # not the 28 hours before it, too


@needs_ffmpeg
@pytest.mark.parametrize("name", ["x.flac", "x.wav", "x.aiff", "x.ogg", "x.mp3", "x.aac", "x.wv"])
@pytest.mark.parametrize("size", [10, 3_000_000], ids=["title", "cover"])
def test_a_tag_in_front_changes_nothing(tmp_path, source, name, size):
    path = tmp_path / name
    ffmpeg(
        "-i", source[0], *ENCODERS.get(name, "-id3v2_version 0" * (name == "x.mp3")).split(), path
    )
    data, want = path.read_bytes(), load_audio(path, mono=False)[0]
    tagged = tmp_path / f"tagged.{name}"
    for tag in (id3(size), id3(size, footer=True), id3(7) + id3(size)):
        tagged.write_bytes(tag + data)
        same(tagged, want)
    if name != "x.aac":  # which states no length
        tagged.write_bytes(id3(size) + data[: len(data) // 2])
        refused(tagged, "truncated|not a whole|holds no samples")
    tagged.write_bytes(id3(size)[:15])
    refused(tagged, "ends in its tag")


@pytest.mark.parametrize("length", [1, 100, 575])
def test_a_short_mp3_behind_a_large_tag_keeps_its_length(tmp_path, length):
    save_audio(tmp_path / "x.mp3", np.full(length, 0.5, np.float32), sample_rate=44_100)
    data, want = (tmp_path / "x.mp3").read_bytes(), load_audio(tmp_path / "x.mp3")[0]
    (tmp_path / "tagged.mp3").write_bytes(id3(100_000) + data)
    same(tmp_path / "tagged.mp3", want[None])
    assert len(want) == length


def chunk(name, body, order="<"):
    return name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) % 2)


def form(magic, kind, *chunks, order="<"):
    body = kind + b"".join(chunks)
    return magic + struct.pack(order + "I", len(body)) + body


COUNTED = np.rint(32_000 * np.sin(np.arange(20_000) / 20))
FMT = struct.pack("<HHIIHH", 1, 1, 44_100, 88_200, 2, 16)
COMM = struct.pack(">hIhHQ", 1, 20_000, 16, 16_398, 44_100 << 48)
NOTES = {
    "one long text": chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"c" * 20_000)),
    "ten long texts": chunk(b"LIST", b"INFO" + 10 * chunk(b"ICMT", b"c" * 2000)),
    "a text like a log": chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"data : 10 (should be 20000)\0")),
    "300 chunks": 300 * chunk(b"JUNK", bytes(11)),
}


def wave_with(notes):
    data = chunk(b"data", COUNTED.astype("<i2").tobytes())
    return form(b"RIFF", b"WAVE", chunk(b"fmt ", FMT), notes, data)


def aiff_with(count):
    marks = b"".join(struct.pack(">HI10p", i + 1, i, b"Mark%05d" % i) for i in range(count))
    mark = chunk(b"MARK", struct.pack(">H", count) + marks, ">")
    data = chunk(b"SSND", bytes(8) + COUNTED.astype(">i2").tobytes(), ">")
    return form(b"FORM", b"AIFF", chunk(b"COMM", COMM, ">"), mark, data, order=">")


@pytest.mark.parametrize(
    "data",
    [*map(wave_with, NOTES.values()), *map(aiff_with, (0, 50, 1000))],
    ids=[*NOTES, "0 marks", "50 marks", "1000 marks"],
)
def test_notes_in_a_file_do_not_hide_that_it_is_cut(tmp_path, data):
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    same(path, COUNTED[None] / 32768)
    path.write_bytes(data[:-20_000])
    refused(path, r"holds 200\d\d of 400\d\d bytes of sound")


def test_an_aiff_of_fewer_bytes_than_its_header_counts_is_refused(tmp_path):
    data = aiff_with(3)
    at = data.index(b"SSND")
    short = struct.pack(">I", 20_008) + data[at + 8 : at + 20_016]
    (tmp_path / "x.aif").write_bytes(data[: at + 4] + short + chunk(b"ANNO", bytes(30_000), ">"))
    refused(tmp_path / "x.aif", "20008 of 40008")


SIZED = {  # {what soundfile or FFmpeg is asked for: how it is stored}
    "NIST": "PCM_16",
    "SVX": "PCM_16",
    "VOC": "PCM_16",
    "AU": "PCM_16",
    "CAF": "PCM_24",
    "W64": "PCM_24",
    "RF64": "FLOAT",
    "MPC2K": "PCM_16",
}


@pytest.mark.parametrize("kind", SIZED)
def test_half_of_a_file_that_states_its_size_is_refused(tmp_path, kind):
    path = tmp_path / "x.snd"
    soundfile.write(path, COUNTED / 32768, 44_100, format=kind, subtype=SIZED[kind])
    same(path, COUNTED[None] / 32768)
    path.write_bytes(path.read_bytes()[:20_000])
    refused(path)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["x.avi", "x.voc", "mp3.wav", "adpcm.wav"])
def test_half_of_what_ffmpeg_wrote_is_refused(tmp_path, source, name):
    path, words = tmp_path / name, "-c:a pcm_s16le" if name == "x.avi" else ENCODERS.get(name, "")
    ffmpeg("-i", source[0], *words.split(), path)
    same(path, by_ffmpeg(path, 2))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path)


def page_checksum(page):
    "The checksum of an OGG page whose own is 0."
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 * (value >> 31)) & 0xFFFFFFFF
    return value


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_without_a_mark_on_its_last_page_is_whole(tmp_path, subtype):
    path, x = tmp_path / "x.ogg", sound(100_000, 1, 48_000)
    soundfile.write(path, x.T, 48_000, format="OGG", subtype=subtype)
    want, data = load_audio(path)[0], path.read_bytes()
    at = data.rindex(b"OggS")
    last = bytearray(data[at:])
    last[5] &= ~4
    last[22:26] = bytes(4)
    last[22:26] = page_checksum(last).to_bytes(4, "little")
    unmarked = data[:at] + last
    path.write_bytes(unmarked)
    got = load_audio(path)[0]
    assert 0 <= got.shape[0] - want.shape[0] < 4096
    np.testing.assert_allclose(got[: len(want)], want, atol=1e-5)  # FFmpeg reads the Opus
    path.write_bytes(unmarked + data)
    joined = load_audio(path)[0]
    limit = 1e-2 if subtype == "OPUS" else 1e-5  # FFmpeg's decoder goes on into the second
    np.testing.assert_allclose(joined, np.concatenate([got, want]), atol=limit)
    for left in (1, 3, 20, 27, len(last) // 2, len(last) - 1):  # of the last page
        path.write_bytes(unmarked[: at + left])
        refused(path)


RARE = {
    "AU": dict(subtype="PCM_16", endian="LITTLE"),
    "MPC2K": dict(subtype="PCM_16"),
    "SDS": dict(subtype="PCM_16"),
    "XI": dict(subtype="DPCM_16"),
    "HTK": dict(subtype="PCM_16"),
    "WVE": dict(subtype="ALAW"),
    "MAT4": dict(subtype="PCM_16"),
    "MAT5": dict(subtype="PCM_16"),
}


@pytest.mark.parametrize("kind", RARE)
def test_what_only_soundfile_knows_is_read(tmp_path, kind):
    path = tmp_path / "x.snd"
    soundfile.write(path, COUNTED / 40_000, 8000, format=kind, **RARE[kind])
    want, rate = soundfile.read(path, dtype="float32")
    same(path, want[None], limit=1e-9)
    assert load_audio(path)[1] == rate and np.abs(want - COUNTED / 40_000).max() < 0.03


@pytest.mark.parametrize("suffix", [".wav", ".w64"])
@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_encoders_that_fill_up_their_last_block(tmp_path, suffix, subtype):
    path, x = tmp_path / f"x{suffix}", np.float32(0.5 * np.sin(np.arange(3000) / 30))
    save_audio(path, x, sample_rate=8000, subtype=subtype)
    got = load_audio(path)[0]
    assert 3000 <= len(got) < 6000
    np.testing.assert_array_equal(got, soundfile.read(path, dtype="float32")[0])
    assert np.abs(got[:3000] - x).max() < 0.2  # GSM is made for speech


@pytest.mark.parametrize("subtype", [16, "bogus", "VORBIS", b"PCM_16"])
def test_a_subtype_that_a_format_has_not(tmp_path, subtype):
    with pytest.raises(ValueError, match=r"x\.wav: WAV has no subtype .*PCM_16"):
        save_audio(tmp_path / "x.wav", np.zeros(9, np.float32), sample_rate=8000, subtype=subtype)
    assert [*tmp_path.iterdir()] == []


def test_rates_beyond_sound_cards(tmp_path):
    path, x = tmp_path / "x.wav", np.float32(COUNTED[None] / 32768)
    soundfile.write(path, x.T, 2_822_400, subtype="FLOAT")
    same(path, x, limit=1e-9)
    assert load_audio(path)[1] == 2_822_400
    for options in (dict(sample_rate=16_000), dict(duration=1e-3)):
        with pytest.raises(ValueError, match=r"x\.wav: 2822400 Hz is more than can be resampled"):
            load_audio(path, **options)


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_of_a_few_samples_one_is_left_at_least(tmp_path, samples):
    save_audio(tmp_path / "x.wav", np.full(samples, 0.5, np.float32), sample_rate=44_100)
    got, rate = load_audio(tmp_path / "x.wav", sample_rate=16_000)
    assert (len(got), rate) == (max(1, round(samples * 16 / 44.1)), 16_000) and got[0] > 0.2


def test_headers_that_can_not_be_right(tmp_path):
    path = tmp_path / "x.flac"
    save_audio(path, np.zeros(20_000, np.float32), sample_rate=44_100)
    data = bytearray(path.read_bytes())
    data[21] |= 15  # the upper bits of the number of samples
    path.write_bytes(data)
    refused(path, r"its header is wrong: it states 64,424,529,440 samples; at most [\d,]+ fit")
    unknown = struct.pack("<HHIIHH", 0x1234, 1, 44_100, 88_200, 2, 16)
    path = tmp_path / "x.wav"
    path.write_bytes(form(b"RIFF", b"WAVE", chunk(b"fmt ", unknown), chunk(b"data", bytes(4000))))
    refused(path, "unknown encoding")


def test_odd_names_are_shown_in_one_line(tmp_path):
    x = np.zeros(9, np.float32)
    for name, written in {"a\nb": "a\\nb", "a\x1b[31m": "a\\x1b[31m", "a\0b": "a\\x00b"}.items():
        path = tmp_path / f"{name}.wav"
        for act in (
            lambda p: load_audio(p),
            lambda p: save_audio(p, x, sample_rate=8000, subtype="bogus"),
            lambda p: save_audio(p.with_suffix(".xyz"), x, sample_rate=8000),
        ):
            if "\0" not in name:
                path.write_bytes(b"no sound")
            with pytest.raises(ValueError) as caught:
                act(path)
            assert f"{written}." in str(caught.value) and str(caught.value).isprintable()
    with pytest.raises(ValueError, match=r"a\\x00b\.wav: a null byte"):
        save_audio(tmp_path / "a\0b.wav", x, sample_rate=8000)
    save_audio(tmp_path / "a\nb.wav", x, sample_rate=8000)
    assert load_audio(tmp_path / "a\nb.wav")[0].shape == (9,)
    with pytest.raises(FileNotFoundError, match=r"none\\n\.wav: no such file$"):
        load_audio(tmp_path / "none\n.wav")


# {suffix: what FFmpeg is told to write into it, or soundfile's format and subtype}
SUFFIXES = {
    ".8svx": ("SVX", "PCM_S8"),
    ".iff": ("SVX", "PCM_16"),
    ".nist": ("NIST", "PCM_16"),
    ".sph": ("NIST", "PCM_16"),
    ".sds": ("SDS", "PCM_16"),
    ".xi": ("XI", "DPCM_16"),
    ".snd": ("MPC2K", "PCM_16"),
    ".bwf": ("WAV", "PCM_24"),
    ".wave": ("WAVEX", "PCM_24"),
    ".voc": "",
    ".spx": "-c:a libspeex -ar 16000 -ac 1",
    ".adts": "-f adts",
    ".dts": "-strict -2",
    ".eac3": "",
    ".m4b": "-f ipod",
    ".m4r": "-f ipod",
    ".mp1": "-f mp2",
    ".mpga": "-f mp3",
    ".weba": "-f webm",
    ".3g2": "-c:a aac",
    ".asf": "-c:a wmav2",
    ".f4v": "-c:a aac",
    ".flv": "-c:a aac",
    ".m2ts": "-c:a aac",
    ".mts": "-c:a ac3 -f mpegts",
    ".ts": "-c:a aac",
    ".mpeg": "-c:a mp2",
    ".mpg": "-c:a mp2",
    ".ogv": "-c:a libvorbis",
    ".qt": "-f mov",
    ".wmv": "-c:a wmav2",
}


@needs_ffmpeg
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folders_list_what_is_read(tmp_path, source, suffix):
    path, how = tmp_path / f"x{suffix}", SUFFIXES[suffix]
    if isinstance(how, tuple):
        soundfile.write(path, source[1][0], 44_100, format=how[0], subtype=how[1])
        want = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    else:
        ffmpeg("-i", source[0], *how.split(), path)
        want = by_ffmpeg(path, 1 if "-ac 1" in how else 2)
    assert suffix in READABLE
    same(path, want)
