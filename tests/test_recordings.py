"""Real recordings, those of Debian's sonic-pi-samples: a picture and a line of levels for each."""
import re
from pathlib import Path

import numpy as np, pytest
from PIL import Image

from audiogen.stft import spectrogram, spectrogram_blocks
from audiogen.waveform import load_audio

RECORDINGS = sorted(Path("/usr/share/sonic-pi/samples").glob("*.flac"))
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="no recordings here; apt-get install sonic-pi-samples")

def test_each_recording_gets_a_picture_and_its_levels(audiogen, tmp_path):
    status, out, err = audiogen("spectrogram", *RECORDINGS, "--out", tmp_path)
    assert (status, err) == (0, "")
    lines = re.findall(r"(?m)^(\S+): ([\d.]+) s, (\d+) Hz, ([12]) channels?, peak (\S+) dBFS, rms (\S+) dBFS\n(\S+)$", out)
    assert [line[0] for line in lines] == [str(path) for path in RECORDINGS]
    for name, seconds, rate, _, peak, rms, picture in lines:
        assert 0.01 < float(seconds) < 60 and rate == "44100" and -60 < float(rms) < float(peak) <= 0.1
        assert Path(picture) == tmp_path / f"{Path(name).stem}.png"
        with Image.open(picture) as image: assert image.convert("L").getextrema()[0] < 50 and min(image.size) > 100

@pytest.mark.parametrize("path", RECORDINGS[::40], ids=lambda path: path.stem)
def test_blocks_of_a_recording_equal_the_whole(path):
    S = np.concatenate(list(spectrogram_blocks(path, block_frames=100)), axis=1)
    np.testing.assert_allclose(S, spectrogram(load_audio(path)[0]), atol=1e-3)
