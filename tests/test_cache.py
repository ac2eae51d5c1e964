"""Compiled programs on disk: they are found again, and whatever is wrong with them costs time and nothing else."""

import os
import pwd
import resource

import pytest

from audiogen.support.cache import cache_folder, keep_programs, trim_cache

WORDS = "generate --model untrained --duration 0.05 --count 1 --force --out".split()


@pytest.fixture(scope="module")
def bare(environment):
    "Environment variables that say nothing of a cache."
    ours = ("AUDIOGEN_CACHE", "JAX_COMPILATION_CACHE", "JAX_PERSISTENT", "XDG_CACHE_HOME")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


@pytest.fixture
def make_sound(audiogen_alone, bare, tmp_path):
    "Make a sound, with these environment variables; its bytes, once the command has said nothing else."

    def make_sound(name="out", **variables):
        environment = bare | {key: str(value) for key, value in variables.items()}
        status, out, error = audiogen_alone(*WORDS, tmp_path / name, env=environment)
        assert (status, error) == (0, "")
        return (tmp_path / name / "sound-01.wav").read_bytes()

    return make_sound


def sizes(folder):
    "{path: bytes} of the programs in a folder."
    return {path: path.stat().st_size for path in folder.rglob("*-cache")}


def test_programs_are_found_again(make_sound, tmp_path):
    cache = tmp_path / "cache"
    sound = make_sound(AUDIOGEN_CACHE=cache)
    kept = sizes(cache)
    assert len(kept) > 3 and {path.parent.parent for path in kept} == {cache}
    assert make_sound(AUDIOGEN_CACHE=cache) == sound
    assert sizes(cache) == kept
    assert make_sound(AUDIOGEN_CACHE="off") == sound


def test_damaged_programs_are_replaced(make_sound, tmp_path):
    cache = tmp_path / "cache"
    sound = make_sound(AUDIOGEN_CACHE=cache)
    kept = sizes(cache)
    damages = [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"x" * len(b)]
    for i, path in enumerate(sorted(kept)):
        path.write_bytes(damages[i % 3](path.read_bytes()))
    damaged = {path: path.read_bytes() for path in kept}
    assert make_sound(AUDIOGEN_CACHE=cache) == sound
    assert sizes(cache).keys() == kept.keys()
    assert not [path for path in kept if path.read_bytes() == damaged[path]]


def test_the_platform_says_where(make_sound, tmp_path):
    make_sound(XDG_CACHE_HOME=tmp_path / "caches")
    assert [path.name for path in (tmp_path / "caches").iterdir()] == ["audiogen-jax"]
    assert sizes(tmp_path / "caches" / "audiogen-jax")


def test_off_keeps_nothing(make_sound, tmp_path):
    make_sound(XDG_CACHE_HOME=tmp_path / "caches", AUDIOGEN_CACHE="off")
    assert not (tmp_path / "caches").exists()


def test_a_cache_of_your_own_wins(make_sound, tmp_path):
    make_sound(
        AUDIOGEN_CACHE=tmp_path / "ours",
        JAX_COMPILATION_CACHE_DIR=tmp_path / "yours",
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0,
    )
    assert sizes(tmp_path / "yours") and not (tmp_path / "ours").exists()


@pytest.mark.parametrize("place", ["a-file", "a-file/below", "/proc/no/place"])
def test_where_no_folder_can_be_made_nothing_is_kept(make_sound, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").write_bytes(b"old")
    make_sound(AUDIOGEN_CACHE=place)
    assert (tmp_path / "a-file").read_bytes() == b"old"


def test_a_disk_that_is_full(popen, bare, tmp_path):
    "Files of more than 2000 bytes can't be written: smaller programs are kept, no parts of larger ones."
    cache = tmp_path / "cache"
    limits = dict(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)))
    for _ in range(2):
        with popen(
            *WORDS, tmp_path / "out", env=bare | {"AUDIOGEN_CACHE": str(cache)}, **limits
        ) as p:
            out, error = p.communicate(timeout=300)
        assert (p.returncode, error) == (0, "")
    assert 0 < max(sizes(cache).values()) < 2000


def test_two_processes_at_once(popen, bare, tmp_path):
    environment = bare | {"AUDIOGEN_CACHE": str(tmp_path / "cache")}
    running = [popen(*WORDS, tmp_path / name, env=environment) for name in "ab"]
    ended = [process.communicate(timeout=300) for process in running]
    assert [(p.returncode, error) for p, (_, error) in zip(running, ended)] == [(0, "")] * 2
    a, b = ((tmp_path / name / "sound-01.wav").read_bytes() for name in "ab")
    assert a == b


def test_a_user_without_a_home(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder({}) is None


def test_a_process_with_jax_stays_as_it_is(tmp_path):
    import jax  # noqa: F401

    environ = {"AUDIOGEN_CACHE": str(tmp_path / "cache")}
    assert keep_programs(environ) is None
    assert environ.keys() == {"AUDIOGEN_CACHE"} and not (tmp_path / "cache").exists()


def test_trimming_spares_what_is_read_and_what_is_not_ours(tmp_path):
    folder = tmp_path / "jaxlib-0.1-cpu"
    folder.mkdir()
    (tmp_path / "diary").write_bytes(bytes(900))
    for i in range(4):
        path = folder / f"jit_{i}-0f-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - i, 5))  # the last one was read longest ago
    trim_cache(tmp_path, max_bytes=399)
    assert sorted(path.name for path in folder.iterdir()) == ["jit_0-0f-cache"]
    assert (tmp_path / "diary").exists()
