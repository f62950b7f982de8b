"""What a scan of all pairs measures beside Engle-Granger and Johansen."""
