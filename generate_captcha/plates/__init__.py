"""Licence plates: layouts and their files, patterns, letters, graphics, the car and the camera."""
