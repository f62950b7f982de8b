"""The page that trades a run again as its thresholds move."""
