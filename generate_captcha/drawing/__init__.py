"""What styles draw with: paint, poses and camera effects, backgrounds, and a test whether text is visible."""
