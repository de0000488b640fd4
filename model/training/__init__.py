"""Train a network on batches of labelled pictures.

picture_source.py  protocols: pictures, and their batches
defaults.py     values that depend on the pictures: network, size, epochs, batch size, learning rate
plan.py         the plan: every value decided
schedule.py     the learning rate, and the end of a run
adaptation.py   augmentation and difficulty, which follow the progress of learning
transfer.py     start from the weights of another model file
trainer.py      the training: epoch by epoch, validated, resumable
steps.py        gradient steps on each backend
memory.py       start again with smaller batches if memory runs out
run_folder.py   the files of a run
follow_run.py   the models of a run while it trains
"""
