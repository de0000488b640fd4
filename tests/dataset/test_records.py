"""Pictures in files of many: TFRecord, FSNS and LMDB, sound and broken, ours and others'."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

import dataset
from crnn_reader.alphabet import character_numbers, read_dictionary
from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.fit import fit_image
from crnn_reader.image import read_image
from crnn_reader.sources import read_bytes
from dataset import tfrecord_file as tfrecord
from dataset.formats import WRITERS
from dataset.formats.writing import CorpusFacts, Picture
from dataset.inputs import inputs
from tests.dataset.conftest import drawn

TEXTS = ["ab", "b a", "", "bbé"]


def png(seed: int) -> bytes:
    return cv2.imencode(".png", drawn(seed))[1].tobytes()


def write(form: str, folder: Path, texts: Iterable[str] = TEXTS, shards: int = 1, title: str = "all") -> Path:
    """Records in a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = list(texts)
    facts = CorpusFacts(title, len(texts), max(map(len, texts)), character_numbers(None, texts), shards)
    return WRITERS[form].write(folder, (Picture(f"{i}.png", t, png(i), ".png", 40) for i, t in enumerate(texts)), facts)


def labels(path: Path) -> list[str]:
    return [sample.label for sample in dataset.samples(path)]


@pytest.mark.parametrize("form", ["lmdb", "tfrecord", "fsns"])
def test_records_are_read_like_pictures(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(form, tmp_path / "records", shards=2)
    monkeypatch.chdir(tmp_path)
    collected = dataset.collect("records")
    streamed = list(inputs(["records", "records"], []))
    assert list(collected) * 2 == streamed
    assert [sample.label for sample in collected] == TEXTS
    assert len(set(collected.names)) == len(TEXTS)
    for index, sample in enumerate(collected):
        assert sample.path.startswith("records/")
        assert (read_image(sample.path, 3) == drawn(index)[..., ::-1]).all()
    corpus = dataset.pack(collected, 32, 16, 3, cache=tmp_path / "cache")
    assert list(map(str, corpus.labels)) == TEXTS
    assert (corpus.images[2] == fit_image(drawn(2)[..., ::-1].copy(), 32, 16)).all()


@pytest.mark.parametrize("form", ["lmdb", "tfrecord", "fsns"])
def test_white_space_around_a_label_is_removed(form: str, tmp_path: Path) -> None:
    path = write(form, tmp_path / "records", [" ab", "ab\u00a0", "\u3000a b\t"])
    assert labels(path) == ["ab", "ab", "a b"]


def test_a_changed_record_file_is_noticed_by_the_cache(tmp_path: Path) -> None:
    for texts in (["a"], ["a", "b"], ["c", "d"]):
        shutil.rmtree(tmp_path / "records", ignore_errors=True)
        write("tfrecord", tmp_path / "records", texts)
        corpus = dataset.pack(dataset.collect(tmp_path / "records"), 32, 16, 1, cache=tmp_path / "cache")
        assert list(map(str, corpus.labels)) == texts


@pytest.mark.parametrize("form", ["tfrecord", "fsns"])
def test_a_folder_a_file_and_a_pattern(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(form, tmp_path, shards=2, title="train")
    assert labels(tmp_path) == TEXTS
    assert labels(tmp_path / "train-*") == TEXTS
    assert labels(tmp_path / "train-00001-of-00002.tfrecord") == TEXTS[2:]
    assert [sample.label for sample in inputs([str(tmp_path / "train-?????-of-00002.tfrecord")], [])] == TEXTS
    (tmp_path / "train-00001-of-00002.tfrecord").rename(tmp_path / "elsewhere")
    assert capsys.readouterr().err == ""
    assert labels(tmp_path) == TEXTS[:2]
    assert "1 of 2 files of records are missing" in capsys.readouterr().err
    assert labels(tmp_path / "elsewhere") == TEXTS[2:], "a file of records is recognised by its content, too"
    with pytest.raises(UserError, match="does not exist"):
        labels(tmp_path / "test-*")


def test_two_sets_in_a_folder_are_not_mixed(tmp_path: Path) -> None:
    for title in ("train", "validation"):
        write("tfrecord", tmp_path, title=title)
    with pytest.raises(
        UserError, match=r"2 sets, train-\*-of-\*\.tfrecord and validation-\*-of-\*\.tfrecord: name one"
    ):
        labels(tmp_path)
    assert labels(tmp_path / "validation-*-of-*.tfrecord") == TEXTS
    assert labels(tmp_path / "*") == TEXTS * 2


def record(path: Path, texts: dict[str, bytes], integers: dict[str, list[int]]) -> Path:
    tfrecord.write(path, [tfrecord.example({"images": png(0)}, {"labels": [0]}), tfrecord.example(texts, integers)])
    (path.parent / "char_map.json").write_text('{"a": 0}')
    return path


@pytest.mark.parametrize(
    ("texts", "integers", "message"),
    [
        ({}, {"labels": [0]}, "has no feature images (it has labels)"),
        ({"images": b"x"}, {}, "has no feature labels (it has images)"),
        ({"images": b"x", "labels": b"a"}, {}, "has bytes in the feature labels, where int64 are expected"),
        ({}, {"labels": [0], "images": [1]}, "has int64 in the feature images, where bytes are expected"),
        ({"images": b"x"}, {"labels": [0, 7]}, "has the label 7, which char_map.json does not have"),
    ],
)
def test_features_missing_or_mistyped(
    texts: dict[str, bytes], integers: dict[str, list[int]], message: str, tmp_path: Path
) -> None:
    path = record(tmp_path / "train.tfrecord", texts, integers)
    with pytest.raises(UserError) as caught:
        labels(path)
    assert str(caught.value).startswith(f"{path}, record 2 {message}: ")


@pytest.mark.parametrize("at", ["head", "data", "tail"])
def test_a_truncated_file_of_records(at: str, tmp_path: Path) -> None:
    path = record(tmp_path / "train.tfrecord", {"images": png(1)}, {"labels": [0]})
    whole = path.read_bytes()
    first = struct.unpack_from("<Q", whole)[0] + 16
    path.write_bytes(whole[: {"head": first + 5, "data": first + 100, "tail": -2}[at]])
    with pytest.raises(UserError, match=r"train\.tfrecord, record 2 is truncated: copy"):
        labels(path)


@pytest.mark.parametrize(
    ("byte", "message"), [(-30, "is damaged, its checksum is wrong"), (None, "has a wrong checksum of its length")]
)
def test_a_damaged_file_of_records(byte: int | None, message: str, tmp_path: Path) -> None:
    path = record(tmp_path / "train.tfrecord", {"images": png(1)}, {"labels": [0]})
    data = bytearray(path.read_bytes())
    data[struct.unpack_from("<Q", data)[0] + 16 if byte is None else byte] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"train\.tfrecord, record 2 {message}"):
        labels(path)


def test_a_record_that_is_not_an_example(tmp_path: Path) -> None:
    tfrecord.write(tmp_path / "x.tfrecord", [b"\xff\xff\xff"])
    with pytest.raises(UserError, match=r"record 1 holds no tf\.train\.Example"):
        labels(tmp_path / "x.tfrecord")


def test_compressed_records_say_how_to_unpack_them(tmp_path: Path) -> None:
    path = record(tmp_path / "train.tfrecord", {"images": png(1)}, {"labels": [0]})
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match="is compressed: unpack it first"):
        labels(path)


