"""Published numbers, replayed: one script a paper, each prints what the paper says beside what this package finds."""
