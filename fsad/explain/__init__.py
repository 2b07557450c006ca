"""Explanations of a verdict as maps over the picture: one method, one paper, one file, one test."""
