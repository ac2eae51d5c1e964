"""MIDI files, written byte by byte: times are as computed by hand, whatever else is in the file."""

import io
import itertools
import math
import os
import signal
import struct
import threading
from fractions import Fraction

import mido
import numpy as np
import psutil
import pytest
from conftest import wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogen.song import PERCUSSION, Note, read_midi
from audiogen.support.cli import cli
from audiogen.support.midi import LARGEST_MIDI
from audiogen.support.soundfonts import FAMILIES
from audiogen.waveform import load_audio

CLASSES = (*FAMILIES, *sorted({*PERCUSSION.values()}))
END = bytes.fromhex("00 ff2f00")  # at once, End of Track


# Writing


def number(value):
    "A number as MIDI files hold it: 7 bits a byte, the highest first."
    digits = [value & 127]
    while value := value >> 7:
        digits.insert(0, 128 | value & 127)
    return bytes(digits)


def chunk(name, content):
    return name + struct.pack(">L", len(content)) + content


def midi(*tracks, division=480, kind=1, count=None):
    "A file of tracks, each in hexadecimal digits."
    tracks = [bytes.fromhex(track) if isinstance(track, str) else track for track in tracks]
    header = struct.pack(">3H", kind, len(tracks) if count is None else count, division)
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", track) for track in tracks)


def rmi(data):
    "A MIDI file in a RIFF file, behind a part of odd length."

    def part(name, content):
        return name + struct.pack("<L", len(content)) + content + bytes(len(content) % 2)

    return part(b"RIFF", b"RMID" + part(b"DISP", b"odd") + part(b"data", data))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("midi")


@pytest.fixture(scope="module")
def notes_in(folder):
    "[(start, seconds, key)] of a file of these bytes."

    def notes_in(data):
        (folder / "song.mid").write_bytes(data)
        return [
            (note.start, note.seconds, note.midi)
            for note in read_midi(folder / "song.mid", CLASSES)[0]
        ]

    return notes_in


# When

C = "00 90 3c 64"  # middle C, at once
ENDS = "80 3c 00"  # and its end, without the time
LATER = "83 60"  # 480 ticks


@pytest.mark.parametrize(
    "division, tick",
    [
        (480, Fraction(1, 960)),  # 480 ticks a beat, 120 beats a minute
        (1, Fraction(1, 2)),
        (0x7FFF, Fraction(1, 2 * 0x7FFF)),
        (0xE828, Fraction(1, 24 * 40)),
        (0xE728, Fraction(1, 1000)),  # −24 and −25 frames, 40 ticks each
        (0xE350, Fraction(1001, 30000 * 80)),
        (0xE250, Fraction(1, 30 * 80)),
    ],
)
def test_a_tick_is_part_of_a_beat_or_of_a_frame(notes_in, division, tick):
    data = midi("87 68 90 3c 64  82 2c 80 3c 40" + END.hex(), division=division)
    want = float(1000 * tick), float(1300 * tick)
    assert notes_in(data) == [(want[0], want[1] - want[0], 60)]


def test_tempo_means_nothing_to_frames(notes_in):
    tempo = "00 ff5103 0f4240"  # 60 beats a minute
    assert notes_in(midi(tempo + C + LATER + ENDS, division=0xE728)) == [(0, 0.48, 60)]
    assert notes_in(midi(tempo + C + LATER + ENDS, division=480)) == [(0, 1, 60)]


def test_a_tempo_counts_for_all_tracks_and_in_the_middle_of_a_note(notes_in):
    song = C + "87 40" + ENDS  # 960 ticks
    assert notes_in(midi(song, "83 60 ff5103 0f4240")) == [(0, 0.5 + 1, 60)]
    assert notes_in(midi("83 60 ff5103 0f4240", song)) == [(0, 0.5 + 1, 60)]
    assert notes_in(midi(C + "83 60 ff5103 03d090  83 60" + ENDS)) == [(0, 0.5 + 0.25, 60)]


def test_a_tempo_of_nothing_is_passed_over(notes_in):
    for tempo in ("ff5103 000000", "ff5100", "ff5102 0f42"):
        assert notes_in(midi("00" + tempo + C + LATER + ENDS)) == [(0, 0.5, 60)]


