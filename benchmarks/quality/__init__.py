"""How good methods are: mixtures -> `undin.evaluation` -> results/*.csv -> tables."""
