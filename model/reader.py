"""The Reader of crnn_reader with the `.keras` format, under the name that programs written for version 0.1 import."""

from crnn_reader import Character as Character
from crnn_reader import Reader as Reader
from crnn_reader import Reading as Reading