def test_format_2_holds_songs_one_after_the_other(notes_in):
    first = "00 ff5103 0f4240" + C + LATER + ENDS + LATER + "ff2f00"  # 2 s at 60 beats a minute
    second = C.replace("3c", "40") + LATER + ENDS.replace("3c", "40")  # at 120 again
    third = C + LATER + "b0 07 40"  # never let go: held to the end of its own song
    assert notes_in(midi(first, second, third, kind=2)) == [
        (0, 1, 60),
        (2, 0.5, 64),
        (2.5, 0.5, 60),
    ]
    assert notes_in(midi(first, second, third, kind=1)) == [(0, 1, 60), (0, 2, 60), (0, 1, 64)]


def test_programs_of_format_2_are_each_song_s_own(folder):
    (folder / "two.mid").write_bytes(midi("00 c0 10" + C + LATER + ENDS, C + LATER + ENDS, kind=2))
    assert [note.label for note in read_midi(folder / "two.mid", CLASSES)[0]] == ["organ", "piano"]


# Which end belongs to which beginning


@pytest.mark.parametrize(
    "presses, want",
    [
        ("0+ 1+ 2- 3-", [(0, 2), (1, 2)]),  # first in, first out
        ("0+ 1+ 2+ 3- 4- 5-", [(0, 3), (1, 3), (2, 3)]),
        ("0+ 1- 1+ 2-", [(0, 1), (1, 1)]),
        ("0+ 1+ 1- 2-", [(0, 1), (1, 1)]),  # at the same tick, in either order
        ("0+ 0+ 1- 2-", [(0, 1), (0, 2)]),
        ("1+ 1-", [(1, 0)]),
        ("1+ 1- 2- 3+ 4-", [(1, 0), (3, 1)]),  # of no length; an end without a beginning
        ("0- 1+ 2-", [(1, 1)]),
        ("0+ 1+ 2-", [(0, 1), (1, 1)]),  # an end is missing: struck again
        ("0+ 1+ 2- 4+ 5-", [(0, 1), (1, 1), (4, 1)]),
        ("0+ 1- 2+", [(0, 1), (2, 4)]),
        ("0+ 2+", [(0, 2), (2, 4)]),  # held to the end of the song, at 6
        ("0+ 1+ 1- 2+ 2- 3+ 3-", [(0, 1), (1, 1), (2, 1), (3, 3)]),
    ],
)
def test_the_first_end_belongs_to_the_first_beginning(notes_in, presses, want):
    track, now = b"", 0
    for press in presses.split():
        when = 2 * int(press[0])  # beats of half a second
        track += number(480 * (when - now)) + bytes([0x90, 60, 100 if press[1] == "+" else 0])
        now = when
    track += number(480 * (12 - now)) + END[1:]
    assert [note[:2] for note in notes_in(midi(track))] == want


def test_a_key_of_another_track_or_channel_is_another_key(notes_in):
    long, short = C + "8f 00" + ENDS, LATER + C[2:] + LATER + ENDS
    assert notes_in(midi(long, short)) == [(0, 2, 60), (0.5, 0.5, 60)]
    both = "00 90 3c 64  83 60 91 3c 64  83 60 81 3c 00  87 40 80 3c 00"
    assert notes_in(midi(both, kind=0)) == [(0, 2, 60), (0.5, 0.5, 60)]


NOTHING = "80 3d 00"  # lets go of a key that nobody pressed


@pytest.mark.parametrize(
    "tracks, want",
    [
        ((C + "87 40" + NOTHING, LATER + ENDS), [(0, 0.5)]),
        ((LATER + ENDS, C + "87 40" + NOTHING), [(0, 0.5)]),
        ((C + LATER + C[2:], "83 00" + ENDS + LATER + ENDS), [(0, 0.4), (0.5, 0.4)]),
        ((C + LATER + C[2:], LATER + ENDS + LATER + ENDS), [(0, 0.5), (0.5, 0.5)]),
        # the second track has a note of its own, the third what the first one lacks
        ((C, "81 70" + C[2:] + LATER + ENDS, LATER + ENDS), [(0, 0.5), (0.25, 0.5)]),
        ((ENDS.join(("00", "")) + LATER + C[2:], LATER + ENDS + LATER + ENDS), [(0.5, 0.5)]),
        ((C + "87 40" + NOTHING, LATER + "81 3c 00"), [(0, 1)]),  # another channel
        ((C + "87 40" + NOTHING, LATER + "80 3d 00"), [(0, 1)]),  # another key
        ((C + "87 40" + NOTHING, "00 ff2101 01" + LATER + ENDS), [(0, 1)]),  # another port
    ],
)
def test_a_note_off_may_stand_in_another_track(notes_in, tracks, want):
    found = [note[:2] for note in notes_in(midi(*tracks))]
    np.testing.assert_allclose(found, want, atol=1e-12)


