"""Folders as people have them: what is found in them, tables of labels, copies, few clips, many clips."""

import itertools
import json
import math
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from conftest import unexpected

from audiogen.generator import AudioModel
from audiogen.sounds import hold_out_groups, load_folder, split_sounds
from audiogen.support import copies, folders, lengths, library
from audiogen.support.clips import SoundSet
from audiogen.support.conditions import Condition
from audiogen.support.evaluation import evaluate
from audiogen.support.files import READABLE
from audiogen.support.folders import find_clips, same_recordings
from audiogen.support.run_settings import (
    DEFAULTS,
    absolute_paths,
    class_names,
    evaluation_settings,
    kept_settings,
    load_data,
    report_few,
    run_settings,
    with_shape,
)
from audiogen.support.store import model_info
from audiogen.support.tables import read_labels
from audiogen.waveform import sine

RATE = 16000


def tone(i=0, seconds=0.2):
    return sine(200 * 2 ** (i / 12), duration=seconds, sample_rate=RATE, amplitude=0.5)


def save(path, i=0, **options):
    "A tone of its own for each number."
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), np.asarray(tone(i, **options)), RATE)
    return path


def save_classes(folder, counts):
    "Sub-folders of different tones, {class: how many}."
    for c, (name, count) in enumerate(counts.items()):
        for i in range(count):
            save(folder / name / f"{i}.wav", i=20 * c + i)
    return folder


def found(folder):
    return {
        path.relative_to(folder).as_posix(): label
        for path, (label, _) in find_clips(folder)[0].items()
    }


def settings(folder, **others):
    shape = dict(sample_rate=RATE, duration=0.5)
    return dict(data=str(folder), labels=None, soundfont=None, classes=None) | shape | others


# What is found


@pytest.mark.parametrize("suffix", sorted({*READABLE}))
def test_whatever_can_be_read_is_found(tmp_path, suffix):
    for name in (f"a{suffix}", f"b{suffix.upper()}"):
        (tmp_path / "kick").mkdir(exist_ok=True)
        (tmp_path / "kick" / name).write_text("no sound")
    save(tmp_path / "kick" / "good.wav")
    assert found(tmp_path) == dict.fromkeys(
        [f"kick/a{suffix}", f"kick/b{suffix.upper()}", "kick/good.wav"], "kick"
    )
    lines = load_folder(tmp_path).skipped
    assert len(lines) == 2 and all("kick/" in line for line in lines)


def test_aiff_and_opus_are_read(tmp_path):
    for i, (name, options) in enumerate(
        {
            "a.aif": dict(format="AIFF"),
            "b.AIFF": {},
            "c.oga": dict(format="OGG"),
            "d.opus": dict(format="OGG", subtype="OPUS"),
        }.items()
    ):
        soundfile.write(tmp_path / name, np.asarray(tone(i)), RATE, **options)
    sounds = load_folder(tmp_path, sample_rate=RATE, duration=0.5)
    assert (
        list(sounds.details["file"]) == ["a.aif", "b.AIFF", "c.oga", "d.opus"]
        and sounds.skipped == ()
    )
    bins = np.abs(np.fft.rfft(sounds.waveforms[:, :3200])).argmax(1)  # of 5 Hz
    np.testing.assert_allclose(5 * bins, [200 * 2 ** (i / 12) for i in range(4)], atol=5)


def test_hidden_things_and_things_without_sound_are_passed_over(tmp_path):
    for name in (
        "kick/a.wav",
        ".ipynb_checkpoints/a-checkpoint.wav",
        "kick/.ipynb_checkpoints/a.wav",
        "kick/._a.wav",
        "__MACOSX/kick/._a.wav",
        "__MACOSX/kick/b.wav",
    ):
        save(tmp_path / name)
    for name in ("README.txt", ".DS_Store", "kick/.DS_Store", "kick/cover.jpg", "kick/Thumbs.db"):
        (tmp_path / name).write_text("x")
    sounds = load_folder(tmp_path)
    assert (list(sounds.details["file"]), sounds.classes, sounds.skipped) == (
        ["kick/a.wav"],
        ("kick",),
        (),
    )


def test_a_folder_that_is_itself_hidden_is_read(tmp_path):
    save(tmp_path / ".cache" / "kick" / "a.wav")
    assert found(tmp_path / ".cache") == {"kick/a.wav": "kick"}


def test_links_to_folders_are_followed_and_never_in_circles(tmp_path):
    save(tmp_path / "library" / "deep" / "a.wav")
    save(tmp_path / "library" / "b.wav", i=1)
    save(tmp_path / "data" / "snare" / "c.wav", i=2)
    data = tmp_path / "data"
    (data / "kick").symlink_to(tmp_path / "library", target_is_directory=True)
    (data / "snare" / "up").symlink_to(data, target_is_directory=True)
    (data / "snare" / "further up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "library" / "deep" / "self").symlink_to(
        tmp_path / "library", target_is_directory=True
    )
    (data / "snare" / "linked.wav").symlink_to(tmp_path / "library" / "b.wav")
    assert found(data) == {
        "kick/b.wav": "kick",
        "kick/deep/a.wav": "kick",
        "snare/c.wav": "snare",
        "snare/linked.wav": "snare",
    }


def test_two_folders_that_link_to_each_other_end(tmp_path):
    for a, b in ("ab", "ba"):
        save(tmp_path / a / f"{a}.wav", i=ord(a))
        (tmp_path / a / "link").symlink_to(tmp_path / b, target_is_directory=True)
    assert sorted(found(tmp_path)) == ["a/a.wav", "a/link/b.wav", "b/b.wav", "b/link/a.wav"]


