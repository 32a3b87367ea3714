"""Observations: any table of runs, made ready for a fit, with all that is odd about it said.

A runs table (``distill_lib.runs``) says everything about our own runs and is strict. A fit needs less: what
was observed, a loss at so many parameters and tokens, and it must take tables that others wrote. Hence the
name, the statistician's word for the rows of a fit. Between a file and :class:`Observations` lie, in order,
``files`` (bytes to text fields), ``headers`` (which column is N), ``units`` (raw counts and nats), ``values``
(numbers in range) and ``design`` (what such runs can tell at all); each speaks in :class:`Finding` only.
Nothing is converted, guessed or dropped in silence.
"""

from .findings import Finding as Finding
from .reader import read_observations as read_observations
from .result import Observations as Observations
from .result import ObservationsError as ObservationsError
