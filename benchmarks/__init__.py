"""Speed and quality, measured: each script writes results/*.csv and prints the table that docs/ shows."""
