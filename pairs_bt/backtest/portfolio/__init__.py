"""From cohorts to a portfolio: returns, limits, netting."""