def test_broken_links_pipes_and_closed_folders_are_named(tmp_path, monkeypatch):
    save(tmp_path / "kick" / "a.wav")
    (tmp_path / "kick" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(tmp_path / "kick" / "pipe.wav")
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def refuse(path):
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    sounds = load_folder(tmp_path)
    assert list(sounds.details["file"]) == ["kick/a.wav"]
    lines = sorted(sounds.skipped)
    assert (
        len(lines) == 3
        and [
            "gone.wav" in lines[0],
            "pipe.wav" in lines[1],
            "locked: Permission denied" in lines[2],
        ]
        == [True] * 3
    )


def test_the_first_level_is_the_class_and_loose_files_are_of_the_folders_name(
    tmp_path, monkeypatch
):
    for name in ("kick/a/b/c.wav", "kick/d.wav", "loose.wav"):
        save(tmp_path / "kit" / name)
    assert found(tmp_path / "kit") == {
        "kick/a/b/c.wav": "kick",
        "kick/d.wav": "kick",
        "loose.wav": "kit",
    }
    monkeypatch.chdir(tmp_path / "kit")
    assert {label for label, _ in find_clips(Path("."))[0].values()} == {"kick", "kit"}


def test_names_in_latin_1_are_text(tmp_path):
    "Bytes that are no UTF-8 can be printed, saved as JSON, and asked for."
    os.makedirs(name := os.fsencode(tmp_path) + b"/Fl\xf6te")
    for i, file in enumerate((b"\xe9.wav", b"bad\xe9.wav")):
        save(tmp_path / "Fl\udcf6te" / os.fsdecode(file), i=i)
    (tmp_path / "Fl\udcf6te" / "bad\udce9.wav").write_text("no sound")
    sounds = load_folder(tmp_path)
    assert os.path.isdir(name) and (sounds.classes, list(sounds.details["file"])) == (
        ("Flöte",),
        ["Flöte/é.wav"],
    )
    assert "badé.wav" in sounds.skipped[0]
    assert (
        json.loads(json.dumps([*sounds.classes, *sounds.skipped], ensure_ascii=False).encode())[0]
        == "Flöte"
    )


def test_names_with_control_characters_are_shown_escaped(tmp_path):
    save(tmp_path / "ki\x1b[31mck" / "a\nb.wav")
    save(tmp_path / "\u200b" / "c.wav", i=1)
    (tmp_path / "ki\x1b[31mck" / "bad\x07.wav").write_text("no sound")
    sounds = load_folder(tmp_path)
    assert sounds.classes == (r"'\u200b'", r"ki\x1b[31mck")
    assert [*sounds.details["file"]] == [r"ki\x1b[31mck/a\nb.wav", "\u200b/c.wav"]
    assert len(sounds.skipped) == 1 and r"bad\x07.wav" in sounds.skipped[0]
    assert "\x1b" not in sounds.skipped[0] and "\x07" not in sounds.skipped[0]


def test_files_with_other_suffixes_are_counted(tmp_path):
    save(tmp_path / "kick" / "a.wav")
    for name in "1.xyz 2.XYZ 3.abc none README.txt t.csv cover.JPG .hidden.xyz".split():
        (tmp_path / "kick" / name).write_text("x")
    line = "4 files with other suffixes left out: .xyz (2), .abc (1), none (1)"
    assert load_folder(tmp_path).notes == (line,)
    (tmp_path / "kick" / "a.wav").unlink()
    with pytest.raises(ValueError, match="no sound in it \\(4 files with other suffixes"):
        load_folder(tmp_path)
    for i in range(9):
        (tmp_path / "kick" / f"a.s{i}").write_text("x")
    save(tmp_path / "kick" / "a.wav")
    (line,) = load_folder(tmp_path).notes
    assert line.startswith("13 files") and line.endswith(", …") and line.count("(") == 5


def test_a_folder_of_sounds_and_papers_needs_no_note(tmp_path):
    save(tmp_path / "kick" / "a.wav")
    for name in ("README.txt", "notes.md", "kick/cover.png", "kick/Thumbs.db", "set.json"):
        (tmp_path / name).write_text("x")
    assert load_folder(tmp_path).notes == ()


def test_a_decomposed_name_is_the_same_class_as_the_composed(tmp_path):
    save(tmp_path / "Flo\u0308te" / "a.wav")
    assert load_folder(tmp_path).classes == ("Fl\u00f6te",)


# Tables of labels

ROWS = {"kick/a.wav": ("boom", 36.5), "kick/Größe b.wav": ("tschak", math.nan)}
TEXT = "file,label,midi\nkick/a.wav,boom,36.5\nkick/Größe b.wav,tschak,\n"


def same_table(table):
    assert table.keys() == ROWS.keys() and all(table[name][0] == ROWS[name][0] for name in ROWS)
    np.testing.assert_equal([table[name][1] for name in ROWS], [36.5, math.nan])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_tables_in_any_usual_encoding(tmp_path, encoding, ends):
    (tmp_path / "t.csv").write_bytes(TEXT.replace("\n", ends).encode(encoding))
    same_table(read_labels(tmp_path / "t.csv"))


def test_big_endian_utf_16(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xfe\xff" + TEXT.encode("utf-16-be"))
    same_table(read_labels(tmp_path / "t.csv"))


def test_a_table_that_cannot_be_decoded_says_how_to_save_it(tmp_path):
    (tmp_path / "t.csv").write_bytes(TEXT.encode("utf-16-le"))
    with pytest.raises(ValueError, match="t.csv: .*save it as UTF-8"):
        read_labels(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace(",", ";").replace("36.5", "36,5"),
        TEXT.replace(",", "\t"),
        "sep=;\n" + TEXT.replace(",", ";"),
        TEXT.replace(",", " , "),
        TEXT.replace("file,label,midi", " File, LABEL ,Midi"),
        TEXT + "\n  \n,,\n",
        "\n" + TEXT,
        TEXT.replace("kick/Größe b.wav", '"kick/Größe b.wav"').replace(",boom", ', "boom"'),
        'label,midi,comment,file\nboom,36.5,"one, two",kick/a.wav\ntschak,,,kick/Größe b.wav\n',
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    same_table(read_labels(tmp_path / "t.csv"))


@pytest.fixture
def kit(tmp_path):
    save(tmp_path / "kit" / "kick" / "a.wav")
    save(tmp_path / "kit" / "kick" / "Größe b.wav", i=5)
    return tmp_path / "kit"


def labelled(folder, table):
    return dict(
        zip(
            *(lambda s: (s.details["file"].tolist(), [s.classes[k] for k in s.labels]))(
                load_folder(folder, labels=table)
            )
        )
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text, kit: text,
        lambda text, kit: text.replace("kick/", f"{kit}/kick/"),  # absolute
        lambda text, kit: text.replace("kick/", "kick\\"),  # Windows
        lambda text, kit: text.replace("kick/", ".\\Kick\\").replace("a.wav", "A.WAV"),
        lambda text, kit: text.replace("kick/", "./kick/../kick/"),
        lambda text, kit: text.replace(
            "kick/", "kit/kick/"
        ),  # from the folder above, where the table lies
        lambda text, kit: text.replace("ö", "o\u0308"),  # as a Mac spells it
    ],
)
def test_names_in_a_table_are_found(kit, tmp_path, monkeypatch, change):
    (tmp_path / "t.csv").write_text(change(TEXT, kit), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for folder in (kit, Path("kit")):
        assert labelled(folder, tmp_path / "t.csv") == {
            "kick/a.wav": "boom",
            "kick/Größe b.wav": "tschak",
        }


def test_names_in_latin_1_on_disk_and_in_a_table(tmp_path):
    save(tmp_path / "kick" / "a.wav")
    save(tmp_path / "kick" / os.fsdecode("Größe b.wav".encode("latin-1")), i=5)
    (tmp_path / "t.csv").write_bytes(TEXT.encode("latin-1"))
    assert labelled(tmp_path, tmp_path / "t.csv") == {
        "kick/a.wav": "boom",
        "kick/Größe b.wav": "tschak",
    }


def test_a_table_that_is_no_utf_8_is_noted(kit, tmp_path):
    (tmp_path / "t.csv").write_bytes(TEXT.encode("cp1252"))
    assert any(
        "t.csv" in line and "Windows-1252" in line
        for line in load_folder(kit, labels=tmp_path / "t.csv").notes
    )


def test_a_table_is_read_once(kit, tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_bytes(TEXT.encode("cp1252"))
    opened = []
    read = Path.read_bytes

    def spy(path):
        opened.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", spy)
    assert "Windows-1252" in load_folder(kit, labels=tmp_path / "t.csv").notes[0]
    assert opened == ["t.csv"]


def test_a_file_beside_the_folder_is_read(kit, tmp_path):
    save(tmp_path / "elsewhere" / "c.wav", i=7)
    (tmp_path / "t.csv").write_text(
        f"file,label\nkick/a.wav,boom\n{tmp_path}/elsewhere/c.wav,zing\n"
    )
    assert labelled(kit, tmp_path / "t.csv") == {
        "kick/a.wav": "boom",
        f"{tmp_path}/elsewhere/c.wav": "zing",
    }


def refusal(tmp_path, text):
    "Why a table is refused, in one line."
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as refused:
        read_labels(tmp_path / "t.csv")
    line = str(refused.value).removeprefix(f"{tmp_path / 't.csv'}: ")
    assert line.isprintable() and len(line) < 200
    return line


@pytest.mark.parametrize(
    "rows, line",
    [
        ('a.wav,k,60\nb.wav,"k,61\nc.wav,k,62\nd.wav,k,63', 3),  # to the end of the file
        ('a.wav,k,60\nb.wav,"k,61\nc.wav,k",62\nd.wav,k,63', 3),  # to a second stray quote
        ('"a.wav,k,60\n' + 20 * "b.wav,k,61\n", 2),
        ('"a.wav,k,60\nb.wav",k,61', 2),
        ('a.wav,k,60,x\nb.wav,k,61,"12 inch\nc.wav,k,62,x\n' + 9000 * "d.wav,k,62,x\n", 3),
        ('a.wav,k,60,x\nb.wav,k,61,"x" y\nc.wav,k,62,x', 3),
        ('a.wav,k,60,x\nb.wav,k,61,"12 inch\nc.wav,k,62,"x"', 3),
        ('a.wav,k,"60\n61"', 2),
    ],
)
def test_a_stray_quote_is_refused_where_it_opens(tmp_path, rows, line):
    assert refusal(tmp_path, "file,label,midi,note\n" + rows).startswith(f"line {line}: ")


def test_quotes_that_are_closed_are_read(tmp_path):
    rows = 'a.wav,"12"" inch","one\ntwo, three"\nb.wav,12" inch,x\nc.wav,"low, dark",\n'
    (tmp_path / "t.csv").write_text("file,label,note\n" + rows)
    labels = {name: label for name, (label, _) in read_labels(tmp_path / "t.csv").items()}
    assert labels == {"a.wav": '12" inch', "b.wav": '12" inch', "c.wav": "low, dark"}


def test_a_comma_without_quotes_drops_no_words(tmp_path):
    line = refusal(tmp_path, "file,label\na.wav,bass, drum\n")
    assert line.startswith("line 2: 3 cells for 2 columns; want ")


@pytest.mark.parametrize("character", ["\x1b[31m", "\x07", "\u2028", "\x85", "\t"])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_control_characters_in_a_table_are_refused(tmp_path, character, column):
    row = ["a.wav", "kick", "60"]
    row[column] = f"{row[column][:1]}{character}{row[column][1:]}"
    line = refusal(tmp_path, f"file,label,midi\n{','.join(row)}\n")
    assert line.startswith("line 2: ") and "control character" in line


@pytest.mark.parametrize(
    "label", ["cafe\u0301", "\u200bcafé", "café\u200d", "café\xa0", "\ufeffcafé", "\u2060 café"]
)
def test_labels_that_look_the_same_are_one_class(tmp_path, label):
    (tmp_path / "t.csv").write_text(f"file,label\na,café\nb,{label}\na,{label}\n", "utf-8")
    assert {label for label, _ in read_labels(tmp_path / "t.csv").values()} == {"café"}


@pytest.mark.parametrize(
    "text, midi",
    {
        **{"0": 0, "127": 127, "60.5": 60.5, '"60,5"': 60.5, "60.": 60},
        **{"C4": 60, "c4": 60, "F#3": 54, "Bb2": 46, "A4": 69, "C-1": 0, "G9": 127, "E♭4": 63},
    }.items(),
)
def test_pitches_are_numbers_or_notes(tmp_path, text, midi):
    (tmp_path / "t.csv").write_text(f"file,label,midi\na.wav,k,{text}\n", encoding="utf-8")
    assert read_labels(tmp_path / "t.csv") == {"a.wav": ("k", midi)}


@pytest.mark.parametrize(
    "text", "inf -inf nan NaN n/a 1e400 440 127.5 -3 1_0 0x3c ６０ C4x H4 Cb-1 G#9 C".split()
)
def test_what_is_no_pitch_is_refused(tmp_path, text):
    assert refusal(tmp_path, f"file,label,midi\na.wav,k,{text}\n") == (
        f"line 2: midi is {text!r}; want a MIDI number from 0 to 127, such as 60, "
        "or a note such as C4"
    )


def test_long_cells_are_shortened_in_messages(tmp_path):
    long = 90_000 * "x"
    for row in (f",{long},", f"{long},,", f"a,b,{long}", f"{long},b,\n{long},c,"):
        refusal(tmp_path, f"file,label,midi\n{row}\n")


def test_a_table_that_is_not_there_names_the_argument(kit, tmp_path):
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "no.csv", "No such file")):
        with pytest.raises(OSError) as refused:
            load_folder(kit, labels=path)
        line = str(refused.value)
        assert line.startswith(f"labels: {path}: {why}") and "want a CSV file with" in line


def test_files_that_a_table_does_not_name_are_counted(kit, tmp_path):
    save(kit / "kick" / "c.wav", i=9)
    (kit / "readme.txt").write_text("x")
    (kit / "kick" / "z.wav").symlink_to(kit / "kick" / "a.wav")  # the same file
    (tmp_path / "t.csv").write_text("file,label\nkick/a.wav,boom\n")
    such = "sound files that it doesn't name, left out: 2, such as kick/Größe b.wav"
    assert load_folder(kit, labels=tmp_path / "t.csv").notes == (f"{tmp_path / 't.csv'}: {such}",)


@pytest.mark.parametrize(
    "text, complaint",
    {
        "file,label\n": "t.csv: it has no rows; want one",
        "file,label,label\na.wav,b,c\n": "line 1: 2 columns 'label'; want",
        "file,label\n,boom\n": "line 2: .*no file",
        "file,label\na.wav,\n": "line 2: a.wav has no label",
        "file,label,midi\na.wav,b,high\n": "line 2: .*high",
        "label,file\nboom\n": "line 2: there is no file for 'boom'",
        "file,label\na.wav,b\n" + 200_000 * "c" + ",d\n": "line 3: field larger",
        "\n\nname,label\n": "line 3: no column 'file'",
        "": "line 1: no column",
    }.items(),
)
def test_rows_that_say_too_little(tmp_path, text, complaint):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_labels(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "first, second, complaint",
    [
        (
            "k/a.wav,one,",
            "k/a.wav,two,",
            "t.csv: line 3: k/a.wav is both 'one' and 'two'; want one",
        ),
        ("k/a.wav,one,", "k/./a.wav,two,", "t.csv: .*k/a.wav is both 'one' and 'two'; want one"),
        ("k/a.wav,one,", "K\\A.wav,two,", "t.csv: .*k/a.wav is both 'one' and 'two'; want one"),
        (
            "gone.wav,one,",
            "k/../gone.wav,two,",
            "t.csv: .*gone.wav is both 'one' and 'two'; want one",
        ),
        ("k/a.wav,one,60", "k/../k/a.wav,one,61", "a.wav has the pitches 60 and 61; want one"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path, first, second, complaint):
    save(tmp_path / "k" / "a.wav")
    save(tmp_path / "k" / "b.wav", i=1)
    (tmp_path / "t.csv").write_text(f"file,label,midi\n{first}\n{second}\nk/b.wav,three,\n")
    with pytest.raises(ValueError, match=complaint) as refusal:
        load_folder(tmp_path, labels=tmp_path / "t.csv")
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("other", ["k/a.wav", "k/./a.wav", "K/a.WAV"])
@pytest.mark.parametrize("midi", [("60", ""), ("", "60"), ("60", "60.0")])
def test_rows_that_agree_are_one(tmp_path, other, midi):
    save(tmp_path / "k" / "a.wav")
    rows = f"k/a.wav,one,{midi[0]}\n{other},one,{midi[1]}\n"
    (tmp_path / "t.csv").write_text("file,label,midi\n" + rows)
    sounds = load_folder(tmp_path, labels=tmp_path / "t.csv")
    assert (sounds.details["file"].tolist(), sounds.classes) == (["k/a.wav"], ("one",))
    assert sounds.midi.tolist() == [60]


# Copies


def test_copies_in_other_containers_and_levels_are_one_recording(tmp_path):
    rng = np.random.default_rng(0)
    x, y = (np.exp(-np.arange(6000) / 1500) * rng.uniform(-0.9, 0.9, 6000) for _ in range(2))
    soundfile.write(tmp_path / "a.wav", x, RATE)
    soundfile.write(tmp_path / "b.flac", x, RATE)
    soundfile.write(tmp_path / "c.wav", 0.1 * x, RATE)
    soundfile.write(tmp_path / "d.wav", 0.5 * x, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "e.wav", x + 0.02 * y, RATE)  # another take
    soundfile.write(
        tmp_path / "f.aif", np.append(x, 0.3 * y), RATE, format="AIFF"
    )  # equal only at first
    soundfile.write(tmp_path / "g.wav", np.append(x, 0.3 * y), RATE)
    sounds = load_folder(tmp_path)
    assert sounds.group.tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert (
        len(sounds.notes) == 1
        and "copies of other clips: 4" in sounds.notes[0]
        and "b.flac" in sounds.notes[0]
        and "a.wav" in sounds.notes[0]
    )


def test_different_clips_are_different_recordings():
    x = np.random.default_rng(0).uniform(-0.9, 0.9, (50, 500)).astype(np.float32)
    assert same_recordings(x).tolist() == list(range(50))
    shuffled = np.random.default_rng(1).permutation(np.repeat(np.arange(50), 3))
    groups = same_recordings(x[shuffled])
    assert len(set(groups)) == 50 and len(set(zip(groups, shuffled))) == 50


def test_thousands_of_equal_clips_are_one_recording():
    assert set(same_recordings(np.ones((5000, 10), np.float32))) == {0}


def count_comparisons(monkeypatch):
    "The pairs of clips that are compared from now on."
    compared = []
    compare = copies.nearly_equal

    def spy(x, y, tolerance):
        compared.append((x[0], y[0]))
        return compare(x, y, tolerance)

    monkeypatch.setattr(copies, "nearly_equal", spy)
    return compared


def test_thousands_of_nearly_equal_clips_are_one_recording(monkeypatch):
    rng = np.random.default_rng(0)
    clip = rng.uniform(-0.9, 0.9, 100)
    clips = (clip + rng.uniform(-0.0009, 0.0009, (2000, 100))).astype(np.float32)
    compared = count_comparisons(monkeypatch)
    assert set(same_recordings(clips)) == {0}
    assert len(compared) == 1999  # of 1,999,000 pairs


def test_a_chain_of_nearly_equal_clips_is_one_recording(monkeypatch):
    "Only neighbours are within the tolerance of 0.002."
    levels = np.random.default_rng(0).permutation(300)
    compared = count_comparisons(monkeypatch)
    clips = np.repeat(0.0015 * levels[:, None], 50, axis=1).astype(np.float32)
    assert set(same_recordings(clips)) == {0}
    assert 299 <= len(compared) < 3000  # of 44,850 pairs


def test_copies_stay_on_one_side(tmp_path):
    for i in range(40):
        save(tmp_path / "hum" / f"{i}.wav", i=i % 20)
    train, validation, test = split_sounds(load_folder(tmp_path))
    parts = [train, validation["new sounds"], test["new sounds"]]
    assert [len(part) for part in parts] == [24, 8, 8]
    for one, other in itertools.combinations(parts, 2):
        assert np.abs(one.waveforms[:, None] - other.waveforms).max(-1).min() > 0.1


def test_copies_with_pitches_are_no_soundfont(tmp_path):
    "A recording at several keys splits as a soundfont does; a copy of a clip doesn't."
    rows = ["file,label,midi"]
    for i in range(30):
        save(tmp_path / f"{i}.wav", i=i % 15)
        rows.append(f"{i}.wav,hum,{'' if i == 17 else 50 + i % 15}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    sounds = load_folder(tmp_path, labels=tmp_path / "t.csv")
    assert sounds.midi[17] == 52  # equal samples have one pitch
    train, validation, test = split_sounds(sounds)
    assert validation.keys() == test.keys() == {"new sounds"}
    assert [len(train), len(validation["new sounds"]), len(test["new sounds"])] == [18, 6, 6]
    assert set(train.group).isdisjoint(test["new sounds"].group)


@pytest.mark.parametrize("midi", [("", "60"), ("60", ""), ("60", "60"), ("60", "72")])
def test_copies_have_one_pitch(tmp_path, midi):
    for name in ("a.wav", "b.wav", "c.wav"):
        save(tmp_path / name, i=name == "c.wav")
    rows = f"a.wav,hum,{midi[0]}\nb.wav,hum,{midi[1]}\nc.wav,hum,\n"
    (tmp_path / "t.csv").write_text("file,label,midi\n" + rows)
    if midi == ("60", "72"):
        complaint = r"a.wav \(60\) and b.wav \(72\) are copies with different pitches; want one"
        with pytest.raises(ValueError, match=complaint):
            load_folder(tmp_path, labels=tmp_path / "t.csv")
        return
    sounds = load_folder(tmp_path, labels=tmp_path / "t.csv")
    np.testing.assert_equal(sounds.midi, [60, 60, math.nan])


def test_a_sound_in_two_classes_never_empties_one(tmp_path):
    for i in range(60):
        save(tmp_path / "all" / f"{i}.wav", i=i / 2)
    for i in range(40):
        save(tmp_path / f"only-{i:02}" / "a.wav", i=i / 2)
    sounds = load_folder(tmp_path)
    assert set(sounds.group[hold_out_groups(sounds)] < 40) == {True, False}  # of both kinds
    train, validation, test = split_sounds(sounds)
    assert (np.bincount(train.labels, minlength=41) > 0).all()
    parts = [train, validation["new sounds"], test["new sounds"]]
    assert sum(map(len, parts)) == 100
    for one, other in itertools.combinations(parts, 2):
        assert set(one.group).isdisjoint(other.group)


# Few clips


def make_set(counts, midi=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    n = len(labels)
    waveforms = np.stack([np.pad(tone(i), (0, 4800)) for i in range(n)]).astype(np.float32)
    return SoundSet(
        waveforms,
        labels,
        tuple("abcdefgh"[: len(counts)]),
        RATE,
        np.full(n, np.nan) if midi is None else np.array(midi, float),
        np.arange(n),
    )


@pytest.mark.parametrize(
    "count, validation, test",
    [(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 1), (5, 1, 1), (7, 2, 1), (10, 2, 2), (100, 20, 20)],
)
def test_how_many_clips_of_a_class_are_held_out(count, validation, test):
    sounds = make_set([count, 10])
    assert hold_out_groups(sounds)[:count].sum() == test
    train, *held = split_sounds(sounds)
    parts = [train, *[part["new sounds"] for part in held]]
    counts = [int((part.labels == 0).sum()) for part in parts]
    assert counts == [count - validation - test, validation, test]


@pytest.mark.parametrize("midi", [[60] * 6, [61] * 6, [60, 65, 70, 75, 80, 85]])
def test_pitches_do_not_matter_where_each_clip_is_a_recording(midi):
    train, validation, test = split_sounds(make_set([6], midi=midi))
    assert [len(train), len(validation["new sounds"]), len(test["new sounds"])] == [4, 1, 1]


def test_a_soundfont_of_held_out_keys_is_still_trained_on():
    "All keys are multiples of ten: nothing would be left, so the class stays."
    sounds = replace(make_set([6], midi=[60, 70, 80] * 2), group=np.repeat([0, 1], 3))
    train, validation, test = split_sounds(sounds)
    assert (len(train), validation, test) == (6, {}, {})


def test_one_clip_and_equal_clips_hold_nothing_out():
    for sounds in (make_set([1]), replace(make_set([6]), group=np.zeros(6, int))):
        assert not hold_out_groups(sounds).any()
        train, validation, test = split_sounds(sounds)
        assert (len(train), validation, test) == (len(sounds), {}, {})


def test_one_recording_is_refused_in_one_line(tmp_path):
    save_classes(tmp_path / "one", {"kick": 1})
    for i in range(12):
        save(tmp_path / "same" / "kick" / f"{i}.wav")
    with pytest.raises(ValueError, match="one: one sound, in 1 clip; want two or more"):
        load_data(settings(tmp_path / "one"))
    with pytest.raises(ValueError, match="same: one sound, in 12 clips; want two or more"):
        load_data(settings(tmp_path / "same"))


def test_classes_are_chosen_whatever_else_is_there(tmp_path, capsys):
    folder = save_classes(tmp_path / "kit", {"kick": 10, "snare": 10, "stray, or so": 1})
    save(folder / "loose.wav", i=90)
    train, validation, test = load_data(settings(folder, classes="kick"))
    assert (train.classes, len(train)) == (("kick",), 6)
    assert len(validation["new sounds"]) == len(test["new sounds"]) == 2
    assert "stray" not in capsys.readouterr().err
    everything, *_ = load_data(settings(folder))
    kicks = everything.labels == everything.classes.index("kick")
    np.testing.assert_array_equal(
        train.waveforms, everything.waveforms[kicks]
    )  # the split is the same
    assert load_data(settings(folder, classes='snare,"stray, or so"'))[0].classes == (
        "snare",
        "stray, or so",
    )


@pytest.mark.parametrize(
    "text, names",
    {
        "kick": ("kick",),
        "kick,snare": ("kick", "snare"),
        " kick , snare,": ("kick", "snare"),
        "kick,kick": ("kick",),
        '"a, b",kick': ("a, b", "kick"),
        "a, b": ("a, b",),
        'kick,"a, b"': ("kick", "a, b"),
    }.items(),
)
def test_how_classes_are_named(text, names):
    assert class_names(text, ("a, b", "kick", "snare")) == names


def test_a_list_of_no_classes_is_refused():
    with pytest.raises(ValueError, match="no class"):
        class_names(",", ("kick",))


def test_small_classes_are_named_once(tmp_path, capsys):
    folder = save_classes(tmp_path / "kit", {"clap": 1, "kick": 10, "rim": 3, "snare": 4})
    train, validation, test = load_data(settings(folder))
    assert np.bincount(train.labels).tolist() == [1, 6, 3, 3]
    held = [np.bincount(part["new sounds"].labels, minlength=4) for part in (validation, test)]
    assert np.array_equal(held, [[0, 2, 0, 0], [0, 2, 0, 1]])
    shape, few = capsys.readouterr().err.splitlines()
    assert (
        "18 sounds at 16,000 Hz, 0.5 s each (18 of 18 end within it): 0.58 MB, in training at least 5.8 MB"
        in shape
    )
    assert "clap (1), rim (3)" in few and "snare" not in few and "no figures" in few


def test_a_class_that_one_set_lacks_has_figures_from_the_other(capsys):
    "Recordings at several keys: of the drums, which have no pitch, only zones are held out."
    sounds = make_set([20, 20, 2], midi=[*range(60, 80), *[math.nan] * 22])
    group = np.r_[np.arange(20) // 2, 20:42]
    sounds = replace(sounds, classes=("bell", "kick", "rim"), group=group)
    train, _, test = split_sounds(sounds)
    classes = {name: set(part.labels) for name, part in test.items()}
    assert classes == {"zones": {0, 1}, "pitches": {0}}
    report_few(train, test)
    nowhere, pitches = capsys.readouterr().err.splitlines()
    assert nowhere.startswith("audiogen: nothing to hold out, so no figures")
    assert nowhere.endswith(": rim (2)")
    assert pitches == "audiogen: pitches: no figures for kick; nothing is held out of them there"


class Named(AudioModel):
    "A model that knows classes, and hums."

    sample_rate, duration, latent_dim, encodes = RATE, 0.5, 2, True

    def __init__(self, classes):
        label = Condition("label", "class", "the class", acts_on=("latents",), choices=classes)
        self.conditions = (label,)

    def encode(self, waveforms):
        return np.zeros((len(waveforms), 2), np.float32)

    def sample_latents(self, key, count, label=None):
        return super().sample_latents(key, count)

    def __call__(self, z):
        return 0.5 * jnp.sin(jnp.arange(8000) * (0.1 + 0.1 * jnp.abs(z[..., :1])))


@pytest.mark.parametrize(
    "counts",
    [
        {"a": 1, "b": 10},
        {"a": 10, "b": 10},
        {"a": 3, "b": 4},
        {"a": 4, "b": 4, "c": 1},
        {"a": 2, "b": 2},
        {"a": 4},
        {"a": 10},
    ],
    ids=str,
)
def test_figures_of_small_sets_are_finite(tmp_path, counts):
    folder = save_classes(tmp_path / "kit", counts)
    found = evaluate(Named(tuple(counts)), *load_data(settings(folder)), per_class=4)
    assert all(math.isfinite(value) for part in found.values() for value in part.values())
    judged = {name: count for name, count in counts.items() if count > 3}
    if not judged:  # what can be said without any test clip
        part = found["nothing held out"]
        assert {"copied", "nearest_learned_db", "diversity"} <= part.keys()
        assert part["generated_clips"] == 8 and "class_accuracy" not in part
        return
    part = found["new sounds"]
    chosen = {name for name, count in counts.items() if count > 4}  # have validation clips
    assert part["train_clips"] + part["test_clips"] + len(chosen) * 2 == sum(counts.values())
    assert part["generated_clips"] == 4 * len(judged)  # of classes that something is held out of
    assert "class_accuracy" in part
    assert {"distance_db", "nearest_learned_db", "copied"} <= part.keys()
    assert ("frechet" in part) == (part["test_clips"] > 1)


# Many clips, long clips


def test_a_long_file_is_not_read_to_its_end(tmp_path, monkeypatch):
    save(tmp_path / "a.wav", seconds=30)
    save(tmp_path / "b.wav", i=3, seconds=30)
    asked = []
    read = lengths.load_audio

    def spy(path, **options):
        asked.append(options["duration"])
        return read(path, **options)

    monkeypatch.setattr(lengths, "load_audio", spy)
    sounds = load_folder(tmp_path, duration=0.5)
    assert len(asked) == 2 and max(asked) < 0.6 and sounds.details["cut"].all()
    whole = np.stack(
        [folders.fit_clip(tone(i, seconds=30), 8000, sample_rate=RATE) for i in (0, 3)]
    )
    np.testing.assert_allclose(sounds.waveforms, whole, atol=1e-4)  # the fade at the end, too


def test_a_folder_takes_the_memory_that_is_asked_for(tmp_path, monkeypatch):
    for i in range(100):
        save(tmp_path / "hum" / f"{i}.wav", i=i / 3)
    load_folder(tmp_path, duration=0.1)  # imports what it needs
    asked = []
    monkeypatch.setattr(folders, "check_memory", lambda num_bytes, what: asked.append(num_bytes))
    tracemalloc.start()
    try:
        load_folder(tmp_path, duration=3)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert asked == [8 * 100 * 3 * RATE]
    assert most <= 1.25 * asked[0]  # beside clips, some vectors as long


def test_a_folder_is_read_without_stderr(tmp_path, monkeypatch):
    save(tmp_path / "kick" / "a.wav")
    monkeypatch.setattr("sys.stderr", None)
    assert load_folder(tmp_path).details["file"].tolist() == ["kick/a.wav"]


def test_the_number_of_threads_changes_nothing(tmp_path, monkeypatch):
    folder = save_classes(tmp_path, {"a": 12, "b": 12})
    (folder / "a" / "bad.wav").write_text("no sound")
    sets = []
    for count in (1, 7):
        monkeypatch.setattr(folders, "READERS", count)
        sets.append(load_folder(folder))
    np.testing.assert_array_equal(sets[0].waveforms, sets[1].waveforms)
    assert (
        sets[0].details["file"].tolist() == sets[1].details["file"].tolist()
        and sets[0].skipped == sets[1].skipped
    )


def test_figures_come_from_a_bounded_sample(tmp_path, monkeypatch):
    monkeypatch.setattr("audiogen.support.evaluation.JUDGED", {"train": 6, "held out": 3})
    parts = load_data(settings(save_classes(tmp_path, {"a": 30, "b": 5})))
    model, figures = Named(("a", "b")), []
    for _ in range(2):
        with pytest.warns(UserWarning, match="6 training clips and 3 held-out clips of each"):
            figures.append(evaluate(model, *parts, per_class=4))
    assert figures[0] == figures[1]
    part = figures[0]["new sounds"]
    assert (part["train_clips"], part["test_clips"]) == (6 + 2, 3 + 1)


def test_a_class_that_the_data_lacks_is_left_out_of_the_figures(tmp_path):
    parts = load_data(settings(save_classes(tmp_path, {"b": 10, "d": 10})))
    part = evaluate(Named(("a", "b", "c", "d")), *parts, per_class=4)["new sounds"]
    assert (part["generated_clips"], part["train_clips"]) == (8, 12)


# Any rate, any length


def save_at(path, rate, seconds=0.5, frequency=440.0, **options):
    "A tone at some rate, in a file."
    path.parent.mkdir(parents=True, exist_ok=True)
    x = sine(frequency, duration=seconds, sample_rate=rate, amplitude=0.5)
    soundfile.write(path, np.asarray(x), rate, **options)


def test_files_at_nine_rates_become_one_set(tmp_path):
    rates = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 96000, 192000)
    for i, rate in enumerate(rates):
        save_at(tmp_path / f"{i}.wav", rate, frequency=400.0 + 100 * i)
    sounds = load_folder(tmp_path)
    assert (sounds.sample_rate, sounds.waveforms.shape) == (48000, (9, 24000))
    assert sounds.lengths is None or (sounds.lengths > 23900).all()
    peaks = 2 * np.abs(np.fft.rfft(sounds.waveforms)).argmax(1)  # bins of 2 Hz
    np.testing.assert_allclose(peaks, 400 + 100 * np.arange(9), atol=2)
    (note,) = sounds.notes
    assert note.startswith("files at 9 rates: 8,000 Hz (1), 11,025 Hz (1)")
    assert "all become 48,000 Hz" in note and note.endswith("above half its own rate")


@pytest.mark.parametrize("rates, chosen", [((44100, 44100, 8000), 44100), ((8000, 8000), 8000)])
def test_the_rate_that_most_files_have(tmp_path, rates, chosen):
    for i, rate in enumerate(rates):
        save_at(tmp_path / f"{i}.wav", rate, frequency=300.0 + 100 * i)
    assert load_folder(tmp_path).sample_rate == chosen
    assert load_folder(tmp_path, sample_rate=22050, duration=0.25).waveforms.shape[1] == 5512


def test_the_length_holds_nine_of_ten_sounds(tmp_path):
    "Each decays by 60 dB at a known moment, and then there is hiss, 70 dB below."
    rng, ends = np.random.default_rng(0), np.linspace(0.04, 0.94, 10)
    for i, end in enumerate(ends):
        t = np.arange(2 * RATE) / RATE
        x = np.cos(2 * np.pi * (1000 + 50 * i) * t) * 10 ** (-3 * t / end)
        x += 10 ** (-70 / 20) * rng.uniform(-1, 1, len(t))
        soundfile.write(tmp_path / f"{i}.wav", 0.9 * x, RATE, subtype="FLOAT")
    sounds = load_folder(tmp_path)
    assert sounds.waveforms.shape == (10, round(0.9 * RATE)) and sounds.sample_rate == RATE
    wanted = np.minimum(ends, 0.9) * RATE
    np.testing.assert_allclose(sounds.lengths, wanted, rtol=0.06)  # hiss may lift the last period
    assert sounds.details["cut"].tolist() == [False] * 9 + [True]
    for part in (sounds[::2], split_sounds(sounds)[0]):
        assert len(part.lengths) == len(part)


def test_long_recordings_are_pointed_to_slicing(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):  # like speech: noise in syllables, at 8 kHz, 6 s
        x = rng.standard_normal(48000) * np.sin(np.pi * np.arange(48000) / 2000) ** 2
        soundfile.write(tmp_path / f"{i:02}.wav", 0.2 * x, 8000)
    sounds = load_folder(tmp_path)
    assert (sounds.sample_rate, sounds.waveforms.shape) == (8000, (20, 24000))
    (note,) = sounds.notes
    assert note.startswith("20 of 20 sounds go on after 3 s, and only that beginning is used")
    assert note.endswith("audiogen slice FILES --out FOLDER")


@pytest.mark.parametrize("large", [False, True])
def test_silence_before_a_sound_is_left_out(tmp_path, monkeypatch, large):
    "300 ms of silence go, 40 ms stay; and all of the sound is there, although it begins late."
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    if large:
        monkeypatch.setattr(library, "SHARE", 0)
    for name, i, silence in (("late", 1, 0.3), ("early", 2, 0.04), ("at once", 3, 0.0)):
        x = np.concatenate([np.zeros(round(silence * RATE)), tone(i)])
        soundfile.write(tmp_path / f"{name}.wav", x, RATE)
    sounds = load_folder(tmp_path, sample_rate=RATE, duration=0.25)
    clips = dict(zip(sounds.details["file"], np.asarray(sounds.waveforms)))
    for name, i, silence in (("late", 1, 0.005), ("early", 2, 0.04), ("at once", 3, 0.0)):
        want = np.concatenate([np.zeros(round(silence * RATE)), 1.8 * tone(i)])
        want = np.pad(want, (0, 4000 - len(want)))
        found = clips[f"{name}.wav"]
        start = np.flatnonzero(np.abs(found) > 1e-3)[0] - np.flatnonzero(np.abs(want) > 1e-3)[0]
        assert abs(start) <= 2  # samples: a sine begins with 0
        np.testing.assert_allclose(np.roll(found, -start), want, atol=1e-2)
    (note,) = [note for note in sounds.notes if "begin with silence" in note]
    assert note.startswith(
        "1 of 3 recordings begin with silence, left out: up to 0.30 s; each clip"
    )
    assert sounds.lengths is None or (sounds.lengths < 4000).all()


def test_of_three_hours_only_the_beginning_is_decoded(tmp_path, monkeypatch):
    with soundfile.SoundFile(tmp_path / "night.wav", "w", RATE, 1, "PCM_16") as file:
        file.write(np.asarray(tone(5, seconds=1)))
    with open(tmp_path / "night.wav", "r+b") as file:  # the rest is a hole in the file: silence
        size = 44 + 2 * 3 * 3600 * RATE
        file.truncate(size)
        for place, number in ((4, size - 8), (40, size - 44)):
            file.seek(place)
            file.write(number.to_bytes(4, "little"))
    assert soundfile.info(tmp_path / "night.wav").duration == 3 * 3600
    save(tmp_path / "day.wav", i=1)
    tracemalloc.start()
    try:
        sounds = load_folder(tmp_path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sounds.details["file"].tolist() == ["day.wav", "night.wav"]
    assert sounds.waveforms.shape == (2, RATE)  # the tone of 1 s; then there is silence
    assert most < 4e6


def test_an_empty_class_and_a_lost_one_are_named(tmp_path):
    for i in range(3):
        save(tmp_path / "kick" / f"{i}.wav", i=i)
    (tmp_path / "snare").mkdir()
    (tmp_path / "hat").mkdir()
    (tmp_path / "hat" / "a.wav").write_text("no sound")
    sounds = load_folder(tmp_path)
    assert sounds.classes == ("kick",) and len(sounds.skipped) == 1
    assert sounds.notes == (
        "no sound in snare",
        "classes of which no file can be used: hat (1 file)",
    )


@pytest.mark.parametrize(
    "shape, reason",
    [
        (dict(duration=1000), "duration is 1000 s; want 0.05 to 60 s"),
        (dict(sample_rate=5), "sample_rate is 5 Hz; want 4,000 to 192,000"),
    ],
)
def test_a_rate_or_a_length_that_makes_no_sense(tmp_path, shape, reason):
    save(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=reason):
        load_folder(tmp_path, **shape)
    with pytest.raises(ValueError, match="a rate and a length of its own; want them with a folder"):
        load_data(dict(data="drums", labels=None, soundfont=None, classes=None) | shape)


def test_what_was_chosen_is_kept_with_the_run(tmp_path):
    folder = save_classes(tmp_path / "kit", {"kick": 10})
    given = run_settings("spectral", tmp_path / "run", dict(data=str(folder)))
    train, *_ = load_data(given)
    kept = with_shape(given, train)
    assert (kept["sample_rate"], kept["duration"]) == (RATE, 0.2)
    save(folder / "kick" / "new.wav", i=30, seconds=2)
    save_at(folder / "kick" / "newer.wav", 48000, seconds=2)
    again, *_ = load_data(kept)
    assert again.waveforms.shape[1] == train.waveforms.shape[1]
    assert with_shape(given | dict(duration=1.23456), train)["duration"] == 1.23456
    made = DEFAULTS | dict(data="drums")
    assert with_shape(made, train) == made


def test_runs_of_earlier_versions_read_folders_as_they_did(tmp_path):
    (tmp_path / "command.json").write_text(json.dumps(dict(data="/kit", recipe="vae")))
    kept = kept_settings(tmp_path / "command.json")
    assert (kept["sample_rate"], kept["duration"]) == (16000, 0.5)
    (tmp_path / "command.json").write_text(json.dumps(dict(data="drums", recipe="vae")))
    assert kept_settings(tmp_path / "command.json")["duration"] is None


# From another folder


def settings_of(resume=False, **given):
    "The settings of the run in ../run."
    return run_settings("vae", "../run", given, resume=resume)


@pytest.fixture
def begun(tmp_path, monkeypatch):
    "A run on ./kit and ./t.csv; the current folder is another, with a kit of its own."
    save_classes(tmp_path / "here" / "kit", {"kick": 10})
    save_classes(tmp_path / "elsewhere" / "kit", {"snare": 10})
    rows = "".join(f"kick/{i}.wav,boom\n" for i in range(10))
    (tmp_path / "here" / "t.csv").write_text("file,label\n" + rows)
    monkeypatch.chdir(tmp_path / "here")
    settings = absolute_paths(settings_of(data="kit", labels="t.csv"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "run" / "command.json").write_text(json.dumps(settings))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return settings


def test_a_run_finds_its_data_from_another_folder(begun, tmp_path):
    assert begun["data"] == str(tmp_path / "here" / "kit")
    assert begun["labels"] == str(tmp_path / "here" / "t.csv")
    assert settings_of(resume=True) == begun
    model = tmp_path / "run" / "model.safetensors"
    model.touch()
    settings = evaluation_settings(model, {})
    assert load_data(settings)[0].classes == ("boom",)


def test_the_same_folder_may_be_typed_in_another_way(begun):
    again = settings_of(data="../here/./kit/", labels="../here/t.csv", resume=True)
    assert again == begun
    with pytest.raises(ValueError, match="data = .*/here/kit, not .*/elsewhere/kit"):
        settings_of(data="kit", resume=True)


@pytest.mark.parametrize("word", ["drums", "tones", "sounds", "phrases", "captioned", "fluidr3"])
def test_words_for_data_stay_words(word):
    settings = [settings_of(data=data) for data in (word, f"./{word}")]
    assert [each["data"] for each in settings] == [word, f"./{word}"]
    assert absolute_paths(settings[0])["data"] == word
    assert absolute_paths(settings[1])["data"] == os.path.abspath(word)


# From a terminal


def test_few_snares_are_trained_on(audiogen, tmp_path):
    save_classes(tmp_path / "kit", {"snare": 4})
    for kind in ("spectral", "vae"):
        status, out, err = audiogen(
            "train", kind, "--data", tmp_path / "kit", "--steps", 2, "--out", tmp_path / kind
        )
        assert (status, unexpected(err)) == (0, "") and "test clips | 1 |" in out, err
        about = model_info(tmp_path / kind / "model.safetensors")["about"]
        assert about["data"] == "kit/" and str(tmp_path) not in json.dumps(about)
    for i, name in enumerate(("clap/a.wav", "rim/a.wav", "rim/b.wav"), 60):
        save(tmp_path / "kit" / name, i=i)
    status, out, err = audiogen(
        "train", "spectral", "--data", tmp_path / "kit", "--steps", 2, "--out", tmp_path / "more"
    )
    assert (
        status == 0
        and "clap (1), rim (2)" in err
        and len(unexpected(err).splitlines()) == 1
        and "nan" not in out.lower()
    )
    assert "NaN" not in (tmp_path / "more" / "evaluation.json").read_text()


def test_a_set_with_nothing_to_hold_out_is_trained_on(audiogen, tmp_path):
    save_classes(tmp_path / "kit", {"clap": 1, "rim": 2})
    status, out, err = audiogen(
        "train", "spectral", "--data", tmp_path / "kit", "--steps", 2, "--out", tmp_path / "run"
    )
    assert (
        status == 0
        and (tmp_path / "run" / "model.safetensors").is_file()
        and len(unexpected(err).splitlines()) == 1
    ), err
    kept = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert kept["nothing held out"]["generated_clips"] == 40
    assert {row["nearest"] for row in kept["nearest recordings"]} <= {
        f"{name}.wav" for name in ("clap/0", "rim/0", "rim/1")
    }
    status, out, err = audiogen(
        "generate",
        "--model",
        tmp_path / "run",
        "--label",
        "clap",
        "--count",
        1,
        "--out",
        tmp_path / "sounds",
    )
    assert status == 0, err


def test_a_class_named_in_latin_1_is_trained_and_played(audiogen, audiogen_alone, tmp_path):
    for i in range(5):
        save(tmp_path / "kit" / "Fl\udcf6te" / f"{i}.wav", i=i)
    status, _, err = audiogen_alone(
        "train",
        "spectral",
        "--data",
        tmp_path / "kit",
        "--classes",
        "Flöte",
        "--steps",
        2,
        "--out",
        tmp_path / "run",
    )
    assert (status, unexpected(err)) == (0, "")
    status, _, err = audiogen(
        "generate",
        "--model",
        tmp_path / "run",
        "--label",
        "Flöte",
        "--count",
        1,
        "--out",
        tmp_path / "sounds",
    )
    assert (status, err) == (0, "") and "Flöte" in (tmp_path / "sounds" / "manifest.csv").read_text(
        encoding="utf-8"
    )
