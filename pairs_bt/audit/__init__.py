"""The audit of a study: how much of a result is bias, how much is noise, and that none of it is look-ahead.

`pairs_bt.audit.runner.run_audit` makes the whole of it; its parts stand alone: `ladder` (the bias ladder), `draws` and
`evidence` (null universes and the real one's place among them), `causality` (the certificate).
"""
