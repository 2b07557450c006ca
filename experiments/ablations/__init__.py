"""What the pieces are worth: single-component ablations, with learned baselines beside them."""