def test_a_file_that_changes_after_it_was_opened_gives_unreadable_pictures(tmp_path: Path) -> None:
    path = record(tmp_path / "train.tfrecord", {"images": png(1)}, {"labels": [0]})
    samples = dataset.collect(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UnreadablePicture, match="the record is truncated"):
        read_image(samples[1].path, 1)
    path.unlink()
    with pytest.raises(UnreadablePicture, match="no such file"):
        read_image(samples[0].path, 1)


def test_no_records_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.tfrecord").touch()
    with pytest.raises(UserError, match="holds no pictures"):
        dataset.collect(tmp_path / "x.tfrecord")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "put their character map, char_map.json, beside it"),
        ("a b", "is not a character map"),
        ('["a"]', "is not a character map"),
        ('{"a": 0, "b": 0}', "is not a character map"),
        ('{"a": ' * 100_000, "is not a character map"),
        ('{"a": ' + "9" * 5000 + "}", "is not a character map"),
        ('{"a": NaN}', "is not a character map"),
        ('{"a": 0.5, "b": true}', "is not a character map"),
        ('{"' + "a" * 21 + '": 0}', "is not a character map"),
        ("", "is not a character map"),
    ],
)
def test_character_maps(content: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = record(tmp_path / "data" / "x.tfrecord", {"images": b""}, {"labels": []})
    (tmp_path / "data" / "char_map.json").unlink()
    if content is not None:
        (tmp_path / "char_map").mkdir()
        (tmp_path / "char_map" / "char_map.json").write_text(content)
    with pytest.raises(UserError, match=message):
        labels(path)
    (tmp_path / "char_map").mkdir(exist_ok=True)
    (tmp_path / "char_map" / "char_map.json").write_text('{"x": 0}')
    assert labels(path) == ["x", ""]


def fsns(path: Path, texts: dict[str, bytes], integers: dict[str, list[int]]) -> Path:
    tfrecord.write(path, [tfrecord.example({"image/encoded": png(0), "image/format": b"png"} | texts, integers)])
    return path


def test_fsns_without_text_is_read_by_its_dictionary(tmp_path: Path) -> None:
    path = fsns(tmp_path / "train-00000-of-00001", {}, {"image/class": [1, 7, 1, 0, 0]})
    with pytest.raises(UserError, match=r"put their dictionary, dic\.txt, beside it"):
        labels(path)
    (tmp_path / "charset_size=3.txt").write_text("7\té\n0\t<nul>\n1\ta\n", encoding="utf-8")
    assert labels(path) == ["aéa"]
    fsns(path, {}, {"image/class": [1, 0, 0], "image/unpadded_class": [1, 2]})
    with pytest.raises(UserError, match="record 1 has the character number 2, which the dictionary does not have"):
        labels(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("9" * 5000 + "\ta", "line 1 of the file has an id of 5,000 digits"),
        ("1\ta\n" + "\0" * 5000, "line 2 of the file is '"),
        ("1\tab" + "c" * 5000, "line 1 of the file is '1"),
        ("\u00e9\ta\tb" + "c" * 5000, "line 1 of the file is 'é"),
    ],
)
def test_dictionaries_without_limits_are_errors_of_one_line(content: str, message: str, tmp_path: Path) -> None:
    path = fsns(tmp_path / "x.tfrecord", {}, {"image/class": [1]})
    (tmp_path / "dic.txt").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        labels(path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


def test_fsns_with_a_text_that_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"record 1 has an image/text that is not UTF-8"):
        labels(fsns(tmp_path / "x.tfrecord", {"image/text": b"\xff"}, {}))


