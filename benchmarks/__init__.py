"""Quality and speed, measured: every module writes results/*.csv and prints the table that docs/ shows.

quality/     scores of methods and of others on the same mixtures
speed/       times, memory, throughput
scoring.py   mixtures -> scores -> tables     peers.py   other noise reducers
launch.py    what `python -m benchmarks` does
"""
