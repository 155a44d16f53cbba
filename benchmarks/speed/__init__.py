"""What things cost: time, memory, throughput -> results/*.csv -> tables."""
