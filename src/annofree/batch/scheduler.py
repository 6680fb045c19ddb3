"""Scans over the workers of a Dask scheduler, on this machine or many."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from annofree.batch.worker import Failure, Outcome, Worker
from annofree.errors import AnnofreeError, InputError
from annofree.extras import explained
from annofree.progress import stage, working_on
from annofree.version import VERSION

if TYPE_CHECKING:
    from distributed import Client

    from annofree.scan import Cohort

#: Seconds to wait for a scheduler to answer.
PATIENCE_S = 20
#: Scans that a scheduler holds at once at least, so that a cluster which grows with its queue grows.
LEAST_AHEAD = 64


def outcomes(worker: Worker, ids: Iterable[str], address: str) -> Generator[Outcome, None, None]:
    """Run the worker over scans on a scheduler's workers, which need the same software and files.

    A scan whose process dies is tried once more at the end, with nothing beside it; if that process dies too, the
    scan has failed. Scans that were merely near one that kills processes are so never blamed for it.

    Raises:
        OptionalDependency: Dask's scheduler client is not installed.
        InputError: No scheduler answers at the address.
        AnnofreeError: The scheduler went away.
    """
    ids = list(ids)
    if not ids:
        return
    with _client(address) as client:
        suspects: list[str] = []
        if not client.nthreads():  # a cluster may take hours to start its jobs, and a worker forgotten never comes
            working_on(ids[0])
            stage(f"waiting for a worker: the scheduler at {address} has none yet")
        for outcome in _rush(client, worker, ids, max(LEAST_AHEAD, 2 * sum(client.nthreads().values()))):
            if isinstance(outcome, str):
                suspects.append(outcome)
            else:
                yield outcome
        for outcome in _rush(client, worker, suspects, 1):
            yield Outcome.died(outcome) if isinstance(outcome, str) else outcome


def require_scheduler(address: str) -> None:
    """Refuse an address where no scheduler answers, before anything is written."""
    _client(address).close()


def _client(address: str) -> Client:
    with explained("A scheduler", ", or leave --scheduler out"):
        from distributed import Client
    try:
        return Client(address, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address}",
            why=str(error).splitlines()[0][:120] if str(error) else None,
            fix="Start one with 'dask scheduler', or leave --scheduler out",
        ) from None


def _rush(client: Client, worker: Worker, ids: Iterable[str], ahead: int) -> Iterator[Outcome | str]:
    """Outcomes as they come, and the bare ids of scans whose process died; at most `ahead` scans under way."""
    import cloudpickle
    from distributed import CancelledError, as_completed
    from distributed.scheduler import KilledWorker

    # The same bytes for every scan, so that a process thaws the worker once and keeps its loaded model.
    frozen = cloudpickle.dumps(worker.over(worker.cohort.subset(())))
    waiting = iter(ids)
    running: dict[Any, str] = {}
    pool = as_completed(loop=client.loop)

    def submit() -> None:
        scan_id = next(waiting, None)
        if scan_id is not None:
            job = cloudpickle.dumps(_Job(frozen, worker.cohort.subset([scan_id])))
            future = client.submit(pickle.loads, job, pure=False)
            running[future] = scan_id
            pool.add(future)

    for _ in range(ahead):
        submit()
    for future in pool:
        scan_id = running.pop(future)
        try:
            outcome: Outcome | str = future.result()
        except KilledWorker:
            outcome = scan_id
        except CancelledError:
            raise AnnofreeError(
                "The connection to the Dask scheduler was lost", fix="Run the same command again: it goes on from there"
            ) from None
        except Exception as error:  # the job could not even begin, for instance where annofree is not installed
            what = "A worker could not take up this scan"
            why = f"{type(error).__name__}: {error}"
            fix = "Give the workers the same annofree, and the same paths"
            outcome = Outcome(scan_id, Failure(scan_id, what, why, fix))
        future.release()  # or the scheduler computes it again when its worker dies
        submit()
        yield outcome


class _Job:
    """Unpickling it does the work.

    Dask thus carries nothing but bytes and a function of Python's own: where annofree is missing, unpickling is an
    error of one task. (A task that Dask itself cannot unpickle ends its worker, and then the next one.)
    """

    def __init__(self, frozen: bytes, cohort: Cohort) -> None:
        self.frozen, self.cohort = frozen, cohort

    def __reduce__(self) -> tuple[object, ...]:
        return _segment, (self.frozen, self.cohort, VERSION)


@lru_cache(maxsize=1)
def _thaw(frozen: bytes) -> Worker:
    thawed: Worker = pickle.loads(frozen)
    return thawed


def _segment(frozen: bytes, cohort: Cohort, client_version: str) -> Outcome:
    (scan_id,) = cohort.ids
    if client_version != VERSION:
        what = f"A worker has annofree {VERSION}, and {client_version} was to be run"
        return Outcome(scan_id, Failure(scan_id, what, "n/a", "Give the workers the same annofree"))
    return _thaw(frozen).one(cohort)
