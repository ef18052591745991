"""Benchmarks: each prints a table, with ratios that were measured within one run (machines are noisy)."""
