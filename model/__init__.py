"""Networks that read short text: built from stages, decoded, kept in one file.

alphabet.py     characters <-> numbers
backbones/      pictures -> columns of features         (named in parameter.BackboneName)
sequences/      columns -> columns that know each other (named in parameter.SequenceName)
heads/          columns -> text                         (named in parameter.HeadName)
network.py      the stages joined
decoding.py     log-probabilities -> texts with probabilities (NumPy alone)
model_file.py   one file with everything needed to read: `.keras`, or `.onnx` without Keras
onnx_graph.py   what may be in an ONNX file, checked before it is run (onnx_metadata.py reads its fields)
weights_file.py the arrays in a `.keras` file, checked before they are read
runtimes.py     what reading runs of a network, by Keras or by onnxruntime
export/         model files -> ONNX, LiteRT, SavedModel
reader.py       files or arrays -> texts, in batches, decoding beside the network
training/       what turns labelled batches into weights
weights/        the weights we ship
"""
