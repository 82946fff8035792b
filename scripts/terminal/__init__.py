"""What the terminal shows while a study runs: a line for each finished step, and how long the rest will take."""
