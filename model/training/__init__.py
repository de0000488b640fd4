"""What turns labelled batches into weights.

defaults.py      defaults that depend on the corpus: size, epochs, batch size, learning rate
schedule.py    the learning rate, and when a run has nothing left to learn
trainer.py     the training itself: epoch by epoch, validated, resumable
transfer.py    start from the weights of another model file
run_folder.py  what a run leaves behind, written so that it can go on
curves.py      curves.png
"""
