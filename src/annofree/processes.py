"""Work over several processes of this machine, and over the threads of one.

A process that dies takes its own job with it and no other.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from typing import Any, TypeVar

from annofree.progress import now_and_then
from annofree.quick_imports import quick_imports

Job = TypeVar("Job")
Result = TypeVar("Result")

#: How many threads the libraries of a process start with; read when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
#: In a process of a pool: the work as bytes, and thawed when the first job comes.
_work: dict[str, Any] = {}


def as_they_come(
    work: Callable[[Job], Result], jobs: Iterable[Job], workers: int
) -> Generator[tuple[Job, Result | None], None, None]:
    """Jobs with their results, in the order in which they end.

    A job whose process died, and those that ran beside it, are done again at the end, each alone; None stands for the
    result of one whose process died again. What merely ran beside a job that kills processes is so never lost. The work
    is thawed once a process, so a model that it keeps is loaded once; jobs are taken when a process is free.

    Raises:
        Exception: What the work raised.
    """
    frozen, waiting, suspects = _freeze(work), iter(jobs), list[Job]()
    broken = True
    while broken:
        broken = False
        with _pool(frozen, workers) as pool:
            running = {_submit(pool, job): job for job in islice(waiting, workers)}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        suspects.append(job)
                        broken = True
                        continue
                    yield job, result
                    if not broken:
                        running.update({_submit(pool, job): job for job in islice(waiting, 1)})
    for job in suspects:
        with _pool(frozen, 1) as pool:
            try:
                result = _submit(pool, job).result()
            except BrokenProcessPool:
                result = None
        yield job, result


def in_order(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """Results in the jobs' order; with one worker, or one job, in this process. How far it is is said now and then.

    Raises:
        Exception: What the work raised; so no job vanishes silently.
    """
    listed = list(jobs)
    tell = now_and_then()

    def told(results: Iterable[Result]) -> Iterator[Result]:
        for done, result in enumerate(results, 1):
            tell(f"{done} of {len(listed)} done")
            yield result

    if workers <= 1 or len(listed) <= 1:
        yield from told(map(work, listed))
        return
    with _pool(_freeze(work), sensible(workers, len(listed)), threads="1") as pool:
        yield from told(future.result() for future in [_submit(pool, job) for job in listed])


def cores() -> int:
    """Cores of the processor that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sensible(workers: int, jobs: int) -> int:
    """Processes that can help: at most one a job and one a core; more would only wait and eat memory."""
    return max(1, min(workers, jobs, cores()))


def threads() -> int:
    """Threads for one step: what OMP_NUM_THREADS says, as for every numerical library, else the cores we may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return cores()


def side_by_side(work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
    """Results in the jobs' order, on threads: for work that lets go of the interpreter, as numpy and codecs do.

    Raises:
        Exception: What the work raised.
    """
    listed = list(jobs)
    if min(threads(), len(listed)) <= 1:
        return list(map(work, listed))
    with ThreadPoolExecutor(min(threads(), len(listed))) as pool:
        return list(pool.map(work, listed))


@contextmanager
def _pool(frozen: bytes, workers: int, threads: str | None = None) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that share the processor's cores; ended at once where the caller is interrupted."""
    share = threads or os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // workers))
    before, others = {name: os.environ.get(name) for name in _THREAD_VARIABLES}, set(active_children())
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, share))
    # a fork would copy locks that torch's threads hold
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(frozen,))
    try:
        yield pool
    except KeyboardInterrupt:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _freeze(work: Any) -> bytes:
    import cloudpickle

    frozen: bytes = cloudpickle.dumps(work)
    return frozen


def _submit(pool: ProcessPoolExecutor, job: Any) -> Future[Any]:
    try:
        return pool.submit(_do, _freeze(job))
    except BrokenProcessPool as error:  # a process died before this job came to it
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed


def _begin(frozen: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its processes
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work["frozen"] = frozen


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do(job: bytes) -> Any:
    if "thawed" not in _work:
        with quick_imports():
            _work["thawed"] = pickle.loads(_work["frozen"])
    return _work["thawed"](pickle.loads(job))
