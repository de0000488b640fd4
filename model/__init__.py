"""Networks that read short text, in Keras: built from stages, trained, evaluated and exported.

rectifiers/     pictures -> straightened pictures
backbones/      pictures -> columns of features
sequences/      columns -> columns that know their neighbours
heads/          columns -> text
network.py      the stages joined
model_file.py   the `.keras` file, which crnn_reader reads once this package is imported
weights_file.py the arrays in a `.keras` file, checked before they are read
reader.py       the Reader, under the name of version 0.1
runtimes.py     Keras as the runtime of a network
export/         model files -> ONNX, LiteRT, SavedModel
training/       labelled batches -> weights
weights/        the shipped weights that trainings start from
"""

# Adds the `.keras` format to crnn_reader.
from model import model_file as model_file
