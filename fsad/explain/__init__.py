"""Explanations of a verdict as maps over the image: one method, one paper, one file, one test. `methods` names them."""
