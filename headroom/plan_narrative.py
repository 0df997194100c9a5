"""A longer text about a plan from an OpenAI-compatible endpoint. Off unless a URL is given; nothing else ever leaves.

What is sent: the name of the model, the sentences that the terminal shows, and the totals of the document. No schedule,
no series, no name of a car, session, user or file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from headroom.plan_fields import PlanInputError
from headroom.plan_outcome import Outcome

_SHARED = (
    "model",
    "currency",
    "cost",
    "baseline_cost",
    "saving_frac",
    "unmet_kwh",
    "energy_kwh",
    "baseline_energy_kwh",
    "carbon_kg",
    "baseline_carbon_kg",
    "slot_minutes",
)
_ASK = (
    "You explain a day-ahead electric vehicle charging plan to a building manager. Use only the facts given, invent no "
    "number, and say in at most 200 words what moved, why, what it saved and what binds."
)


@dataclass(frozen=True)
class Endpoint:
    """Base URL (ending before /chat/completions), model name, key (none for a local server) and patience in seconds."""

    url: str
    model: str
    key: str | None = None
    timeout_s: float = 60.0


def shared_facts(outcome: Outcome) -> Mapping[str, object]:
    """All that would be sent about a plan; free of names, for notes with names are left out."""
    totals = {name: outcome.document[name] for name in _SHARED if name in outcome.document}
    return {
        "totals": totals,
        "sentences": [said for said in outcome.sentences if said not in outcome.facts.private_notes],
    }


def narrate(outcome: Outcome, endpoint: Endpoint) -> str:
    """Ask for the text.

    Raises:
        PlanInputError: the endpoint cannot be reached, refuses, or answers something else than a chat completion.
    """
    body = {
        "model": endpoint.model,
        "temperature": 0,
        "messages": [{"role": "system", "content": _ASK}, {"role": "user", "content": str(shared_facts(outcome))}],
    }
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    url = endpoint.url.rstrip("/") + "/chat/completions"
    try:
        with httpx.Client(timeout=endpoint.timeout_s, follow_redirects=False) as client:
            reply = client.post(url, json=body, headers=headers)
            reply.raise_for_status()
            text = reply.json()["choices"][0]["message"]["content"]
    except httpx.HTTPStatusError as problem:
        status = problem.response.status_code
        raise PlanInputError(
            "--explain-url", None, "", f"{url} answered {status}: check URL, model and key"
        ) from problem
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        raise PlanInputError("--explain-url", None, "", f"{url} cannot be reached: {problem}") from problem
    except (ValueError, LookupError, TypeError) as problem:
        raise PlanInputError("--explain-url", None, "", f"{url} did not answer with a chat completion") from problem
    if not isinstance(text, str) or not text.strip():
        raise PlanInputError("--explain-url", None, "", f"{url} answered with an empty text")
    return text.strip()
