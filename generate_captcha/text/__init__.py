"""Text as masks of ink: fonts, single letters, whole lines, letters drawn from strokes; texts cut from files."""
