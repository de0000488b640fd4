"""Networks that read short text, in Keras: build, train, evaluate and export them.

rectifiers/     images -> images with straight text
backbones/      images -> columns of features
sequences/      columns -> columns with context
heads/          columns -> text
network.py      build a network from these stages
model_file.py   the `.keras` file, which crnn_reader reads once this package is imported
weights_file.py read the arrays of a `.keras` file
reader.py       the Reader, under the name of version 0.1
runtimes.py     Keras as the runtime of a network
reading.py      read pictures for a command
scores.py       all figures: exact match, character error rate, calibration, intervals
report.py       scores as tables and as a page with plots
export/         model files -> ONNX, LiteRT, SavedModel
training/       batches of labelled pictures -> weights
weights/        the shipped weights that trainings start from
"""

# Adds the `.keras` format to crnn_reader.
from model import model_file as model_file
