"""The stages of one window, in the order of the pipeline."""
