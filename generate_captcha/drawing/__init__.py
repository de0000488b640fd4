"""Drawing for all styles: paint, ink, poses, camera effects, backgrounds, and a test whether text is visible."""