# Ends of all notes of a channel

OFFS = (120, *range(123, 128))


@pytest.mark.parametrize("number", range(128))
def test_some_controllers_end_the_notes_of_their_channel(notes_in, number):
    other = C.replace("90 3c", "91 3d")
    cut = f"b0 {number:02x} 00"
    after = "90 3e 64" + LATER + "80 3e 00" + LATER + "81 3d 00"
    found = notes_in(midi(C + other + LATER + cut + "00" + after + LATER + "ff2f00"))
    first = 0.5 if number in OFFS else 2
    assert found == [(0, first, 60), (0, 1.5, 61), (0.5, 0.5, 62)]


def test_all_notes_off_ends_those_of_all_tracks_but_of_one_port(notes_in):
    tracks = C, LATER + "b0 7b 00", "00 ff2101 01" + C.replace("3c", "3d") + "87 40" + NOTHING
    assert notes_in(midi(*tracks)) == [(0, 0.5, 60), (0, 1, 61)]


@pytest.mark.parametrize(
    "track, want",
    [
        (C + LATER + "b07b00" + "00" + C[2:] + LATER + ENDS, [(0, 0.5), (0.5, 0.5)]),
        (C + LATER + "b07b00" + LATER + ENDS, [(0, 0.5)]),  # the note-off comes late
        (C + LATER + "b07b00" + LATER + C[2:] + LATER + "b07800", [(0, 0.5), (1, 0.5)]),
        (C + LATER + C[2:] + LATER + ENDS + LATER + "b07b00", [(0, 0.5), (0.5, 0.5)]),
        (C + LATER + "b97b00" + LATER + ENDS, [(0, 1)]),
    ],
)
def test_a_key_pressed_after_all_notes_off_is_a_new_note(notes_in, track, want):
    assert [note[:2] for note in notes_in(midi(track + END.hex()))] == want


# Channels, ports and volumes

ON, OFF = "00 9{0:x} 3c 7f", "83 60 8{0:x} 3c 00"


def played(folder, *tracks, **header):
    "[(label, pitch, velocity)] of a file of these tracks."
    (folder / "volumes.mid").write_bytes(midi(*tracks, **header))
    notes, left_out = read_midi(folder / "volumes.mid", CLASSES)
    assert left_out == 0
    return [(note.label, note.midi, note.velocity) for note in notes]


def test_each_port_has_channels_of_its_own(folder):
    first = "00 ff2101 00 00 c0 10 00 b0 07 7f" + ON.format(0) + OFF.format(0)
    second = "00 ff2101 01 00 c0 38 00 b0 07 40" + ON.format(0) + OFF.format(0)
    want = [("organ", 60, 1), ("brass", 60, (64 / 127) ** 2)]
    assert played(folder, first, second) == want
    one_track = first + second.replace("ff2101 01", "ff2101 05")
    assert played(folder, one_track) == want  # a track may change its port


def test_the_tenth_channel_of_any_port_is_drums(folder):
    drum = "00 c9 10 00 99 26 7f 00 89 26 00"
    assert played(folder, drum, "00 ff2101 03" + drum) == [("snare", 0, 1)] * 2


@pytest.mark.parametrize("value", [None, 1, 64, 100, 127])
def test_a_volume_that_all_channels_share_changes_nothing(folder, value):
    volumes = "" if value is None else "".join(f"00 b{i} 07 {value:02x}" for i in range(2))
    song = "".join(f"00 9{i} 3c {velocity:02x}" for i, velocity in ((0, 127), (1, 33)))
    assert played(folder, volumes + song) == [("piano", 60, 1), ("piano", 60, 33 / 127)]


