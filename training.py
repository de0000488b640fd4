"""Train a network on a folder of labelled pictures: `python training.py --data my_pictures`."""

from __future__ import annotations

import shlex

import console
import parameter
from console import UserError
from parameter import RANDOM, TrainingParameters


def main(parameters: TrainingParameters) -> int:
    """The whole story; returns the exit code."""
    from model.training import recipe, run_folder

    path, parameters = run_folder.start_or_resume(parameters)
    folder = run_folder.RunFolder(path)
    if not parameters.resume:
        folder.refuse_other_files()
    if parameters.quick:
        from generate_captcha.corpus import write_corpus

        made, parameters = recipe.quick(parameters)
        write_corpus(made)

    import dataset
    from generate_captcha.feed import preview
    from model import network
    from model.training import feeds
    from model.training.trainer import train
    from model.training.transfer import transfer

    drawn = parameter.generated(parameters.data)
    if parameters.curriculum and (drawn is None or drawn.style not in parameter.HARDER):
        raise UserError("--curriculum needs pictures that can be drawn harder: take --data generate:line")
    if drawn:
        labels, aspect, hues = *preview(drawn), 1.0
    else:
        pictures = dataset.collect(parameters.data, parameters.label_pattern)
        labels, (aspect, hues) = list(map(str, pictures.labels)), dataset.survey(pictures)
    count = drawn.count if drawn else len(labels)
    parameters = recipe.completed(parameters, labels, aspect, hues, count)
    card = recipe.card(parameters)
    network.import_keras().utils.set_random_seed(parameters.seed)
    with network.precision(parameters.precision):
        net = network.build(card)
    too_long = recipe.too_long(card, network.columns(net))
    if drawn:
        found = feeds.of_drawn(parameters, card, drawn, labels, too_long)
    else:
        found = feeds.of_pictures(parameters, card, pictures, too_long)
    training, validation = found.training, found.validation
    settings = recipe.settings(parameters, len(training.rows), found.adaptation)

    if folder.has_state():
        start = "going on"
    elif parameters.from_ in (None, RANDOM):
        start = "starting from random weights"
    else:
        start = transfer(parameters.from_, net, card)
    split = {"training": training.labelled, "validation": validation.labelled}
    contents = {"contents": [training.contents, validation.contents], "alphabet": card.alphabet}
    folder.begin(parameters.to_json(), split | contents)
    folder.log(
        f"{len(training.rows):,} pictures to train on, {len(validation.rows):,} to validate; "
        f"{card.network} {card.preset} {card.head}, {parameters.size}, {len(card.alphabet)} characters, "
        f"epochs: {'' if parameters.epochs else 'up to '}{settings.schedule.epochs}, {start}; in {path}"
    )
    try:
        train(net, card, training, validation, settings, folder, dataset.contact_sheet)
    except KeyboardInterrupt:
        console.warn(f"interrupted; go on with: python training.py --resume --run {shlex.quote(str(path))}")
        return console.INTERRUPTED
    folder.log(f"next: python prediction.py FOLDER --model {shlex.quote(str(path))}")
    return console.SOME_UNREADABLE if found.unreadable else console.ALL_DONE


if __name__ == "__main__":
    console.run(main, TrainingParameters)
