"""Trained runs: the store, and the sweep that trains missing runs, here or on a cluster."""