@pytest.mark.parametrize(
    "volumes, want",
    [  # of the first channel beside the second
        ("00 b0 07 32", (50 / 100) ** 2),  # which has General MIDI's 100
        ("00 b0 07 32 00 b1 07 7f", (50 / 127) ** 2),
        ("00 b0 0b 40", (64 / 127) ** 2),
        ("00 b0 07 32 00 b0 0b 40", (50 / 100) ** 2 * (64 / 127) ** 2),
        ("00 b0 07 00", 0),
        ("00 b0 0b 00", 0),
        ("00 b0 07 00 00 b0 07 64", 1),
        ("00 b0 0b 00 00 b0 79 00", 1),  # all controllers are reset: expression, but
        ("00 b0 07 00 00 b0 79 00", 0),  # not volume (RP-015)
        ("00 b2 07 7f", 1),  # a channel that plays nothing is no measure
        ("00 b9 07 7f 00 99 51 7f", 1),  # nor one whose notes are left out
    ],
)
def test_a_note_is_as_loud_as_its_channel(folder, volumes, want):
    (folder / "loud.mid").write_bytes(midi(volumes + ON.format(0) + ON.format(1) + OFF.format(0)))
    first, second = read_midi(folder / "loud.mid", CLASSES)[0]
    np.testing.assert_allclose((first.velocity, second.velocity), (want, 1), rtol=1e-12)


def test_the_volume_counts_when_a_note_begins(folder):
    fade = ON.format(0) + "81 70 b0 07 32 81 70" + ENDS + ON.format(0) + OFF.format(0)
    assert played(folder, fade) == [("piano", 60, 1), ("piano", 60, 0.25)]


def test_muted_notes_keep_their_times(folder):
    (folder / "muted.mid").write_bytes(midi("00 b0 07 00" + C + LATER + ENDS))
    assert read_midi(folder / "muted.mid", CLASSES) == ([Note(0, 0.5, "piano", 60, 0)], 0)


def test_songs_of_one_file_keep_their_volumes(folder):
    songs = [f"00 b0 07 {value}" + ON.format(0) + OFF.format(0) for value in ("7f", "40")]
    assert [loudness for *_, loudness in played(folder, *songs, kind=2)] == [1, (64 / 127) ** 2]


# What else files hold

