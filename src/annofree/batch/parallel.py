"""Scans over several processes, with Dask; a process that dies takes only its own scan with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annofree.batch.run import Outcome, Worker


def outcomes(worker: Worker, ids: Iterable[str], workers: int) -> Iterator[Outcome]:
    """Run the worker over scan ids in `workers` processes, yielding outcomes as they come."""
    from distributed import Client, LocalCluster, as_completed
    from distributed.scheduler import KilledWorker

    from annofree.batch.run import Failure, Outcome

    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        shared = client.scatter(worker, broadcast=True)
        futures = {client.submit(_call, shared, i, pure=False, retries=0): i for i in ids}
        for future in as_completed(futures):
            scan_id = futures[future]
            try:
                yield future.result()
            except KilledWorker:
                what = "The process died while segmenting this scan"
                why = "most often it ran out of memory"
                yield Outcome(scan_id, Failure(scan_id, what, why, "Run it again with --workers 1"))


def _call(worker: Worker, scan_id: str) -> Outcome:
    return worker(scan_id)