def test_tensorflow_reads_what_we_write_and_we_read_what_it_writes(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    write("fsns", tmp_path / "ours")
    file = next((tmp_path / "ours").glob("*.tfrecord"))
    for index, data in enumerate(tf.data.TFRecordDataset(str(file))):
        example = tf.train.Example.FromString(data.numpy())
        feature = example.features.feature
        assert feature["image/text"].bytes_list.value[0].decode() == TEXTS[index]
        assert feature["image/encoded"].bytes_list.value[0] == png(index)
        assert (feature["image/width"].int64_list.value[0], feature["image/orig_width"].int64_list.value[0]) == (40, 40)
        assert len(feature["image/class"].int64_list.value) == 37
        assert len(feature["image/unpadded_class"].int64_list.value) == len(TEXTS[index])
    assert index == len(TEXTS) - 1
    fixed = {
        "image/class": tf.io.FixedLenFeature([37], tf.int64),
        "image/unpadded_class": tf.io.VarLenFeature(tf.int64),
    }
    parsed = tf.io.parse_single_example(data, fixed)
    dictionary = read_dictionary(tmp_path / "ours" / "dic.txt")
    assert "".join(dictionary[number] for number in parsed["image/class"].numpy()) == TEXTS[-1]

    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "char_map.json").write_text(json.dumps({character: i for i, character in enumerate(" abé")}))
    with tf.io.TFRecordWriter(str(tmp_path / "theirs" / "train.tfrecord")) as writer:
        for index, text in enumerate(TEXTS):
            lists = {
                "images": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png(index)])),
                "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=[" abé".index(each) for each in text])),
                "imagenames": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"])),
                "more": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString())
    assert labels(tmp_path / "theirs") == TEXTS
    assert read_bytes(dataset.collect(tmp_path / "theirs")[3].path) == png(3)


def database(folder: Path, entries: dict[bytes, bytes]) -> Path:
    folder.mkdir()
    with lmdb.open(str(folder), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key, value)
    return folder


