"""What the camera sees where there is no plate: parts of vehicles, signs and other texts, and surroundings.

A scene is a function of height, width, an instance of `SeededRandom` and, where it has texts, fonts. It returns uint8
(height, width, 3) in RGB order.
"""
