"""What the user of a sampler believes of parameters: weights of their levels, or a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsice.errors import InvalidInput
from dsice.optuna.levels import Levels
from dsice.optuna.space import Space
from dsice.search.beliefs import around, shares_of

Beliefs = Mapping[str, Sequence[float] | Mapping[str, Any]]

_KEYS = ("expect", "weights")


def check(beliefs: Any) -> dict[str, Sequence[float] | Mapping[str, Any]]:
    """Return ``beliefs`` if they have the right form.

    Raises:
        InvalidInput: they have not.
    """
    if not isinstance(beliefs, Mapping):
        raise InvalidInput(
            f"beliefs = {beliefs!r}: a dict by parameter is needed, "
            "{'tile': {'expect': 16}, 'unroll': [1, 2, 8]}"
        )
    for name, said in beliefs.items():
        is_list = isinstance(said, Sequence) and not isinstance(said, str)
        is_table = isinstance(said, Mapping) and len(said) == 1 and next(iter(said)) in _KEYS
        if not is_list and not is_table:
            raise InvalidInput(
                f"beliefs of {name!r}: {said!r} is neither a list of weights of all levels nor "
                "{'weights': [...]} nor {'expect': value}"
            )
    return dict(beliefs)


def require_known(beliefs: Beliefs, space: Space) -> None:
    """Refuse beliefs that do not fit a space in which all parameters are known.

    Raises:
        InvalidInput: a parameter is not there, or its weights or its value do not fit its levels.
    """
    for name, said in beliefs.items():
        if name not in space:
            known = ", ".join(space.levels)
            raise InvalidInput(f"beliefs: there is no parameter {name!r}: there are {known}")
        weights_of(name, said, space.levels[name])


def for_search(beliefs: Beliefs, space: Space) -> dict[str, list[float]]:
    """Beliefs in the form for `dsice.make_search`; those of unknown parameters are left out.

    Raises:
        InvalidInput: the weights or the value of a parameter do not fit its levels.
    """
    return {
        axis.name: weights_of(name, beliefs[name], levels)
        for axis, (name, levels) in zip(space.grid.axes, space.levels.items(), strict=True)
        if name in beliefs
    }


def weights_of(name: str, said: Sequence[float] | Mapping[str, Any], levels: Levels) -> list[float]:
    """The weights of the levels of a parameter.

    Raises:
        InvalidInput: there is another number of weights than levels, they are invalid, or the
            expected value is no value of the parameter.
    """
    if isinstance(said, Mapping) and "expect" in said:
        at = levels.index(said["expect"])
        if at is None:
            ends = f"{levels.value(0)!r} to {levels.value(levels.count - 1)!r}"
            raise InvalidInput(
                f"beliefs of {name!r}: the expected value {said['expect']!r} is none of its "
                f"{levels.count} levels, {ends}"
            )
        return around(at, levels.count, levels.ordered)
    weights = said["weights"] if isinstance(said, Mapping) else said
    return [float(share) for share in shares_of(name, levels.count, weights)]
