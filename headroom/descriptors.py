"""How many sockets a process may have open: two a charger, one to it and one to its CSMS."""

import resource

import structlog

log = structlog.get_logger()

_A_CHARGER = 2
_BESIDE = 200
"""Listeners, databases, files, the API's callers."""


def allow_sockets(chargers: int) -> None:
    """Take all the descriptors that the process may have, and say where they are too few for so many chargers.

    What a shell or a container gives (1,024 in many places) is there for old programs that count them with `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:
            log.info("open_files_not_raised", limit=soft, error=str(error))
            hard = soft
    if hard != resource.RLIM_INFINITY and hard < _A_CHARGER * chargers + _BESIDE:
        carries = max(0, (hard - _BESIDE) // _A_CHARGER)
        log.warning("few_open_files", limit=hard, chargers=chargers, carries=carries)