NOISE = {
    "a key signature out of range": "00 ff5902 6300",
    "one of no length": "00 ff5900",
    "events cut short": "00 ff5801 04 00 ff5400 00 ff2000 00 ff2100 00 ff0001 05",
    "an unknown event": "00 ff7f03 000102 00 ff4b00",
    "a name in Latin-1": "00 ff0304 636166e9",
    "in UTF-8": "00 ff0305 636166c3a9",
    "in Shift-JIS": "00 ff0304 89b98a79",
    "system exclusive": "00 f005 7e7f0901f7",
    "in two pieces": "00 f003 7e7f09 00 f702 01f7",
    "system messages": "00 f6 00 f8 00 f122 00 f20102 00 f301 00 fe",
    "controllers and bends": "00 b0077f 00 400c 00 e00040 00 d07f 00 a03c10",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_what_is_no_note_is_passed_over(notes_in, noise):
    assert notes_in(midi(noise + C + noise + LATER + ENDS + END.hex())) == [(0, 0.5, 60)]


def test_running_status(notes_in):
    again = "83 60 3c 00"  # a note on of velocity 0, its status left out
    for between in ("", "00 ff0101 41", "00 f002 01f7"):
        assert notes_in(midi(C + between + again)) == [(0, 0.5, 60)]


def test_bytes_beyond_127_are_the_highest(folder):
    (folder / "high.mid").write_bytes(midi("00 c0 ff 00 90 3c ff" + LATER + "80 3c 80"))
    assert read_midi(folder / "high.mid", CLASSES) == ([Note(0, 0.5, "pad", 60, 1)], 0)


def test_a_track_may_lack_its_end_or_have_more_behind_it(notes_in):
    assert notes_in(midi(C + LATER + ENDS)) == [(0, 0.5, 60)]
    assert notes_in(midi(C + LATER + ENDS + END.hex() + "ffff")) == [(0, 0.5, 60)]


def test_other_parts_and_what_follows_are_passed_over(notes_in):
    data = midi(C + LATER + ENDS)
    assert notes_in(data[:14] + chunk(b"XFIH", b"12345") + data[14:] + b"more") == [(0, 0.5, 60)]
    assert notes_in(data[:7] + b"\x08" + data[8:14] + b"ab" + data[14:]) == [
        (0, 0.5, 60)
    ]  # a longer header
    assert notes_in(rmi(data)) == [(0, 0.5, 60)]


def test_two_thousand_tracks(notes_in):
    found = notes_in(
        midi(
            *[
                number(480 * i) + bytes.fromhex(C)[1:] + number(480) + bytes.fromhex(ENDS)
                for i in range(2000)
            ]
        )
    )
    assert found == [(i / 2, 0.5, 60) for i in range(2000)]


def test_drums_have_no_pitch_and_some_no_class(folder):
    (folder / "drums.mid").write_bytes(
        midi("".join(f"00 99 {key:02x} 7f 00 89 {key:02x} 00" for key in (0, 34, 35, 38, 81, 127)))
    )
    assert read_midi(folder / "drums.mid", CLASSES) == (
        [Note(0, 0, "kick"), Note(0, 0, "snare")],
        4,
    )


@pytest.mark.parametrize(
    "program, classes, want",
    [
        (24, ("guitar", "pluck", "organ"), "guitar"),
        (24, ("pluck", "organ"), "pluck"),
        (24, ("kick", "organ"), "organ"),
        (127, ("organ",), "organ"),
        (24, ("bird", "kick"), None),
    ],
)
def test_who_plays_must_be_in_the_model(folder, program, classes, want):
    (folder / "guitar.mid").write_bytes(midi(f"00 c0 {program:02x}" + C + LATER + ENDS))
    notes, left_out = read_midi(folder / "guitar.mid", classes)
    assert ([note.label for note in notes], left_out) == (([want], 0) if want else ([], 1))


# What is refused

WHOLE = midi(C + LATER + ENDS + END.hex(), C)
BAD = {
    b"": "the file is empty",
    b"Dear Sir or Madam,": "begins with b'Dear Sir or ', not with b'MThd'",
    b"RIFF\x24\0\0\0WAVEfmt ": "WAVE', not with b'MThd'",
    b"RIFF\x24\0\0\0RMIDxxxx": "RIFF file without a chunk called data",
    b"MT": "begins with b'MT'",
    WHOLE[:13]: "its header, MThd, is missing or cut short",
    b"MThd": "its header, MThd, is missing or cut short",
    WHOLE[:20]: "cut short: 0 of 2 tracks are there",
    WHOLE[:30]: "cut short: 8 of 13 bytes of track 1 are there",
    midi(C, count=2): "cut short: 1 of 2 tracks are there",
    rmi(WHOLE)[:-3]: "bytes of track 2 are there",
    midi("", "00 90 3c"): "track 2: its last event is cut short",
    midi("00 ff0310 41"): "track 1: its last event is cut short",
    midi("00 3c 64"): "track 1: no event begins at byte 1",
    midi("ff ff ff ff 01 90 3c 64"): "track 1: the number before byte 4 has no end",
    midi(C, division=0): "division is 0 ticks",
    midi(C, division=0xE700): "division is 0 ticks",
    midi(C, division=0xC428): "division is 60 frames a second; want 24, 25, 29 (29.97) or 30",
    midi(C, kind=7): "format is 7; want 0, 1 or 2",
    WHOLE + bytes(LARGEST_MIDI): "more than 17 MB",
}


@pytest.mark.parametrize("data", BAD, ids=BAD.values())
def test_a_refusal_says_what_is_wrong(folder, data):
    (folder / "bad.mid").write_bytes(data)
    with pytest.raises(ValueError) as refused:
        read_midi(folder / "bad.mid", CLASSES)
    message = str(refused.value)
    assert (
        message.startswith(f"{folder / 'bad.mid'}: not a MIDI file that can be read: ")
        and BAD[data] in message
    )
    assert message.endswith("want a Standard MIDI File, .mid or .rmi")


def test_a_file_that_cannot_be_opened_is_named(folder):
    with pytest.raises(FileNotFoundError) as missing:
        read_midi(str(folder / "missing.mid"), CLASSES)
    with pytest.raises(IsADirectoryError) as directory:
        read_midi(str(folder), CLASSES)
    assert (missing.value.filename, directory.value.filename) == (
        str(folder / "missing.mid"),
        str(folder),
    )


# Random files

tempos = st.integers(1, 2**24 - 1)
divisions = st.integers(1, 0x7FFF) | st.builds(
    lambda frames, ticks: (256 - frames) << 8 | ticks,
    st.sampled_from([24, 25, 29, 30]),
    st.integers(1, 255),
)
harmless = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in (
            "ff0304636166e9",
            "f0057e7f0901f7",
            "b00a7f",
            "e00040",
            "d07f",
            "ff7f03000102",
            "ff59026300",
        )
    ]
)


