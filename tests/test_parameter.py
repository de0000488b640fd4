"""Parameters: flags, checks, help, and the file of a run."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

import crnn_reader
import parameter
from crnn_reader.alphabet import character_numbers, parse_alphabet, read_dictionary
from crnn_reader.errors import UserError
from tests.processes import finished

ROOT = Path(__file__).parents[1]

COMMANDS = [
    parameter.GenerateParameters,
    parameter.DatasetParameters,
    parameter.ConvertParameters,
    parameter.UnpackParameters,
    parameter.TrainingParameters,
    parameter.LearningCurveParameters,
    parameter.PredictionParameters,
    parameter.EvaluationParameters,
    parameter.ExportParameters,
]
#: Values for flags that have no default.
REQUIRED = {
    parameter.ConvertParameters: ["in", "out", "--form", "csv"],
    parameter.UnpackParameters: ["archive.zip", "out"],
    parameter.ExportParameters: ["captcha", "--out", "captcha.onnx"],
}


@pytest.mark.parametrize("parameters", COMMANDS)
def test_the_parameters_of_a_command_go_through_a_file(parameters: type[parameter.Parameters], tmp_path: Path) -> None:
    given = parameters.parse(REQUIRED.get(parameters, []))
    (tmp_path / "parameters.json").write_text(given.to_json(), encoding="utf-8")
    assert parameters.from_json(tmp_path / "parameters.json") == given


@pytest.mark.parametrize("columns", [80, 120, 300])
@pytest.mark.parametrize("parameters", COMMANDS)
def test_help_has_every_flag_with_description_and_default_and_fits_the_terminal(
    parameters: type[parameter.Parameters],
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit) as stop:
        parameters.parse(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    words = " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= min(columns, 120)
    assert all(f"\n{title}:\n" in shown for title in parameters.SECTIONS.values())
    # A value without a default has none in the help, under any name.
    assert not re.search(r"\(default: (\w*Undefined|None|False|\(\))\)", words)
    for name, field in parameters.model_fields.items():
        assert field.description and field.description in words, name
        flag = "--" + name.rstrip("_").replace("_", "-")
        assert f" {flag}" in shown or "positional=True" in repr(field), name
        if isinstance(field.default, int | float) and field.default is not False:
            assert f"{field.description} (default: {field.default})" in words


def test_help_shows_choices_and_defaults_that_are_chosen_at_run_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parameter.TrainingParameters.parse(["-h"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--fit {stretch,pad}" in shown
    assert "--head {ctc,attention,joint}" in shown
    assert "Number of passes over the pictures. (default: chosen from the number of pictures)" in shown


def test_flags_are_written_as_people_write_them() -> None:
    read = parameter.PredictionParameters.parse
    assert read(["a.png", "--top", "3", "b.png"]).paths == ("a.png", "b.png")
    assert read(["--labels", "a.png"]).paths == ("a.png",)
    assert read(["--labels", "--", "--odd.png", "-h"]).paths == ("--odd.png", "-h")
    assert read(["--beam_width=20", "--decoder=beam"]).beam_width == 20
    assert read(["--top", "2", "--top", "3"]).top == 3
    assert read(["--charset=-a", "--length=2"]).charset == "-a"
    curve = parameter.LearningCurveParameters.parse(["--training", "--from plate --learning_rate 0.1"])
    assert curve.training == "--from plate --learning_rate 0.1"


def test_what_was_typed_is_set_even_if_it_is_the_default() -> None:
    assert parameter.TrainingParameters.parse(["--preset", "small"]).model_fields_set == {"preset"}
    assert parameter.TrainingParameters.parse([]).model_fields_set == set()


def test_flags_reach_their_parameters() -> None:
    generate = parameter.GenerateParameters.parse(["--size", "200X50", "--length", "4-6", "--count", "7"])
    assert (generate.size, generate.length, generate.count) == ("200x50", "4-6", 7)
    lines = parameter.GenerateParameters.parse(["--style", "line"])
    assert (lines.size, lines.length) == ("280x32", "5-25")
    training = parameter.TrainingParameters.parse(
        ["--from", "captcha", "--batch-size", "32", "--resume", "--validation", "0.2"]
    )
    assert (training.from_, training.batch_size, training.resume, training.validation) == ("captcha", 32, True, "0.2")
    prediction = parameter.PredictionParameters.parse(["a.png", "-", "--top", "3", "--json", "o.json"])
    assert (prediction.paths, prediction.top, prediction.json_) == (("a.png", "-"), 3, "o.json")


def test_lite_has_convolutions_as_its_sequence_by_default() -> None:
    def network(*flags: str) -> str:
        return parameter.TrainingParameters.parse([*flags]).network

    assert network("--preset", "lite") == "vgg_conv"
    assert network("--preset", "lite", "--network", "vgg_bigru") == "vgg_bigru"
    assert network() == network("--preset", "small") == "vgg_bilstm"


@pytest.mark.parametrize(
    ("parameters", "argv", "parts"),
    [
        (parameter.GenerateParameters, ["--size", "big"], ["--size big", "128x64"]),
        (parameter.GenerateParameters, ["--size", "0x64"], ["--size 0x64", "WIDTHxHEIGHT"]),
        (parameter.GenerateParameters, ["--size", "autox10000"], ["--size autox10000", "from 1 to 1,000"]),
        (parameter.GenerateParameters, ["--length", "6-4"], ["--length 6-4", "4-6"]),
        (parameter.GenerateParameters, ["--count", "0"], ["--count 0: give a whole number from 1 to 100,000,000"]),
        (parameter.TrainingParameters, ["--seed", "-1"], ["--seed -1: give a whole number from 0 to 4,294,967,295"]),
        (parameter.TrainingParameters, ["--patience", "0"], ["--patience 0: give a whole number that is at least 1"]),
        (
            parameter.TrainingParameters,
            ["--learning-rate", "0"],
            ["--learning-rate 0: give a number that is above 0 and at most 10"],
        ),
        (
            parameter.PredictionParameters,
            ["--min-probability", "97.0"],
            ["97.0: give a number from 0 to 1, such as 0.97"],
        ),
        (
            parameter.PredictionParameters,
            ["--min-probability", "nan"],
            ["--min-probability nan: give a number from 0 to 1"],
        ),
        (parameter.UnpackParameters, ["a", "b", "--names", "gkb"], ["--names gkb", "did you mean gbk?", "big5"]),
        (parameter.UnpackParameters, ["a", "b", "--names", "klingon"], ["not the name of a text encoding: give one"]),
        (parameter.GenerateParameters, ["--style", "nice"], ["style", "nice"]),
        (parameter.TrainingParameters, ["--validation", "1.5"], ["--validation 1.5", "between 0 and 1"]),
        (parameter.TrainingParameters, ["--validation", "10%"], ["--validation 10%: give 0.1"]),
        (parameter.TrainingParameters, ["--validation", "100 %"], ["--validation 100 %", "between 0 and 1"]),
        (parameter.TrainingParameters, ["--label-pattern", "("], ["--label-pattern (", "regular expression"]),
        (parameter.TrainingParameters, ["--label-pattern", "a"], ["--label-pattern a", "group named label"]),
        (parameter.TrainingParameters, ["--epochs", "few"], ["--epochs", "few"]),
        (parameter.PredictionParameters, ["--decoder", "best"], ["decoder", "best"]),
        (parameter.EvaluationParameters, ["a", "b"], ["b is one argument too many for this command; see --help"]),
        (parameter.ConvertParameters, ["in", "out"], ["--form is missing; see --help"]),
        (parameter.ConvertParameters, ["in"], ["OUT is missing; see --help"]),
        (parameter.TrainingParameters, ["--resume=yes"], ["--resume takes no value; see --help"]),
        (parameter.TrainingParameters, ["--run", "--resume"], ["--run is given without a value; see --help"]),
        (parameter.TrainingParameters, ["--run="], ["--run is empty: give a value, or leave it out"]),
        (parameter.TrainingParameters, ["--no-resume"], ["--no-resume is not a flag of this command"]),
        (
            parameter.TrainingParameters,
            ["--data", "generate:dotted", "--length", "5"],
            ["--length is not a flag of this command: flags for drawn pictures", "'generate:STYLE --length …'; see"],
        ),
        (parameter.GenerateParameters, ["--style", "doted"], ["--style doted: did you mean dotted?"]),
    ],
)
def test_mistakes_end_in_one_sentence(
    parameters: type[parameter.Parameters], argv: list[str], parts: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        parameters.parse(argv)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--help" in str(caught.value) or "give" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting"),
        ("[]", "no parameters by name"),
        ("7", "no parameters by name"),
        ('{"no_such_parameter": 1}', "there is no parameter of this name"),
        ('{"epochs": -1}', "give a whole number that is at least 1"),
        ('{"head": "x"}', "give one of ctc, attention, joint"),
        ('{"resume": "x"}', "give true or false"),
        ('{"size": 7}', "give a text"),
    ],
)
def test_other_files_than_parameter_files_are_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UserError, match=reason):
        parameter.TrainingParameters.from_json(tmp_path / "p.json")


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == crnn_reader.__version__


@pytest.mark.parametrize(
    "command",
    ["prediction.py", "evaluation.py", "training.py", "learning_curve.py", "-m generate_captcha", "-m dataset"],
)
def test_help_answers_without_the_heavy_libraries(command: str) -> None:
    result = finished([sys.executable, "-X", "importtime", *command.split(), "--help"], cwd=ROOT)
    assert result.returncode == 0
    assert "--" in result.stdout
    imported = {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time")
    }
    assert "parameter" in imported
    assert not imported & {"keras", "tensorflow", "jax", "torch", "matplotlib", "PIL"}
    assert command == "-m dataset" or not imported & {"cv2", "numpy"}


def test_a_dictionary_has_ids_and_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dic.txt"
    path.write_text("2\t<nul>\r\n0\t \r\n1\té\r\n", encoding="utf-8")
    assert read_dictionary(path) == {2: "", 0: " ", 1: "é"}
    assert parse_alphabet(str(path)) == " é"
    assert character_numbers(str(path), ["é"]) == {" ": 0, "é": 1, "<nul>": 2}
    assert character_numbers(None, ["ba", "b"]) == {"a": 0, "b": 1, "<nul>": 2}
    assert character_numbers("bxa", ["ba"]) == {"b": 0, "x": 1, "a": 2, "<nul>": 3}
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"labels hold c, which the alphabet a-b does not"):
        character_numbers("a-b", ["abc"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\ta\n1\tb\n0\tc\n", "the id 0 is in lines 1 and 3 of the file; each character needs its own"),
        ("a\nb\n", "id<TAB>character"),
        ("", "id<TAB>character"),
        ("0\tab\n", r"line 1 of the file is '0..ab'"),
    ],
)
def test_invalid_dictionaries_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dic.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_dictionary(tmp_path / "dic.txt")


def test_gaps_in_a_dictionary_are_reported_once_and_double_ids_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dic.txt"
    path.write_text("0\ta\n2\tb\n6\tc\n")
    for _ in range(2):
        assert parse_alphabet(str(path)) == "abc"
    assert capsys.readouterr().err == f"{path}: no characters for the ids 1, 3-5; is a line missing?\n"
    # Given as a flag, too, and beside another wrong flag.
    other = tmp_path / "other.txt"
    other.write_text("0\ta\n3\tb\n")
    flags = ["a", "b", "--form", "fsns", "--alphabet", str(other)]
    parameter.ConvertParameters.parse(flags)
    assert capsys.readouterr().err == f"{other}: no characters for the ids 1-2; is a line missing?\n"
    other.write_text("0\ta\n4\tb\n")
    with pytest.raises(UserError, match=r"^--shards x: give a whole number from 1 to 99,999$"):
        parameter.ConvertParameters.parse([*flags, "--shards", "x"])
    path.write_text("0\ta\n0\tb\n")
    with pytest.raises(UserError, match=r"--alphabet .*the id 0 is in lines 1 and 2"):
        parameter.ConvertParameters.parse(["a", "b", "--form", "fsns", "--alphabet", str(path)])
    path.write_text("0\ta\n1\ta\n")
    with pytest.raises(ValueError, match="'a' is in the alphabet twice"):
        parse_alphabet(str(path))


@pytest.mark.parametrize("parameters", [parameter.PredictionParameters, parameter.EvaluationParameters])
def test_a_beam_width_without_a_beam_is_refused(parameters: type[parameter.Parameters]) -> None:
    with pytest.raises(UserError, match="--beam-width 20 is for --decoder beam"):
        parameters.parse(["DB/samples", "--beam-width", "20"])
    for use in (["--decoder", "beam"], ["--length", "4"]):
        parameters.parse(["DB/samples", "--beam-width", "20", *use])


@pytest.mark.parametrize("name", ["-5+3=_1.png", "-x.png", "-1.png", "-b=c", "- 1.png"])
def test_names_of_files_may_begin_with_a_dash(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert parameter.PredictionParameters.parse(["a.png", name, "--top", "2"]).paths == ("a.png", name)
    with pytest.raises(UserError, match=r"^-y\.png is not a flag of this command"):
        parameter.PredictionParameters.parse([name, "-y.png"])
