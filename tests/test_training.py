"""training.py as a command: its run folder, how it resumes, and its errors."""

from __future__ import annotations

import contextlib
import csv
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import training
from cli.command import ALL_DONE, INTERRUPTED, SOME_UNREADABLE, WRONG_USE
from crnn_reader.image import read_image
from crnn_reader.model_files import read_config
from crnn_reader.reader import Reader
from generate_captcha import write_corpus
from model import model_file
from model.training import adaptation, trainer
from model.training.run_folder import trained_on
from parameter import GenerateParameters, TrainingParameters
from tests import commands
from tests.commands import exit_code
from tests.model.striped import striped
from tests.processes import finished, free_port, started

TRAINING = Path(__file__).parents[1] / "training.py"
SMALL = ["--preset", "lite", "--from", "random", "--size", "48x32", "--batch-size", "16", "--augmentation", "0"]


#: Only tests that start processes use graphs.
pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty labelled pictures in `pictures/` of a fresh working folder."""
    monkeypatch.chdir(tmp_path)
    return drawn(tmp_path / "pictures", 40)


def drawn(folder: Path, count: int, seed: int = 0) -> Path:
    """Write `count` labelled pictures, no two of which are equal."""
    folder.mkdir(parents=True)
    images, _, texts = striped(count, seed)
    # Each picture gets a different dot, because pictures with the same label must not be equal.
    for i, (image, text) in enumerate(zip(images, texts, strict=True)):
        image[31, i % 48] = 200 - i // 48
        cv2.imwrite(str(folder / f"{text}_{i}.png"), image)
    return folder


def negatives(folder: Path, count: int) -> Path:
    """Write `count` pictures of noise, which show nothing to read."""
    folder.mkdir(parents=True)
    for i in range(count):
        noise = np.random.default_rng(i).integers(0, 256, (32, 48), np.uint8)
        cv2.imwrite(str(folder / f"noise{i}.png"), noise)
    return folder


def run(*arguments: str) -> int:
    """Run the command in this process; returns its exit code."""
    return exit_code(training.main, TrainingParameters, arguments)


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(TRAINING), *arguments]


def rows(run_folder: Path) -> list[dict[str, float]]:
    with (run_folder / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_sure_readings_of_unlabelled_pictures_are_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(GenerateParameters(out="drawn", count=28, workers=1))
    Path("mixed").mkdir()
    truth = {}
    for place, picture in enumerate(sorted(Path("drawn").rglob("*.png"))):
        # The text is in the last frame of an animation.
        truth[f"{place}.gif"] = picture.name.partition("_")[0]
        text = Image.open(picture).convert("RGB")
        Image.new("RGB", text.size, "grey").save(f"mixed/{place}.gif", save_all=True, append_images=[text])
    # What the model is not sure of is not learnt, and neither is what cannot be read.
    for picture in negatives(Path("noise"), 5).iterdir():
        shutil.copy(picture, "mixed")
    Path("mixed/broken.png").touch()
    arguments = [
        "--unlabelled",
        "mixed",
        "--from",
        "captcha_lite",
        "--run",
        "r",
        "--validation",
        "0.3",
        "--frame",
        "last",
    ]
    assert run(*arguments, "--epochs", "1") == ALL_DONE
    split = json.loads(Path("r/split.json").read_text("utf-8"))
    learnt = {Path(name).name: label for side in ("training", "validation") for name, label in split[side].items()}
    assert learnt.keys() <= truth.keys() and len(learnt) >= 24
    assert sum(truth[name] == label for name, label in learnt.items()) >= len(learnt) - 1
    assert "of 34 pictures without labels are read with a probability of at least 0.7" in capsys.readouterr().err
    # The run goes on with the readings that it began with.
    shutil.rmtree("noise")
    assert run("--resume", "--run", "r") == ALL_DONE


def test_pictures_that_no_weights_can_read_are_not_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    negatives(tmp_path / "noise", 25)
    assert run("--unlabelled", "noise", "--run", "r") == WRONG_USE
    assert re.search(r"error: general is sure of the text in \d of 25 pictures, too few", capsys.readouterr().err)
    assert not Path("r/model.keras").exists() and not Path("r/readings.csv").exists()
    write_corpus(GenerateParameters(out="few", count=10, workers=1))
    assert run("--unlabelled", "few", "--from", "captcha_lite", "--run", "r") == WRONG_USE
    assert re.search(
        r"captcha_lite reads \d+ of 10 pictures in few with a probability of at least 0.7, and 20 or more are needed",
        capsys.readouterr().err,
    )


def test_a_run_folder_explains_itself_and_reads(data: Path) -> None:
    # Left by a training that had no space on the disk.
    Path("r").mkdir()
    Path("r/training.lock").touch()
    # A file whose name is the alphabet of the labels is not read as an alphabet.
    alphabet = "".join(sorted({character for file in data.iterdir() for character in file.name.partition("_")[0]}))
    Path(alphabet).write_text("x\n")
    assert run("--data", "pictures", "--run", "r", "--epochs", "2", "--ema", "0.9", *SMALL) == ALL_DONE
    folder = Path("r")
    assert json.loads((folder / "parameters.json").read_text())["ema"] == 0.9
    history = rows(folder)
    assert [row["epoch"] for row in history] == [1, 2]
    scores = {"validation_loss", "exact_match", "character_error_rate", "letter_accuracy"}
    assert {"loss", "learning_rate"} | scores <= history[0].keys()
    assert np.std(read_image(folder / "curves.png", 1)) > 10
    assert list((folder / "tensorboard").iterdir())
    split = json.loads((folder / "split.json").read_text())
    labels = split["training"] | split["validation"]
    assert labels == {file.name: file.name.partition("_")[0] for file in data.iterdir()}
    assert not split["training"].keys() & split["validation"].keys()
    log = (folder / "log.txt").read_text()
    assert "epochs: 2," in log
    count = len(split["validation"])
    assert re.search(
        rf"exact match \d+\.\d\d% of {count} validation pictures \(95 % interval .*% to .*%\), which chose this epoch: "
        "other pictures may be read less well",
        log,
    )
    assert f"only {count} validation pictures: the choice of the best epoch" in log
    readings = list(Reader("r").read(sorted(data.iterdir())))
    assert len(readings) == 40
    assert all(reading.error is None and not reading.unlike_training for reading in readings)
    config = read_config(folder / "model.keras")
    assert config.alphabet == alphabet
    assert (config.trained_heights, config.trained_aspects) == ([32, 32], [1.5, 1.5])


def test_the_cache_goes_to_the_run_folder_if_the_working_folder_is_read_only(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".cache").touch()  # Works like a read-only folder, also for root.
    arguments = ["--data", "pictures", "--run", "r", "--epochs", "1", *SMALL]
    assert run(*arguments) == ALL_DONE
    said = ".cache cannot be written (File exists): decoded pictures go to r/cache\n"
    assert said in capsys.readouterr().err
    assert len(list(Path("r/cache").iterdir())) == 2
    assert run(*arguments, "--resume") == ALL_DONE
    assert said not in capsys.readouterr().err


def test_a_killed_run_resumes_to_the_result_of_an_uninterrupted_one(data: Path) -> None:
    # In processes of their own, as users run them: eager sums in another order would lead to other weights.
    # Unlike the other tests, with adapted augmentation.
    negatives(Path("negatives"), 12)
    arguments = ["--data", "pictures", "--epochs", "4", "--workers", "0", *SMALL[: SMALL.index("--augmentation")]]
    arguments += ["--negatives", "negatives"]
    finished(command(*arguments, "--run", "whole"), check=True)

    with started(command(*arguments, "--run", "cut"), stderr=subprocess.PIPE) as killed:
        while not Path("cut/history.csv").exists():
            assert killed.poll() is None
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    done = len(rows(Path("cut")))
    assert done < 4, "the kill came too late to test anything"
    finished(command("--resume", "--run", "cut"), check=True)

    for one, other in zip(rows(Path("whole")), rows(Path("cut")), strict=True):
        for name in one.keys() - {"pictures_per_second"}:
            assert one[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4), (name, one["epoch"])
    with np.load("whole/state.npz") as whole, np.load("cut/state.npz") as cut:
        for name in whole.files:
            if whole[name].dtype.kind != "U":
                np.testing.assert_allclose(whole[name], cut[name], rtol=1e-2, atol=1e-3, err_msg=name)


def test_negatives_are_learnt_as_empty_texts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Names of labelled pictures may occur again.
    for number, file in enumerate(sorted(negatives(Path("negatives"), 20).iterdir())):
        file.rename(file.with_name(sorted(data.iterdir())[number].name))
    flags = ["--data", "pictures", "--negatives", "negatives", "--run", "r", "--epochs", "2", *SMALL]
    assert run(*flags) == ALL_DONE
    assert "18 negatives to train on, 2 to validate" in capsys.readouterr().err
    split = json.loads(Path("r/split.json").read_text())
    for side, count in (("training", 18), ("validation", 2)):
        empty = [name for name, label in split[side].items() if not label]
        assert len(empty) == count and all(Path(name).parent == Path("negatives") for name in empty)
    assert len(split["training"]) + len(split["validation"]) == 60
    validated = [name for name, label in split["validation"].items() if not label]
    kept = next(row for row in rows(Path("r")) if f"epoch {row['epoch']:.0f}:" in Path("r/log.txt").read_text())
    assert kept["rejected_negatives"] == np.mean([not reading.text for reading in Reader("r").read(validated)])
    assert str(Path("negatives").resolve()) in {str(Path(path).parent) for path in trained_on("r")}
    assert {path for path in trained_on("r") if Path(path).parent == data.resolve()}


def test_labels_of_negatives_are_not_used(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = negatives(Path("negatives"), 12)
    (folder / "labels.tsv").write_text("file\tlabel\n" + "".join(f"{file.name}\tzz\n" for file in folder.glob("*.png")))
    assert run("--data", "pictures", "--negatives", "negatives", "--run", "r", "--epochs", "1", *SMALL) == ALL_DONE
    assert "the labels of negatives are not used" in capsys.readouterr().err
    assert "z" not in read_config(Path("r/model.keras")).alphabet


@pytest.mark.parametrize("head", [pytest.param("attention", marks=pytest.mark.slow), "joint"])
def test_lines_of_any_width_are_trained_on_and_read_singly_and_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn(Path("pictures"), 12)
    for i, file in enumerate(sorted(Path("pictures").iterdir())):
        image = read_image(file, 1)[..., 0]
        cv2.imwrite(str(file), np.pad(image, ((0, 0), (0, 16 * (i % 5))), constant_values=255))
    network = ["--head", head, "--network", "vgg_bigru", "--preset", "lite", "--from", "random"]
    arguments = ["--data", "pictures", "--size", "autox32", "--batch-size", "4", *network]
    assert run(*arguments, "--run", "r", "--epochs", "1") == ALL_DONE
    assert len(rows(Path("r"))) == 1
    reader, files = Reader("r", decoder="beam"), sorted(Path("pictures").iterdir())
    for file, reading in zip(files, reader.read(files), strict=True):
        single = reader.read_one(file)
        assert single.text == reading.text
        assert single.probability == pytest.approx(reading.probability, rel=1e-3, abs=1e-6)


def test_draws_pictures_that_become_harder_as_they_are_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adaptation, "LEARNT", 2.0)
    lines = "generate:line --alphabet abc --length 2 --size 48x32 --count 16 --difficulty 0.5 --workers 1"
    arguments = ["--data", lines, "--curriculum", *SMALL[:4], "--batch-size", "8", "--validation", "0.5", "--run", "r"]
    assert run(*arguments, "--epochs", "4") == ALL_DONE
    assert [row["difficulty"] for row in rows(Path("r"))] == [0.0, 0.25, 0.5, 0.5]
    errors = capsys.readouterr().err
    assert re.findall(r"epoch \d/4  difficulty (\S+) ", errors) == ["0", "0.25", "0.5", "0.5"]
    assert re.search(r"the model file is epoch [34]", errors)
    assert "reached difficulty" not in errors
    assert read_config(Path("r/model.keras")).alphabet == "abc"
    assert not [path for path in tmp_path.iterdir() if path.name != "r"], "drawn pictures are not written"
    assert not multiprocessing.active_children(), "the processes that drew them have ended"


def test_drawn_texts_that_never_fit_end_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = "generate:line --alphabet l --length 60 --size autox32 --difficulty 0 --count 4 --workers 1"
    arguments = ["--data", lines, "--size", "autox16", "--batch-size", "4", "--run", "r", "--epochs", "1"]
    assert run(*arguments) == WRONG_USE
    assert re.search(r"l{60} needs 119 columns, its picture has \d+: .* \(--size autox\d+\)\n", capsys.readouterr().err)


def test_reports_a_difficulty_that_was_not_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = "generate:line --alphabet abc --length 2 --size 48x32 --count 8 --difficulty 0.4 --workers 1"
    arguments = ["--data", lines, "--curriculum", *SMALL[:4], "--batch-size", "8", "--validation", "0.5", "--run", "r"]
    assert run(*arguments, "--epochs", "1") == ALL_DONE
    assert "reached difficulty 0 of 0.4: train for more epochs, or" in Path("r/log.txt").read_text()


EVERYTHING = ["--head", "joint", "--rectify", "tps", "--size", "autox32"]


@pytest.mark.parametrize(
    ("backend", "flags"),
    [
        ("jax", ["--devices", "2"]),
        pytest.param("jax", ["--join"], marks=pytest.mark.slow),
        pytest.param("jax", EVERYTHING, marks=pytest.mark.slow),
        ("torch", []),
        ("torch", EVERYTHING),
    ],
)
def test_trains_and_reads_without_tensorflow(data: Path, backend: str, flags: list[str]) -> None:
    pytest.importorskip(backend)
    together = "--join" in flags
    address = f"localhost:{free_port()}"
    joining = ["--join", f"{address},0/2"] if together else flags
    negatives(Path("negatives"), 12)
    arguments = ["--data", "pictures", "--negatives", "negatives", "--run", "r", "--epochs", "1", *SMALL, *joining]
    script = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import training, keras\n"
        "from cli.command import run_command\n"
        "from parameter import TrainingParameters\n"
        "from crnn_reader import Reader\n"
        f"try: run_command(training.main, TrainingParameters, {arguments!r})\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        f"assert keras.backend.backend() == {backend!r}\n"
        "from pathlib import Path\n"
        "print([reading.probability for reading in Reader('r').read(sorted(Path('pictures').iterdir()))])\n"
    )
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(TRAINING.parent)}
    # Optimising the code takes JAX a minute.
    wanted = "--xla_backend_optimization_level=0"
    if "--devices" in flags:
        # The processor counts as two devices.
        wanted += " --xla_force_host_platform_device_count=2"
    environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {wanted}"
    with contextlib.ExitStack() as stack:
        if together:
            # The second process gets all other flags from the first one.
            second = stack.enter_context(
                started(command("--join", f"{address},1/2"), env=environment, stderr=subprocess.PIPE)
            )
        done = finished([sys.executable, "-c", script], seconds=350, env=environment)
        if together:
            said = second.communicate()[1]
            assert second.returncode == 0, said
            assert "pictures to train on" not in said
    assert done.returncode == 0, done.stderr
    assert ("2 devices" in done.stderr) == (together or "--devices" in flags)
    here = [reading.probability for reading in Reader("r").read(sorted(data.iterdir()))]
    # Rounding differs between backends, and calibration amplifies the differences.
    # With several processes, JAX's communication (Gloo) prints a line first.
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(here, abs=1e-3)


def test_starts_from_earlier_weights_with_other_characters(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", "pictures", "--run", "r", "--epochs", "1", *SMALL) == 0
    arguments = ["--data", "pictures", "--run", "s", "--epochs", "1", "--from", "r", "--alphabet", "a-f"]
    assert run(*SMALL, *arguments, "--learning-rate", "1e-9", "--warmup", "0") == 0
    assert "4 of 6 characters known" in capsys.readouterr().err
    # The blank and the four known characters are unchanged by the tiny learning rate.
    (old, _), (new, _) = model_file.load(Path("r/model.keras")), model_file.load(Path("s/model.keras"))
    for before, after in zip(
        old.get_layer("classes").get_weights(), new.get_layer("classes").get_weights(), strict=True
    ):
        np.testing.assert_allclose(after[..., :5], before, atol=1e-5)
    # Characters that no picture has are kept, unless flags name an alphabet.
    for name, flags, alphabet in (("t", [], "abcdef"), ("u", ["--alphabet", "a-d"], "abcd")):
        assert run("--data", "pictures", "--run", name, "--epochs", "1", "--from", "s", *flags) == 0
        assert read_config(Path(name, "model.keras")).alphabet == alphabet


def test_the_network_is_that_of_the_earlier_weights_unless_flags_say_otherwise(data: Path) -> None:
    settings = ["--network", "vgg_bigru", "--rows", "2", "--colour", "rgb", "--fit", "pad", "--epochs", "1"]
    assert run("--data", "pictures", "--run", "r", *settings, *SMALL) == 0
    assert run("--data", "pictures", "--run", "s", "--from", "r", "--epochs", "1", "--fit", "stretch") == 0
    first, second = (read_config(Path(name) / "model.keras") for name in ("r", "s"))
    assert (second.network, second.rows, second.channels, second.width, second.height) == ("vgg_bigru", 2, 3, 48, 32)
    # A flag that is given counts, even with its default value.
    assert (first.fit, second.fit) == ("pad", "stretch")


def test_a_separate_validation_folder_never_shares_a_picture_with_training(data: Path, tmp_path: Path) -> None:
    other = drawn(tmp_path / "other", 10, seed=1)
    copied = sorted(data.iterdir())[0]
    (other / copied.name).write_bytes(copied.read_bytes())
    assert run("--data", "pictures", "--validation", "other", "--run", "r", "--epochs", "1", *SMALL) == 0
    split = json.loads(Path("r/split.json").read_text())
    assert copied.name not in split["training"]
    assert len(split["training"]) == 39
    assert len(split["validation"]) == 11


def test_the_network_sees_colour_if_letters_differ_in_hue(data: Path) -> None:
    assert run("--data", "pictures", "--run", "grey", "--epochs", "1", *SMALL) == 0
    for file in data.iterdir():
        ink = read_image(file, 1)[..., 0].astype(float)
        # Blue and green differ by the ink, which cancels in grey.
        cv2.imwrite(str(file), np.stack([ink, 128 + 0.19 * (128 - ink), np.full_like(ink, 90)], -1).astype(np.uint8))
    assert run("--data", "pictures", "--run", "hues", "--epochs", "1", *SMALL) == 0
    channels = [read_config(Path(name) / "model.keras").channels for name in ("grey", "hues")]
    assert channels == [1, 3]


def test_an_unreadable_picture_is_left_out_and_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "abc_broken.png").write_bytes(b"")
    assert run("--data", "pictures", "--run", "r", "--epochs", "1", *SMALL) == SOME_UNREADABLE
    assert "abc_broken.png" in capsys.readouterr().err


def test_reports_that_all_readings_are_empty(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SILENT_STEPS", 2)
    monkeypatch.setattr(trainer, "SILENT_EPOCHS", 2)
    # The weights that trainings start from by default read nothing in these pictures.
    slow = [*SMALL[4:], "--learning-rate", "1e-9"]
    assert run("--data", "pictures", "--run", "r", "--epochs", "3", *slow) == 0
    assert capsys.readouterr().err.count("all readings are still empty") == 1
    # A shorter training says so at its end.
    assert run("--data", "pictures", "--run", "s", "--epochs", "1", *slow) == 0
    assert "give more epochs or pictures, or" in capsys.readouterr().err
    # Empty texts do not count for the temperature.
    assert read_config(Path("r/model.keras")).temperature == pytest.approx(1.0)


def test_a_loss_of_nan_ends_in_one_sentence_and_keeps_the_epochs_before(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_epoch, epochs = trainer.Trainer.train_epoch, list[int]()

    def diverging(*arguments: object) -> tuple[float, int]:
        epochs.append(1)
        loss, pictures = train_epoch(*arguments)  # type: ignore[arg-type]
        return (loss if len(epochs) < 2 else float("nan")), pictures

    monkeypatch.setattr(trainer.Trainer, "train_epoch", diverging)
    arguments = ["--data", "pictures", "--run", "r", "--epochs", "3", "--precision", "mixed_bfloat16", *SMALL]
    assert run(*arguments) == WRONG_USE
    (error,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error:"))
    assert re.fullmatch(
        r"error: the loss became nan in epoch 2: start another run with a lower learning rate than \S+ or higher "
        r"precision, from the weights of epoch 1 \(--learning-rate, --precision float32, --from r\)",
        error,
    )
    assert len(rows(Path("r"))) == 1
    # Without its best weights, the run cannot be resumed.
    Path("r/model.keras").unlink()
    assert run("--resume", "--run", "r") == WRONG_USE
    assert "r/model.keras, the best weights of the run, is missing: restore it" in capsys.readouterr().err


def test_stops_early_without_improvement(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # At this learning rate, every epoch has the same score.
    arguments = ["--data", "pictures", "--run", "r", "--epochs", "40", "--learning-rate", "1e-12", "--patience", "2"]
    assert run(*arguments, *SMALL, "--alphabet", "a-z") == 0
    assert "stopped early" in capsys.readouterr().err
    assert len(rows(Path("r"))) < 40


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "nowhere"], r"nowhere does not exist"),
        (["--data", "empty"], r"no pictures in empty: .*python -m generate_captcha"),
        (["--data", "pictures", "--alphabet", "ab"], r"outside the alphabet: c d .*--alphabet"),
        (["--data", "pictures", "--size", "8x32"], r"too long for the network.*--size"),
        (["--data", "pictures", "--run", "taken"], r"taken is not empty"),
        (["--data", "pictures", "--run", "taken/mine.txt"], r"taken/mine\.txt is a file: choose a folder"),
        (["--resume", "--run", "taken"], r"taken holds no run to resume"),
        (["--resume"], r"no run to resume"),
        (["--data", "pictures", "--from", "nothing"], r"no model file nothing"),
        (["--data", "pictures", "--validation", "1.5"], r"--validation 1.5.*between 0 and 1"),
        (["--data", "single"], r"1 pictures leave \d to train on and \d to validate"),
        (["--data", "pictures", "--network", "vgg"], r"--network vgg: give one of vgg_bilstm, "),
        (["--data", "twice"], r"two labels for the same picture"),
        (["--data", "unlabelled"], r"no picture in unlabelled has a label.*--label-pattern"),
        (["--data", "pictures", "--size", "48x8"], r"48x8 is too small for vgg_bilstm plate: choose a larger size"),
        (["--data", "pictures", "--seed", "99999999999"], r"--seed 99999999999"),
        (["--quick", "--data", "pictures"], r"a quick training generates its own pictures, .*\(--data, --quick\)"),
        (["--unlabelled", "pictures", "--data", "pictures"], r"--unlabelled pictures cannot be combined with --data"),
        (["--unlabelled", "pictures", "--from", "random"], r"random weights cannot read; leave out --from random"),
        (["--unlabelled", "gone"], r"gone does not exist"),
        (["--unlabelled", "pictures", "--run", "pictures"], r"pictures would lie in pictures"),
        (["--data", "generate:line --text 'x"], r"--data generate: line --text .x: no closing quotation"),
        (["--data", "pictures", "--clip-norm", "inf"], r"--clip-norm inf: give a number that is above 0"),
        (["--data", "pictures", "--epochs", "two"], r"--epochs two: give a whole number"),
        (["--data", "pictures", "--run", "taken", "--quick"], r"taken is not empty"),
        (
            ["--data", "pictures", "--validation", "long", "--head", "attention", "--longest", "4"],
            r"too long .* abcdabcd is longer than the 4 .*--longest 8",
        ),
        (["--data", "generate:"], r"--data 'generate:': give the style right after the colon, one of captcha, "),
        (["--data", "generate: --style line"], r"--data 'generate: --style line': give the style right after"),
        (["--data", "generate:lime"], r"--style lime: did you mean line\?"),
        (["--data", "generate:line --out x"], r"drawn pictures are not written to a folder; leave out --out"),
        (
            ["--data", "generate:line --length 12 --size 96x32", "--size", "32x32"],
            r"needs 1\d columns, width 32 gives 8",
        ),
        (["--data", "generate:captcha", "--curriculum"], r"a curriculum needs drawn pictures .*\(--curriculum\)"),
        (
            ["--data", "generate:captcha --size 48x32", "--augmentation", "2"],
            r"drawn pictures are not augmented: .*\(--augmentation\)",
        ),
        (
            ["--data", "generate:captcha --size 48x32", "--workers", "3"],
            r"workers .* belongs to the data: .*\(--data 'generate:captcha .*--workers 3'\)",
        ),
        (["--data", "generate:captcha", "--validation", "pictures"], r"with drawn pictures, give a part"),
        (
            ["--data", "pictures", "--network", "inception_bilstm", "--size", "autox80"],
            r"inception.*pictures of one width",
        ),
        (
            ["--data", "pictures", "--coordinates", "--size", "autox32"],
            r"coordinates: this needs pictures of one width",
        ),
        (["--data", "pictures", "--rows", "2", "--size", "autox32"], r"rows 2: this needs pictures of one width"),
        (
            ["--data", "pictures", "--network", "crnn_bilstm", "--preset", "lite"],
            r"crnn_bilstm has no preset lite: choose small or base",
        ),
        (["--data", "pictures", "--alphabet", "Z-A"], r"--alphabet Z-A: the range Z-A runs backwards; write A-Z"),
        (
            ["--data", "pictures", "--cell", "lstm"],
            r"lstm is a value for the heads attention and joint, not for ctc.*\(--cell\)",
        ),
        (
            ["--data", "pictures", "--label-smoothing", "0"],
            r"0.0 is a value for the heads attention.*\(--label-smoothing\)",
        ),
        (
            ["--data", "pictures", "--head", "joint", "--longest", "2"],
            r"2 is less than the 4 characters.*\(--longest\)",
        ),
        (["--data", "pictures", "--negatives", "empty"], r"no pictures in empty: put some there, or make some"),
        (["--data", "pictures", "--negatives", "nowhere"], r"nowhere does not exist"),
        (
            ["--data", "pictures", "--negatives", "twice"],
            r"5 of the negatives also have a label, such as twice/\S+, which has the same content as \S+ in pictures: "
            r"remove one of them \(--negatives\)",
        ),
        (
            ["--data", "pictures", "--validation", "single", "--negatives", "single"],
            r"1 of the negatives also has a label",
        ),
        (["--data", "pictures", "--negatives", "broken"], r"none of the pictures in broken can be read: give others"),
        (["--data", "generate:no_plate"], r"pictures of style no_plate show nothing to read: write them to a folder"),
        (["--data", "generate:lines", "--negatives", "single"], r"drawn pictures are trained on without negatives"),
        (
            ["--data", "endless.csv"],
            r"label, of 1,300 characters, needs pictures 10,\d00 pixels wide with the head ctc.*\(--head attention\)",
        ),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_leaves_no_run(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    Path("empty").mkdir()
    Path("taken").mkdir()
    Path("taken/mine.txt").write_text("mine")
    twice = drawn(Path("twice"), 4)
    (twice / "abc_copy.png").write_bytes(sorted(twice.iterdir())[0].read_bytes())
    drawn(Path("single"), 1)
    for name in ("unlabelled", "broken", "long"):
        Path(name).mkdir()
    Path("broken/a.png").touch()
    shutil.copy(sorted(data.iterdir())[0], "long/abcdabcd_1.png")
    pictures = sorted(data.iterdir())[:2]
    Path("endless.csv").write_text(f"file,label\n{pictures[0]},{'abcd' * 325}\n{pictures[1]},ab\n")
    shutil.copy(sorted(data.iterdir())[0], "unlabelled/_1.png")
    before = sorted(Path().rglob("*.[jtk]*"))
    capsys.readouterr()
    assert run(*arguments) == WRONG_USE
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert re.search(sentence, errors[0]), errors[0]
    assert sorted(Path().rglob("*.[jtk]*")) == before
    assert not Path("runs").exists()


def test_a_backend_that_is_not_installed_is_named(data: Path) -> None:
    environment = os.environ | {"KERAS_BACKEND": "elsewhere"}
    refused = finished(command("--data", "pictures", "--run", "r"), env=environment)
    assert refused.returncode == WRONG_USE
    assert refused.stderr.startswith("error: KERAS_BACKEND is elsewhere, which is not installed: unset it, or use ")
    assert not Path("r").exists()


def test_an_interrupted_training_says_how_to_continue(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            # A library that is interrupted may raise any error.
            raise RuntimeError("cancelled") from None

    monkeypatch.setattr(trainer, "train", interrupted)
    for arguments in (["--data", "pictures", "--run", "a run", *SMALL], ["--resume", "--run", "a run"]):
        assert run(*arguments) == INTERRUPTED
        said = capsys.readouterr().err.splitlines()[-1]
        assert said == "interrupted: continue with: python training.py --resume --run 'a run'"


def test_resume_refuses_other_parameters_and_other_pictures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", "pictures", "--run", "r", "--epochs", "1", *SMALL) == 0
    kept = (Path("r") / "model.keras").read_bytes()
    assert run("--resume", "--run", "r", "--epochs", "5") == WRONG_USE
    assert re.search(r"5 is not what the run in r began with \(1\).*\(--epochs\)", capsys.readouterr().err)
    assert run("--resume", "--run", "r", "--batch-size", "16", "--ema", "0") == 0
    said = capsys.readouterr().err
    assert "the training in r finished after 1 epoch, and there is nothing left to do: to train longer" in said
    assert "--from r" in said and "continuing" not in said
    assert run("--data", "pictures", "--run", "e", "--epochs", "1", "--ema", "0.9", *SMALL) == 0
    assert run("--resume", "--run", "e", "--ema", "0") == WRONG_USE
    assert re.search(r"0.0 is not what the run in e began with \(0.9\).*\(--ema\)", capsys.readouterr().err)
    Path("letters.txt").write_text("a\nb\nc\nd\n")
    assert run("--data", "pictures", "--run", "a", "--epochs", "1", "--alphabet", "letters.txt", *SMALL) == 0
    Path("letters.txt").write_text("d\na\nb\nc\n")
    # The run folder has the characters, not the name of their file.
    assert run("--resume", "--run", "a") == 0
    capsys.readouterr()
    drawn(data / "more", 5, seed=2)
    assert run("--resume", "--run", "r") == WRONG_USE
    assert "not those that r began with" in capsys.readouterr().err
    shutil.rmtree(data / "more")
    one = sorted(data.iterdir())[0]
    before = one.read_bytes()
    cv2.imwrite(str(one), 255 - read_image(one, 1))
    assert run("--resume", "--run", "r") == WRONG_USE
    assert "not those that r began with" in capsys.readouterr().err
    one.write_bytes(before)
    one.rename(data / f"abcd_{one.name.partition('_')[2]}")
    assert run("--resume", "--run", "r") == WRONG_USE
    assert "not those that r began with" in capsys.readouterr().err
    assert (Path("r") / "model.keras").read_bytes() == kept
    assert read_config(Path("r/model.keras")).width == 48


LAYOUT = """
title = "Stripes"
size = [300, 100]
patterns = ["A-A{1,3}"]
letters = "abc"

