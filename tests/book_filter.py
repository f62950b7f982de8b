"""The widely copied notebook's filter, as overrides: for tests whose oracle knows no other."""

BOOK_FILTER = (
    "filter.model=random_walk",
    "filter.start=given",
    "filter.burn_in=1",
    "filter.noise=fixed",
    "filter.intercept=keep",
    "filter.smooth={transition_cov=0.05,observation_cov=1.0}",
    "signal.window_half_lives=2",
)
