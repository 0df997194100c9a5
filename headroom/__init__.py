"""The composition root: commands, wiring, control loop, REST."""

import os

# Small matrices on a busy machine: BLAS threads wait for one another longer than they compute. Before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