[[paints]]
ground = ["#ffffff"]
ink = "#000000"

[[rows]]
box = [20, 20, 280, 80]
letter = 40
gap = 8
"""


def test_formats_are_stored_kept_by_a_start_and_by_a_resumed_run(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("zz_own.toml").write_text(LAYOUT)
    begin = ["--data", "pictures", "--epochs", "1", *SMALL]
    assert run(*begin, "--run", "r", "--layouts", "zz_own.toml") == ALL_DONE
    (own,) = read_config(Path("r/model.keras")).formats
    assert (own.name, own.title, own.patterns) == ("zz_own", "Stripes", ["[a-c]-[a-c]{1,3}"])
    # The file may change or be gone when a run is resumed.
    Path("zz_own.toml").unlink()
    (Path("r") / "state.npz").unlink()
    assert run("--resume", "--run", "r") == ALL_DONE
    assert read_config(Path("r/model.keras")).formats == [own]

    start = ["--data", "pictures", "--epochs", "1", "--from", "r"]
    assert run(*start, "--run", "kept") == ALL_DONE
    assert read_config(Path("kept/model.keras")).formats == [own]
    assert run(*start, "--run", "none", "--layouts", "none") == ALL_DONE
    assert read_config(Path("none/model.keras")).formats == []
    assert run(*begin, "--run", "unwritable", "--layouts", "no_car") == WRONG_USE
    assert "cannot write the texts of the layout no_car (Norway, car): leave it out" in capsys.readouterr().err
    assert run(*begin, "--run", "unknown", "--layouts", "qq") == WRONG_USE
    assert "there is no layout called 'qq'" in capsys.readouterr().err
    (Path("r") / "plan.json").write_text("[1")
    assert run("--resume", "--run", "r") == WRONG_USE
    assert "r/plan.json is damaged" in capsys.readouterr().err


def test_formats_of_generated_plates_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--preset", "lite", "--from", "random", "--size", "96x32", "--epochs", "1", "--batch-size", "8"]
    plates = "--count 16 --layouts lu,any_one_row --workers 1"
    assert run("--data", f"generate:plate {plates}", "--run", "drawn", *small) == ALL_DONE
    assert [each.name for each in read_config(Path("drawn/model.keras")).formats] == ["lu_car"]
    assert commands.run(f"python -m generate_captcha --style plate --out plates {plates}") == ALL_DONE
    assert run("--data", "plates", "--run", "files", "--augmentation", "0", *small) == ALL_DONE
    assert [each.name for each in read_config(Path("files/model.keras")).formats] == ["lu_car"]
