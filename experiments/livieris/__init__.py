"""Livieris et al. (2023): Table 1, Figures 2 to 6, and the comparison of two images."""
