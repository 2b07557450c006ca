"""Senarathna and Wijesinghe (2025): Tables I to III, Figures 3 and 4."""
