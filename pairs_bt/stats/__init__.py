"""Statistics of return frames: performance, intervals, comparisons, the verdict."""
