"""How things are, in a word and a colour: for the title, the status, a target's path. Pure."""

from dataclasses import dataclass

from devserver.descriptor.visible import one_line
from devserver.events import AppState, State, TargetView
from devserver.model import TargetState

STEPS = (
    TargetState.REGISTERING,
    TargetState.ACCEPTED,
    TargetState.FETCHED,
    TargetState.INSTALLED,
    TargetState.CONFIRMED,
)
GOOD = frozenset({"confirmed", "ready", "running", "genuine"})
BAD = frozenset({"refused", "rejected", "crashed", "forged"})
DOUBTFUL = frozenset({"unconfirmed", "unavailable", "drifted", "restart-needed", "unverifiable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A state on a target's path: reached after so many ms, not (yet), or where it stopped."""

    state: str
    ms: int | None
    reached: bool
    stopped: bool = False


def title(state: State, view: str = "") -> str:
    """What a tab in the background says: how things are, and which *view* it has."""
    mood, words = standing(state)
    mark = {"good": "✓ ", "bad": "✗ "}.get(mood, "")
    return " – ".join(filter(None, (f"{mark}{words}", view, "upm-dev")))


def standing(state: State) -> tuple[str, str]:
    """How things are, as the colour and the words of the worst there is."""
    name = state.published.revision if state.published else ""
    if state.withheld:
        return "bad", f"withheld, {f'still serving {name}' if name else 'nothing to serve yet'}"
    states = [_now(each, name) for each in state.targets.values() if each.url]
    tints = {tint(each) for each in states}
    mood = next((each for each in ("bad", "doubtful", "busy", "good") if each in tints), "busy")
    crashed = state.app is not None and state.app.state == AppState.CRASHED
    app = ", app crashed" if crashed else ""
    if not name or not states:
        return ("bad" if crashed else "busy"), f"starting{app}"
    word = next(each for each in states if tint(each) == mood)
    many = f" on {states.count(word)} of {len(states)}" if len(states) > 1 else ""
    if mood == "busy" and word != TargetState.UNREGISTERED:
        word = "on its way"
    return ("bad" if crashed else mood), f"{name} {word}{many}{app}"


def _now(view: TargetView, revision: str) -> str:
    """The state of *view*; what it was with an earlier revision says nothing of this one."""
    of = view.last.revision if view.last else None
    if of in (None, revision) or view.state is TargetState.UNREGISTERED:
        return view.state.value
    return TargetState.WAITING.value


def notice(state: State) -> tuple[str, str]:
    """The newest notice, as what tells it from the one before and what is said of it."""
    if not state.notices:
        return "", ""
    newest = state.notices[-1]
    remedy = f": {newest.remedy}" if newest.remedy else ""
    return newest.time.isoformat(), one_line(f"{newest.message}{remedy}")


def steps(view: TargetView) -> tuple[Step, ...]:
    """The path of the newest attempt: what was reached and when, and what is still ahead."""
    gone = view.state is TargetState.UNREGISTERED
    reached = {} if gone else {each.state: each for each in view.path}
    last = max((index for index, each in enumerate(STEPS) if each in reached), default=-1)
    troubled = tint(view.state.value) in ("bad", "doubtful")
    return tuple(
        Step(
            state=each.value,
            ms=reached[each].ms if each in reached else None,
            reached=index <= last,
            stopped=troubled and index == last + 1,
        )
        for index, each in enumerate(STEPS)
    )


def tint(word: str) -> str:
    """The colour of a state: good, bad, doubtful, or busy for what is on its way."""
    for name, words in (("good", GOOD), ("bad", BAD), ("doubtful", DOUBTFUL)):
        if word in words:
            return name
    return "busy"


def address(state: State) -> str:
    """Where our public port is, as targets are told: without a slash at the end."""
    return state.started.urls.get("descriptor", "").rpartition("/")[0] if state.started else ""