def test_lmdb_as_others_write_it(tmp_path: Path) -> None:
    entries = {b"image-%09d" % n: png(n) for n in (1, 2, 4)} | {b"label-%09d" % n: b"x%d" % n for n in (1, 3, 4, 5)}
    path = database(tmp_path / "db", entries | {b"num-samples": b"4"})
    samples = dataset.collect(path)
    assert list(map(str, samples.names)) == [f"image-{n:09}" for n in (1, 2, 3, 4)]
    assert list(map(str, samples.labels)) == ["x1", "", "x3", "x4"]
    contents = dataset.examine(samples)
    assert contents.unreadable == [("image-000000003", "no such key")]
    assert dataset.inspect(contents).unlabelled == ["image-000000002"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "has no num-samples among its 0 keys"),
        ({b"num-samples": b"many"}, "b'many' for num-samples"),
        ({b"num-samples": b"7", b"image-000000001": b""}, "num-samples is 7, but the database has 2 keys"),
        ({b"num-samples": b"9" * 5000}, "has 5,000 bytes for num-samples"),
        ({b"num-samples": b"9" * 99}, "num-samples is 99999999999999999999…, but the database has 1 keys"),
        ({b"num-samples": b"-1"}, "b'-1' for num-samples"),
        ({b"num-samples": b"1.0"}, "b'1.0' for num-samples"),
        ({b"num-samples": "\u0663".encode()}, "for num-samples"),
        ({b"num-samples": b""}, "b'' for num-samples"),
        ({b"num-samples": b"1", b"label-000000001": b"x" * 70_000}, "has a label of 70,000 bytes among 1 to 1"),
        ({b"num-samples": b"1", b"picture-1": b"x"}, "says num-samples 1 and has no pictures 1 to 1"),
        ({b"num-samples": b"1", b"label-000000001": b"\xff"}, "label-000000001 is not UTF-8"),
    ],
)
def test_unsupported_lmdb(entries: dict[bytes, bytes], message: str, tmp_path: Path) -> None:
    path = database(tmp_path / "db", entries)
    with pytest.raises(UserError, match=message):
        labels(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[: len(data) // 2], "is truncated at"),
        (lambda data: b"junk" * 4096, "is no LMDB file"),
        (lambda data: b"", "is empty"),
        (lambda data: data[:100], "is no LMDB file"),
        (lambda data: data[:8192] + bytes(len(data) - 8192), "is damaged at page"),
        (lambda data: data[:8192] + data[12288:] + data[8192:12288], "is damaged at page"),
    ],
)
def test_a_damaged_lmdb(spoil: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    entries = {b"image-%09d" % n: np.random.default_rng(n).bytes(5000) for n in range(1, 20)}
    path = database(tmp_path / "db", entries | {b"num-samples": b"19"})
    whole = (path / "data.mdb").read_bytes()
    (path / "data.mdb").write_bytes(spoil(whole))
    with pytest.raises(UserError, match=message):
        labels(path)


def mutated(data: bytes, seed: int) -> bytes:
    """Damage a file: flipped bits, other bytes, pages of zeros, swapped pages, a missing part."""
    rng = np.random.default_rng(seed)
    spoilt, size = bytearray(data), len(data)
    kind, count = rng.integers(5), int(rng.choice([1, 10, 300]))
    if kind == 0:
        for place in rng.integers(size, size=count):
            spoilt[place] ^= 1 << rng.integers(8)
    elif kind == 1:
        for place in rng.integers(size, size=count):
            spoilt[place] = rng.integers(256)
    elif kind == 2:
        start = int(rng.integers(size)) // 512 * 512
        spoilt[start : start + 512] = bytes(len(spoilt[start : start + 512]))
    elif kind == 3:
        page = 4096 if size > 8192 else 4
        one, other = (int(place) // page * page for place in rng.integers(size - page, size=2))
        spoilt[one : one + page], spoilt[other : other + page] = data[other : other + page], data[one : one + page]
    else:
        del spoilt[int(rng.integers(size)) :]
    return bytes(spoilt)


def complaints(folder: Path) -> list[str]:
    """The messages about records and their pictures."""
    found = []
    try:
        for sample in dataset.collect(folder):
            try:
                read_bytes(sample.path)
            except UnreadablePicture as reason:
                found.append(f"{sample.path}: {reason}")
    except UserError as error:
        found.append(str(error))
    return found


@pytest.mark.parametrize("form", ["lmdb", "tfrecord", "fsns"])
def test_damage_of_any_kind_is_an_error_of_the_file_or_of_a_picture(form: str, tmp_path: Path) -> None:
    folder = write(form, tmp_path / "records", [f"{n:03}" for n in range(40)])
    said = []
    for index, file in enumerate(sorted(folder.iterdir())):
        whole = file.read_bytes()
        for seed in range(60):
            file.write_bytes(mutated(whole, 100 * index + seed))
            said += complaints(folder)
        file.write_bytes(whole)
    assert len(said) > 30
    assert all(each.startswith(str(folder)) for each in said)
    assert complaints(folder) == []


def test_an_lmdb_that_claims_more_pictures_than_it_has_ends_at_once(tmp_path: Path) -> None:
    """A forged number of keys must not fill the memory."""
    count = b"%d" % 900_000_000
    path = database(tmp_path / "db", {b"image-000000001": png(1), b"num-samples": count})
    data = bytearray((path / "data.mdb").read_bytes())
    for meta in (0, 4096):
        struct.pack_into("<Q", data, meta + 120, 10**15)
    (path / "data.mdb").write_bytes(data)
    with pytest.raises(UserError, match="says num-samples 900,000,000 and has no pictures 1,001 to 2,000"):
        dataset.collect(path)


def test_an_lmdb_that_is_cut_while_it_is_open_gives_unreadable_pictures(tmp_path: Path) -> None:
    """If the file was mapped, the process would be killed."""
    path = write("lmdb", tmp_path / "db", ["a"] * 30)
    samples = dataset.collect(path)
    os.truncate(path / "data.mdb", 8192)
    assert len(dataset.examine(samples)) == 0


def test_an_lmdb_of_many_levels_is_read_as_its_library_reads_it(tmp_path: Path) -> None:
    entries = {b"image-%09d" % n: b"x" * (n % 4000) for n in range(1, 1500)}
    entries |= {b"label-%09d" % n: b"%d" % n for n in range(1, 1500)} | {b"num-samples": b"1499"}
    path = tmp_path / "db"
    with lmdb.open(str(path), map_size=1 << 26) as environment:
        for part in range(3):
            with environment.begin(write=True) as transaction:
                for key, value in sorted(entries.items())[part::3]:
                    transaction.put(key, value)
        assert environment.stat()["depth"] == 3
    found = dataset.collect(path)
    assert [sample.label for sample in found] == [f"{n}" for n in range(1, 1500)]
    assert [read_bytes(sample.path) for sample in found] == [entries[sample.name.encode()] for sample in found]


def test_a_record_of_seven_tebibytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    head = struct.pack("<Q", 7 << 40)
    path.write_bytes(head + struct.pack("<I", tfrecord.masked_crc(head)))
    os.truncate(path, 8 << 40)
    with pytest.raises(UserError, match="record 1 has 7,696,581,394,432 bytes, more than 16,777,216"):
        labels(path)


@pytest.mark.parametrize(
    ("texts", "integers", "message"),
    [
        ({f"f{n}": b"" for n in range(1001)}, {"labels": [0]}, "has 1,003 features, more than 1,000"),
        ({}, {"labels": [0] * 10_001}, "has 10,001 numbers in the feature labels"),
    ],
)
def test_a_record_with_too_many_features_or_numbers(
    texts: dict[str, bytes], integers: dict[str, list[int]], message: str, tmp_path: Path
) -> None:
    path = record(tmp_path / "x.tfrecord", {"images": b"x"} | texts, integers)
    with pytest.raises(UserError, match=message):
        labels(path)


def test_an_fsns_text_of_a_megabyte(tmp_path: Path) -> None:
    path = fsns(tmp_path / "x.tfrecord", {"image/text": b"x" * 1_000_000}, {})
    with pytest.raises(UserError, match="record 1 has an image/text of 1,000,000 bytes, more than 65,536"):
        labels(path)


@pytest.mark.parametrize("form", ["tfrecord", "fsns"])
def test_a_pipe_where_the_map_or_dictionary_belongs(form: str, tmp_path: Path) -> None:
    if form == "fsns":
        path = fsns(tmp_path / "x.tfrecord", {}, {"image/class": [1]})
    else:
        path = record(tmp_path / "x.tfrecord", {"images": b"x"}, {"labels": [0]})
    name = {"tfrecord": "char_map.json", "fsns": "dic.txt"}[form]
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} is a named pipe"):
        labels(path)
    (tmp_path / name).unlink()
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, 1 << 40)
    with pytest.raises(UserError, match=rf"{name} has 1,099,511,627,776 bytes: is it"):
        labels(path)
