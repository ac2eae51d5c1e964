"""Real recordings, those of Debian's sonic-pi-samples: a picture and a line of levels for each."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audiogen.sounds import load_folder, split_sounds
from audiogen.stft import spectrogram
from audiogen.support.recordings import spectrogram_blocks
from audiogen.waveform import load_audio

RECORDINGS = sorted(Path("/usr/share/sonic-pi/samples").glob("*.flac"))
pytestmark = pytest.mark.skipif(
    not RECORDINGS, reason="no recordings here; apt-get install sonic-pi-samples"
)


def test_a_recording_gets_a_picture_and_its_levels(audiogen, tmp_path):
    drawn = RECORDINGS[::5]
    status, out, err = audiogen("spectrogram", *drawn, "--out", tmp_path)
    assert (status, err) == (0, "")
    lines = re.findall(
        r"(?m)^(\S+): ([\d.]+) s, (\d+) Hz, ([12]) channels?, peak (\S+) dBFS, rms (\S+) dBFS\n(\S+)$",
        out,
    )
    assert [line[0] for line in lines] == [str(path) for path in drawn]
    for name, seconds, rate, _, peak, rms, picture in lines:
        assert (
            0.01 < float(seconds) < 60 and rate == "44100" and -60 < float(rms) < float(peak) <= 0.1
        )
        assert Path(picture) == tmp_path / f"{Path(name).stem}.png"
        with Image.open(picture) as image:
            assert image.convert("L").getextrema()[0] < 50 and min(image.size) > 100


@pytest.mark.parametrize("path", RECORDINGS[::40], ids=lambda path: path.stem)
def test_blocks_of_a_recording_equal_the_whole(path):
    S = np.concatenate(list(spectrogram_blocks(path, block_frames=100)), axis=1)
    np.testing.assert_allclose(S, spectrogram(load_audio(path)[0]), atol=1e-3)


def test_a_folder_of_recordings_is_a_set_of_sounds(tmp_path):
    "All of them, labelled by the first part of their names, in a table that also names a file which isn't there."
    prefixes = {path.name: path.stem.split("_")[0] for path in RECORDINGS}
    many = {prefix for prefix, count in Counter(prefixes.values()).items() if count >= 10}
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("file", "label"),
                ("lost.flac", "bd"),
                *((name, p) for name, p in prefixes.items() if p in many),
            ]
        )
    shape = dict(sample_rate=16000, duration=0.5)
    sounds = load_folder(RECORDINGS[0].parent, labels=tmp_path / "labels.csv", **shape)
    assert set(sounds.classes) == many and {"bd", "drum"} <= many
    assert [line for line in sounds.skipped if "lost.flac" not in line] == [] and len(
        sounds.skipped
    ) == 1
    assert [prefixes[name] for name in sounds.details["file"]] == [
        sounds.classes[i] for i in sounds.labels
    ]
    assert sounds.waveforms.shape[1] == 8000 and np.isfinite(sounds.waveforms).all()
    np.testing.assert_allclose(np.abs(sounds.waveforms).max(1), 0.9, atol=1e-3)
    train, *held = split_sounds(sounds)
    counts = [len(part) for parts in held for part in parts.values()]
    assert len(train) + sum(counts) == len(sounds)


def test_hits_keep_their_own_rate_and_length(tmp_path):
    "Nine of ten end within their clips, and where they end they stay 60 dB below their peaks."
    kinds = "bd", "drum", "elec", "hat", "perc", "sn", "tabla"
    hits = [path for path in RECORDINGS if path.stem.split("_")[0] in kinds]
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        rows = [(path.name, path.stem.split("_")[0]) for path in hits]
        csv.writer(file).writerows([("file", "label"), *rows])
    sounds = load_folder(RECORDINGS[0].parent, labels=tmp_path / "labels.csv")
    assert sounds.sample_rate == 44100 and len(sounds) == len(hits)
    seconds = sounds.waveforms.shape[1] / 44100
    within = ~sounds.details["cut"]
    assert 0.9 <= within.mean() < 0.95 and seconds == 2.5
    for x, length in zip(sounds.waveforms[within], sounds.lengths[within]):
        assert np.abs(x[length:]).max(initial=0) <= 0.9e-3 < np.abs(x[length - 1]) + 1e-6
