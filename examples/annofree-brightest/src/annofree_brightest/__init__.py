"""What `annofree methods` shows of this package; read without loading the method."""

from annofree.methods import MethodInfo

INFO = MethodInfo(
    name="brightest",
    summary="the brightest part of the first sequence at hand; an example of a method from outside",
    module="annofree_brightest.method",
    cls="Brightest",
    learns_from=("healthy",),
    ships=True,
)
