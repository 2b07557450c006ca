"""Speed, cost and equality of scores, measured beside baselines and the machine's limits."""
