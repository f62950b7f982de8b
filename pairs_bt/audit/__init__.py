"""The audit of a study: how much of a result is bias, how much is noise, and that none of it is look-ahead.

``pairs_bt.audit(config)`` makes the whole of it, as :func:`pairs_bt.audit.runner.run_audit` does. Its parts stand
alone: `bias_ladder`, `null_draws` and `null_evidence` (null universes and the real one's place among them), `causality`
(the certificate).
"""

from pairs_bt.common.callable_package import make_callable

make_callable(__name__, "pairs_bt.audit.runner", "run_audit")