@st.composite
def key_presses(draw):
    "Notes of one key: sorted beginnings, sorted ends, and the events that make them."
    channel, key = draw(st.sampled_from([(0, 60), (0, 61), (3, 60), (9, 38)]))
    times = st.lists(st.integers(0, 5000), min_size=1, max_size=4)
    starts = sorted(draw(times))
    lengths = draw(st.lists(st.integers(0, 700), min_size=len(starts), max_size=len(starts)))
    ends = sorted(start + length for start, length in zip(starts, lengths))
    velocities = draw(st.lists(st.integers(1, 127), min_size=len(starts), max_size=len(starts)))
    off = draw(st.sampled_from([bytes([0x80 | channel, key, 64]), bytes([0x90 | channel, key, 0])]))
    early = draw(st.booleans())  # do ends come first in their tick, where they may?
    events = [
        (start, 1, bytes([0x90 | channel, key, velocity]))
        for start, velocity in zip(starts, velocities)
    ]
    events += [(end, 0 if early and end > start else 2, off) for start, end in zip(starts, ends)]
    return (channel, key), [*zip(starts, ends, velocities)], events


@st.composite
def tracks(draw):
    "Keys of a track, tempo changes at their ticks, and things that mean nothing here."
    keys = {
        key: (notes, events) for key, notes, events in draw(st.lists(key_presses(), max_size=3))
    }
    changes = draw(st.dictionaries(st.integers(0, 5000), tempos, max_size=3))
    other = draw(st.lists(st.tuples(st.integers(0, 5000), harmless), max_size=3))
    return keys, changes, other


def write_track(keys, changes, other, running):
    "The bytes of a track, with its statuses left out where they may be."
    events = [
        (tick, 3, b"\xff\x51\x03" + tempo.to_bytes(3, "big")) for tick, tempo in changes.items()
    ]
    events += [(tick, 3, data) for tick, data in other]
    events += itertools.chain.from_iterable(events for _, events in keys.values())
    written, now, status = b"", 0, None
    for tick, _, data in sorted(events, key=lambda event: event[:2]):
        written += number(tick - now) + (data[1:] if running and data[0] == status else data)
        now, status = tick, data[0] if data[0] < 0xF0 else None
    return written + END, now


def seconds_at(tick, division, changes):
    "Exact time of a tick."
    if division >= 0x8000:
        frames = {24: 24, 25: 25, 29: Fraction(30000, 1001), 30: 30}[256 - (division >> 8)]
        return tick / Fraction(frames * (division & 255))
    total, last, tempo = Fraction(0), 0, 500_000
    for change, faster in sorted(changes.items()):
        if change >= tick:
            break
        total, last, tempo = total + (change - last) * tempo, change, faster
    return (total + (tick - last) * tempo) / (division * 10**6)


@given(st.lists(tracks(), max_size=4), divisions, st.sampled_from([1, 2]), st.booleans())
@settings(max_examples=200)
def test_any_song_is_read_as_it_was_written(folder, songs, division, kind, running):
    taken = set()  # two tempos at one tick of different tracks: the first one stays
    if kind == 1:
        songs = [
            (keys, {t: x for t, x in changes.items() if not (t in taken or taken.add(t))}, other)
            for keys, changes, other in songs
        ]
    written = [write_track(*song, running) for song in songs]
    together, want, begin = {t: x for _, changes, _ in songs for t, x in changes.items()}, [], 0.0
    for (keys, changes, _), (_, length) in zip(songs, written):
        tempos_here = changes if kind == 2 else together

        def when(tick, changes=tempos_here):
            return float(seconds_at(tick, division, changes))

        for (channel, key), (notes, _) in keys.items():
            name, pitch = ("snare", 0.0) if channel == 9 else ("piano", float(key))
            want += [
                Note(begin + when(start), when(end) - when(start), name, pitch, velocity / 127)
                for start, end, velocity in notes
            ]
        if kind == 2:
            begin += when(length)
    (folder / "any.mid").write_bytes(
        midi(*(data for data, _ in written), division=division, kind=kind)
    )
    found, left_out = read_midi(folder / "any.mid", CLASSES)

    def order(note):
        return note.start, note.midi, note.label, note.seconds, note.velocity

    assert sorted(found, key=order) == sorted(want, key=order) and left_out == 0


