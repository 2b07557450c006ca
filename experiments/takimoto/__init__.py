"""Takimoto et al. (2022): Tables 8 to 13 and attention maps."""
