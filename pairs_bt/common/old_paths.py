"""Module paths of version 0.1 still import: each names the module that holds its code now."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

MOVED = {
    "pairs_bt.assembly": "pairs_bt.runs.build",
    "pairs_bt.atomic": "pairs_bt.common.files",
    "pairs_bt.audit.draws": "pairs_bt.audit.null_draws",
    "pairs_bt.audit.evidence": "pairs_bt.audit.null_evidence",
    "pairs_bt.audit.figures": "pairs_bt.audit.plots",
    "pairs_bt.audit.fills": "pairs_bt.audit.fill_check",
    "pairs_bt.audit.ladder": "pairs_bt.audit.bias_ladder",
    "pairs_bt.audit.measure": "pairs_bt.audit.universe_statistics",
    "pairs_bt.audit.prefix": "pairs_bt.audit.run_differences",
    "pairs_bt.audit.study": "pairs_bt.audit.runner",
    "pairs_bt.audit.words": "pairs_bt.audit.sentences",
    "pairs_bt.book_size": "pairs_bt.data.synthetic.pair_universe",
    "pairs_bt.cells": "pairs_bt.data.formats.number_parsing",
    "pairs_bt.chance": "pairs_bt.backtest.selection_null",
    "pairs_bt.checks": "pairs_bt.common.array_checks",
    "pairs_bt.cli_audit": "pairs_bt.cli.audit",
    "pairs_bt.cli_compare": "pairs_bt.cli.compare",
    "pairs_bt.cli_engine": "pairs_bt.cli.engine_options",
    "pairs_bt.cli_force": "pairs_bt.cli.force_option",
    "pairs_bt.cli_hedge": "pairs_bt.cli.hedge",
    "pairs_bt.cli_sweep": "pairs_bt.cli.sweep",
    "pairs_bt.cli_verify": "pairs_bt.cli.verify",
    "pairs_bt.cluster_flight": "pairs_bt.engine.dask_futures",
    "pairs_bt.cluster_tasks": "pairs_bt.engine.dask_tasks",
    "pairs_bt.compare": "pairs_bt.stats.comparison",
    "pairs_bt.compare_page": "pairs_bt.report.run_comparison",
    "pairs_bt.compare_runs": "pairs_bt.runs.run_comparison",
    "pairs_bt.compiled": "pairs_bt.cli.terminal.kernel_cache",
    "pairs_bt.config_io": "pairs_bt.config.reader",
    "pairs_bt.console": "pairs_bt.cli.terminal.console",
    "pairs_bt.csv_text": "pairs_bt.common.csv_text",
    "pairs_bt.diagnostics": "pairs_bt.runs.filter_diagnostics",
    "pairs_bt.distance": "pairs_bt.models.scan.pair_distance",
    "pairs_bt.engine_dask": "pairs_bt.engine.dask_engine",
    "pairs_bt.exports": "pairs_bt.runs.tearsheets",
    "pairs_bt.folder_run": "pairs_bt.runs.resume",
    "pairs_bt.hedge": "pairs_bt.backtest.hedge_rules",
    "pairs_bt.hedge_rules": "pairs_bt.models.hedge_ratios",
    "pairs_bt.identity": "pairs_bt.engine.identity",
    "pairs_bt.inference": "pairs_bt.stats.bootstrap",
    "pairs_bt.interrupt": "pairs_bt.cli.terminal.interrupt",
    "pairs_bt.kernels.cointegration": "pairs_bt.kernels.scan.cointegration",
    "pairs_bt.kernels.likelihood": "pairs_bt.kernels.kalman_mle",
    "pairs_bt.kernels.matrix": "pairs_bt.kernels.online.hedge_matrix",
    "pairs_bt.kernels.measures": "pairs_bt.kernels.scan.pair_distance",
    "pairs_bt.kernels.rolling": "pairs_bt.kernels.mean_reversion",
    "pairs_bt.kernels.trading": "pairs_bt.kernels.ledger",
    "pairs_bt.ledger": "pairs_bt.backtest.ledger",
    "pairs_bt.ledoit_wolf": "pairs_bt.stats.sharpe_difference",
    "pairs_bt.limits": "pairs_bt.backtest.portfolio.limits",
    "pairs_bt.loading": "pairs_bt.runs.load",
    "pairs_bt.lock": "pairs_bt.common.lock",
    "pairs_bt.matrix_page": "pairs_bt.report.hedge_matrix_page",
    "pairs_bt.matrix_report": "pairs_bt.report.hedge_matrix",
    "pairs_bt.matrix_steps": "pairs_bt.models.online.hedge_matrix_steps",
    "pairs_bt.matrix_store": "pairs_bt.models.online.hedge_matrix_file",
    "pairs_bt.matrix_update": "pairs_bt.models.online.hedge_matrix_update",
    "pairs_bt.netting": "pairs_bt.backtest.portfolio.netting",
    "pairs_bt.noise": "pairs_bt.models.kalman_mle",
    "pairs_bt.null": "pairs_bt.data.synthetic.surrogates",
    "pairs_bt.out_file": "pairs_bt.cli.terminal.output_file",
    "pairs_bt.overfitting": "pairs_bt.stats.backtest_overfitting",
    "pairs_bt.panels": "pairs_bt.report.blocks",
    "pairs_bt.panels_concentration": "pairs_bt.report.panels.concentration",
    "pairs_bt.panels_results": "pairs_bt.report.panels.results",
    "pairs_bt.panels_scan": "pairs_bt.report.panels.scan",
    "pairs_bt.panels_trades": "pairs_bt.report.panels.trades",
    "pairs_bt.parts": "pairs_bt.engine.window_parts",
    "pairs_bt.performance": "pairs_bt.stats.performance",
    "pairs_bt.pipeline": "pairs_bt.engine.pipeline",
    "pairs_bt.planted": "pairs_bt.data.synthetic.cointegrated_pairs",
    "pairs_bt.plots": "pairs_bt.report.plots",
    "pairs_bt.plots.accessor": "pairs_bt.report.plots.accessor",
    "pairs_bt.plots.base": "pairs_bt.report.plots.canvas",
    "pairs_bt.plots.drawing": "pairs_bt.report.plots.notebook_figure",
    "pairs_bt.plots.money": "pairs_bt.report.plots.pnl",
    "pairs_bt.plots.pair": "pairs_bt.report.plots.one_pair",
    "pairs_bt.plots.pairs": "pairs_bt.report.plots.all_pairs",
    "pairs_bt.plots.portfolio": "pairs_bt.report.plots.equity",
    "pairs_bt.plots.svg": "pairs_bt.report.plots.svg",
    "pairs_bt.portfolio": "pairs_bt.backtest.portfolio.returns",
    "pairs_bt.price_table": "pairs_bt.data.formats.wide_table",
    "pairs_bt.readers": "pairs_bt.data.sources",
    "pairs_bt.scan_table": "pairs_bt.engine.scan_table",
    "pairs_bt.scan_writer": "pairs_bt.engine.scan_file",
    "pairs_bt.selection": "pairs_bt.backtest.selection",
    "pairs_bt.signal_forms": "pairs_bt.backtest.special_signals",
    "pairs_bt.signals": "pairs_bt.backtest.signals",
    "pairs_bt.stamps": "pairs_bt.data.formats.date_parsing",
    "pairs_bt.store": "pairs_bt.runs.run_folder",
    "pairs_bt.streaming": "pairs_bt.models.online.kalman_ols",
    "pairs_bt.streaming_file": "pairs_bt.models.online.kalman_ols_file",
    "pairs_bt.study": "pairs_bt.backtest.study",
    "pairs_bt.style": "pairs_bt.report.palette",
    "pairs_bt.summary": "pairs_bt.runs.summary",
    "pairs_bt.superiority": "pairs_bt.stats.multiple_comparison",
    "pairs_bt.suspects": "pairs_bt.data.quality_flags",
    "pairs_bt.sweep.cluster": "pairs_bt.sweep.dask_workers",
    "pairs_bt.sweep.engine": "pairs_bt.sweep.runner",
    "pairs_bt.sweep.figures": "pairs_bt.sweep.plots",
    "pairs_bt.sweep.plateau": "pairs_bt.sweep.evidence.plateau",
    "pairs_bt.sweep.stages": "pairs_bt.sweep.shared_stages",
    "pairs_bt.sweep.traders": "pairs_bt.sweep.cohort_traders",
    "pairs_bt.sweep.trials": "pairs_bt.sweep.evidence.trial_cost",
    "pairs_bt.sweep.verdict": "pairs_bt.sweep.evidence.verdict",
    "pairs_bt.synthetic": "pairs_bt.data.synthetic.market",
    "pairs_bt.tables": "pairs_bt.backtest.table_columns",
    "pairs_bt.tasks": "pairs_bt.backtest.window_tasks",
    "pairs_bt.text_tables": "pairs_bt.data.formats.csv_reader",
    "pairs_bt.track_record": "pairs_bt.stats.deflated_sharpe",
    "pairs_bt.validation": "pairs_bt.runs.cost_estimate",
    "pairs_bt.verdict": "pairs_bt.stats.verdict",
    "pairs_bt.verify": "pairs_bt.runs.oracle_check",
    "pairs_bt.walks": "pairs_bt.data.synthetic.random_walks",
    "pairs_bt.windows": "pairs_bt.backtest.windows",
    "pairs_bt.wording": "pairs_bt.common.formatting",
}


class _Moved:
    """Gives the module at the new path for the old one: the same object, loaded once.

    A finder and a loader by its methods: `importlib.abc`, which has base classes for them, is slow to import.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, cast(Any, self)) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(MOVED[spec.name])
        # The import machinery writes the old path's spec over the module's own: it is put back below.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def find_old_paths() -> None:
    """Make the old paths importable in this process; called once, by the package."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Moved())
