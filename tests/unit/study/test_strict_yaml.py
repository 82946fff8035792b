import json
import os

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import layers, strict_yaml
from scripts.study.configuration import check_form


def refusal(tmp_path, content, options=()):
    """The sentence of a study file that is refused."""
    path = tmp_path / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        study = layers.read([path], options)
    except StudyError as error:
        sentence = str(error)
    else:
        with pytest.raises(StudyError) as error:
            check_form(study.config)
        sentence = study.explain(error.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert "study.yaml" in sentence
    return sentence


FAULTS = {
    "an option twice": ("title: a\nmeasurement:\n  warmup: 1\n  repeats: 2\n  warmup: 3\n", 'line 5: the key "warmup"'),
    "a technique twice": ("techniques:\n  x: {extends: baseline}\n  x: {extends: kv_cache}\n", 'line 3: the key "x"'),
    "a technique selected twice": ("select:\n- baseline\n- nf4\n- baseline\n", 'line 4: select has "baseline" twice'),
    "twice in JSON": ('{\t"title": "a",\n"title": "b"}', 'line 2: the key "title"'),
    "a merge twice": ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", 'line 4: the key "<<"'),
    "a tab": ("title: a\nmeasurement:\n\trepeats: 2\n", "line 3 is not YAML (it is indented with a tab)"),
    "never closed": ("title: a\nselect: [a,\n b\n", "line 2 is not YAML (what begins there is never closed)"),
    "two documents": ("title: a\n---\ntitle: b\n", "line 2: a second document"),
    "a missing anchor": ("title: a\nselect: *gone\n", "line 2 is not YAML (found undefined alias"),
    "a list inside itself": ("title: a\nselect: &a [*a]\n", 'line 2: the anchor "a" holds itself'),
    "a mapping inside itself": ("models: &a\n  x: *a\n", 'line 2: the anchor "a" holds itself'),
    "deep nesting": ("select: " + "[" * 3000 + "]" * 3000, "nested more than 30 deep"),
    "deep JSON with a tab": ('{"select":\t' + "[" * 90000 + "]" * 90000 + "}", "line 1 is not YAML"),
    "anchors that multiply": (
        "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        "more than 100,000 values",
    ),
    "a NUL": ("title: ok\nselect: a\0b\n", "line 2 is not YAML (it holds the character U+0000)"),
    "nothing": ("", "is empty"),
    "comments alone": ("# nothing\n", "is empty"),
    "a list": ("- a\n", "holds a list"),
    "a word": ("hello\n", 'holds only "hello"'),
    "Latin-1": ("title: a\nselect: [é]\n".encode("latin-1"), "line 2 is not UTF-8 text"),
    "UTF-16": ("title: a\n".encode("utf-16"), "line 1 is not UTF-8 text"),
    "a number of the base 60": ("title: a\nmeasurement: {warmup: 1:30}\n", "line 2: 1:30 would not be read"),
    "an octal number": ("measurement: {warmup: 010}\n", "line 1: 010 would not be read"),
    "an endless number": (f"measurement: {{warmup: {'9' * 5000}}}\n", "line 1: a number of 5000 digits"),
    "a tag of Python": ("title: !!python/object:os.system x\n", "line 1 is not YAML (could not determine"),
    "a key that is a list": ("? [a]\n: b\n", "line 1: a list or a mapping stands where a key belongs"),
    "a template": ("__use_yte__: true\ntitle: ?1 + 1\n", "is a template"),
    "a huge file": ("# " + "a" * 300_000, "larger than 200,000 bytes"),
    "a date": ("dataset: {samples: 4}\ntitle: 2024-01-01\n", "line 2: title is a date"),
    "a date that is none": ("title: 2024-13-41\n", "line 1:"),
    "binary data": ("title: !!binary aGVsbG8=\n", "line 1: title is a bytes"),
    "a set": ("select: !!set {baseline}\n", "line 1: select is a set"),
    "a key that is a number": ("title: a\ntechniques:\n  1: {extends: baseline}\n", "line 3: techniques has the key 1"),
    "a key that is a truth value": ("techniques:\n  on: {extends: baseline}\n", "line 2: techniques has the key true"),
    "keys of both kinds": ("dataset: {1: a, foo: 1}\n", "line 1: dataset has the key 1"),
    "not a number": ("title: a\ncomparison: {spread_bound: .nan}\n", "line 2: comparison.spread_bound is nan"),
    "infinity": ("comparison: {price_per_device_hour: -.inf}\n", "line 1: comparison.price_per_device_hour is -inf"),
    "too large a float": ("comparison: {spread_bound: 1e999}\n", "comparison.spread_bound is inf"),
    "half a character": ('generation: {prompt: "\\ud800 {summary}"}\n', "line 1: generation.prompt holds U+D800"),
    "half a character in a key": ('techniques: {"\\udc00": {}}\n', "the key '[U+DC00]', which holds U+DC00"),
    "a control character": ('title: "a\\x1b[31m"\n', "title holds U+001B"),
    "a fraction of runs": ("measurement: {repeats: 2.0}\n", "measurement.repeats is 2.0, which is not a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_file_is_one_sentence_with_the_place(tmp_path, fault):
    content, said = FAULTS[fault]
    assert said in refusal(tmp_path, content)


SPECIAL = {
    "FIFO": (os.mkfifo, "is a named pipe (FIFO)"),
    "directory": (os.mkdir, "is a directory"),
    "loop": (lambda path: os.symlink(path, path), "is a loop of symbolic links"),
    "dead link": (lambda path: os.symlink(f"{path}-gone", path), "is a symbolic link to nothing"),
    "nothing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, kind):
    make, said = SPECIAL[kind]
    path = tmp_path / "study.yaml"
    make(path)
    with pytest.raises(StudyError, match=r"study\.yaml") as error:
        layers.read([path], [])
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["a" * 300, "a\n\x1b[31mb"])
def test_an_odd_file_name_stays_one_short_line(tmp_path, name):
    with pytest.raises(StudyError) as error:
        layers.read([tmp_path / name], [])
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_json_is_read_as_what_it_is():
    content = {"title": "\U0001f600 \u2028 é", "a": [1, -0.5, 1e-7, None, True], "b": {"c": "x\ty"}}
    for indent in (None, 2, "\t"):
        for ascii_only in (True, False):
            text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
            assert strict_yaml.parse(text, "a").value == content


def test_what_is_common_in_yaml_is_read():
    text = "\ufeff".encode() + b"a: &a {x: 1e-3, y: 1_000}\r\nb:\r\n  <<: *a\r\n  y: yes\r\nc: '010'\r\n"
    assert strict_yaml.parse(text.decode("utf-8-sig"), "a").value == {
        "a": {"x": 0.001, "y": 1000}, "b": {"x": 0.001, "y": True}, "c": "010",
    }  # fmt: skip
