"""Every explanation method on the networks of the three papers and the default recipe: which to trust for what."""