@given(st.lists(tracks(), min_size=1, max_size=3), st.integers(1, 0x7FFF))
def test_notes_begin_when_mido_says(folder, songs, division):
    data = midi(
        *(write_track(keys, changes, [], True)[0] for keys, changes, _ in songs), division=division
    )
    (folder / "same.mid").write_bytes(data)
    now, want = 0.0, []
    for message in mido.MidiFile(file=io.BytesIO(data)):
        now += message.time
        if message.type == "note_on" and message.velocity:
            want.append((now, message.velocity / 127))
    found = [(note.start, note.velocity) for note in read_midi(folder / "same.mid", CLASSES)[0]]
    np.testing.assert_allclose(sorted(found), sorted(want), rtol=1e-9, atol=1e-9)


settings_of_channels = st.tuples(
    st.integers(0, 5000),
    st.integers(0, 3),  # channel
    st.sampled_from([(0xB0, 7), (0xB0, 11), (0xC0, None)]),
    st.integers(0, 127),
)


@given(st.lists(tracks(), min_size=1, max_size=3), st.lists(settings_of_channels, max_size=8))
def test_programs_and_volumes_are_what_mido_says(folder, songs, orders):
    told = [
        (tick, bytes([status | channel, *([] if number is None else [number]), value]))
        for tick, channel, (status, number), value in orders
    ]
    data = midi(
        write_track({}, {}, told, True)[0],
        *(write_track(keys, changes, [], True)[0] for keys, changes, _ in songs),
    )
    (folder / "told.mid").write_bytes(data)
    programs, volumes, want = {}, {}, []
    for message in mido.MidiFile(file=io.BytesIO(data), clip=True):
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type == "control_change":
            volumes[message.channel, message.control] = message.value
        elif message.type == "note_on" and message.velocity:
            volume = volumes.get((message.channel, 7), 100)
            loudness = (volume * volumes.get((message.channel, 11), 127)) ** 2
            program = programs.get(message.channel, 0)
            name = FAMILIES[program // 8] if program < 96 else "pad"
            name = "snare" if message.channel == 9 else name
            want.append((name, message.velocity / 127, loudness))
    loudest = max((loudness for *_, loudness in want), default=0) or 1
    want = [(name, velocity * loudness / loudest) for name, velocity, loudness in want]
    found = [(n.label, n.velocity) for n in read_midi(folder / "told.mid", CLASSES)[0]]
    assert [name for name, _ in sorted(found)] == [name for name, _ in sorted(want)]
    velocities = [[velocity for _, velocity in sorted(notes)] for notes in (found, want)]
    np.testing.assert_allclose(*velocities, rtol=1e-9, atol=1e-12)


FULL = midi(
    "00 ff0303 416263 00 c0 10" + C + "00 40 64 83 60 3c 00 83 60 40 00" + END.hex(),
    "00 ff5103 0f4240 83 60 99 26 7f 00 f002 01f7 10 89 26 00" + END.hex(),
)


@given(
    st.sampled_from([FULL, rmi(FULL), midi(C + LATER + ENDS, kind=2, division=0xE728)]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=6),
    st.floats(0.5, 1),
)
@settings(max_examples=500)
def test_a_damaged_file_is_refused_or_its_notes_are_finite(folder, data, flips, part):
    damaged = bytearray(data)
    for place, bits in flips:
        damaged[int(place * len(data))] ^= bits
    if not flips:
        damaged = damaged[: int(part * len(data))]
    (folder / "damaged.mid").write_bytes(damaged)
    try:
        notes, left_out = read_midi(folder / "damaged.mid", CLASSES)
    except ValueError as e:
        assert str(folder / "damaged.mid") in str(e) and str(e).isprintable()
    else:
        assert left_out >= 0 and all(
            math.isfinite(note.start + note.seconds) and min(note.start, note.seconds) >= 0
            for note in notes
        )


# The command

SONG = midi(C + "81 70" + ENDS)  # a quarter of a second


def refused(capsys, *words):
    "The line that `audiogen WORDS` says, which must be one."
    assert cli([*map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("audiogen: ")
    return err


def test_play_refuses_before_it_writes(folder, capsys, monkeypatch):
    memory = psutil.virtual_memory()._replace(total=16e9)  # bytes
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    song, out = folder / "song.mid", folder / "out"
    four_years = number(4 * 365_25 * 24 * 36 * 2) + bytes.fromhex(C)[1:]  # beats of half a second
    for data, words, line in (
        (midi(four_years, division=1), (), "the song lasts 35,064.0 h; want 24 h at most"),
        (
            midi(C + "84 c0 00" + ENDS, division=1),
            (),
            "the note at 0.0 s, which lasts 36,864.0 s, needs 147.5 GB",
        ),
        (midi(""), (), "no note that the model can play"),
        (SONG, ("--label", "harp"), "no class is called 'harp'"),
    ):
        song.write_bytes(data)
        assert line in refused(capsys, "play", song, "--out", out / "song.wav", *words)
    assert not out.exists()
    assert "holds the song that is to be played" in refused(capsys, "play", song, "--out", song)
    assert (
        refused(capsys, "play", folder, "--out", out / "song.wav")
        == f"audiogen: {folder}: Is a directory\n"
    )
    assert song.read_bytes() == SONG


def test_play_reads_pipes_and_names_of_any_bytes(audiogen_alone, folder, capsys):
    pipe, name, out = (
        folder / "pipe",
        os.fsencode(folder / "caf") + b"\xe9.mid",
        folder / "new" / "folder",
    )
    os.mkfifo(pipe)
    with open(name, "wb") as file:
        file.write(SONG)
    with open(name, "rb") as stdin:
        assert audiogen_alone("play", "/dev/stdin", "--out", out / "stdin.wav", stdin=stdin) == (
            0,
            f"{out / 'stdin.wav'}\n",
            "",
        )
    writer = threading.Thread(target=pipe.write_bytes, args=[rmi(SONG)], daemon=True)
    writer.start()
    assert [
        cli(["play", str(pipe), "--out", str(out / "pipe.wav")]),
        cli(["play", os.fsdecode(name), "--out", str(out / "name.wav")]),
    ] == [0, 0]
    writer.join()
    songs = [load_audio(out / f"{source}.wav")[0] for source in ("stdin", "pipe", "name")]
    assert [len(x) for x in songs] == [
        16000 * 0.3
    ] * 3  # a quarter of a second, and 50 ms of release
    assert (
        np.abs(songs[0]).max() > 0.1
        and (songs[0] == songs[1]).all()
        and (songs[0] == songs[2]).all()
    )


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143)])
def test_play_interrupted_leaves_nothing(popen, interruptible, tmp_path, name, status):
    song = tmp_path / "hour.mid"
    song.write_bytes(midi((C + LATER + ENDS).replace("00 90", "83 60 90") * 3600))
    with popen("play", song, "--out", tmp_path / "out" / "song.wav") as process:
        wait_for(lambda: [*tmp_path.glob("out/.*.part")], process)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate()
    assert [*(tmp_path / "out").iterdir()] == []
    assert (process.returncode, err) == (status, "audiogen: interrupted\n")


def test_a_note_without_pitch_is_refused_where_the_class_has_one():
    from audiogen.generator import load_model
    from audiogen.song import play_notes

    model = load_model("conditional")
    with pytest.raises(ValueError, match="organ has a pitch, and a note of it has none"):
        next(play_notes(model, [Note(0, 0.2, "organ")]))
    with pytest.raises(ValueError, match="kick has no pitch"):
        next(play_notes(model, [Note(0, 0.2, "kick", 60.0)]))
    with pytest.raises(ValueError, match="midi is nan"):
        Note(0, 1, "organ", float("nan"))
