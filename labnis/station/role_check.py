"""Check whether an instrument, or its class alone, has the methods that a role requires."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol

__all__ = [
    "channels_in_words",
    "filling_channels",
    "may_have_channels",
    "missing_members",
    "missing_names",
    "source_class",
]

NOT_FOUND, UNKNOWN = object(), object()
# More channels are told by the first and the last one.
_FEW = 4


def missing_members(player: Any, protocol: type) -> list[str]:
    """Members of `protocol` that `player` lacks, in the protocol's order.

    No property is evaluated and nothing is called. `isinstance` with a runtime protocol is not used: it evaluates
    properties on some versions of Python and does not see QCoDeS's parameters on others.

    Parameters
    ----------
    player
        An instrument, or its class. For a class, members that its `__init__` may create count as present.
    protocol
        A protocol class: its public methods, properties and annotated attributes are compared, and for methods also
        their arguments.

    Returns
    -------
    list of str
        Such as ``level()`` or, where a method of this name lacks arguments, ``prepare(compliance=…)``; empty if
        nothing is missing.

    """
    found = ((name, asked, _member(player, name)) for name, asked in _members(protocol))
    return [lack for name, asked, member in found if (lack := _lack(name, asked, member))]


def missing_names(kind: type, names: Iterable[str]) -> list[str]:
    """Which of `names`, each dotted or not, an instrument of the class `kind` has not, as far as its class tells."""
    return [name for name in names if _member(kind, name.partition(".")[0]) is NOT_FOUND]


def filling_channels(player: Any, protocol: type) -> list[str]:
    """Names of the channels of `player`, an instrument or its class, that have all members of `protocol`.

    A class shows them if it declares `channel_names` and `channel_class` (`drivers.capabilities.HasChannels`).
    """
    if isinstance(player, type):
        of_each = getattr(player, "channel_class", None)
        fills = of_each is not None and not missing_members(of_each, protocol)
        return [*getattr(player, "channel_names", ())] if fills else []
    parts: Mapping[str, Any] = getattr(player, "submodules", {})
    # A list of channels is one of them for QCoDeS.
    single = {name: part for name, part in parts.items() if not isinstance(part, Sequence)}
    return [name for name, part in single.items() if not missing_members(part, protocol)]


def may_have_channels(player: Any) -> bool:
    """Whether `player`, an instrument of QCoDeS or its class, has submodules, as far as its class tells."""
    if isinstance(player, type):
        return _is_named_at_start(player, "add_submodule")
    return bool(getattr(player, "submodules", {}))


def channels_in_words(names: Sequence[str]) -> str:
    """The key of a role that names one of the channels `names`: "`channel: smua` or `smub`"."""
    first, *others = names
    if len(names) > _FEW:
        return f"`channel: {first}` to `{names[-1]}`"
    return " or ".join([f"`channel: {first}`", *(f"`{name}`" for name in others)])


def source_class(kind: type, channel: str | int | None) -> type:
    """The class of what sources the bias: an instrument of the class `kind`, or one of its channels."""
    found: type = kind if channel is None else getattr(kind, "channel_class", kind)
    return found


def _members(protocol: type) -> Iterator[tuple[str, Any]]:
    """Name and definition of each public member of a protocol and of those that it extends."""
    for kind in reversed(protocol.__mro__):
        if kind not in (object, Generic, Protocol):
            members = {**dict.fromkeys(inspect.get_annotations(kind)), **vars(kind)}
            yield from ((name, asked) for name, asked in members.items() if not name.startswith("_"))


def _member(player: Any, name: str) -> Any:
    """Member `name` of `player`: NOT_FOUND if there is none, UNKNOWN if the class does not show it."""
    member = inspect.getattr_static(player, name, NOT_FOUND)
    if isinstance(player, type):
        return UNKNOWN if member is NOT_FOUND and _may_be_created(player, name) else member
    of_its_own = name in getattr(player, "__dict__", {})
    if member is NOT_FOUND:
        member, of_its_own = getattr(player, name, NOT_FOUND), True  # no property; QCoDeS's parameters by __getattr__
    return staticmethod(member) if of_its_own and inspect.isfunction(member) else member


def _may_be_created(kind: type, name: str) -> bool:
    """Whether an `__init__` names `name`, or attributes are looked up in a way that is not QCoDeS's."""
    lookup = getattr(kind, "__getattr__", None)
    if lookup is not None and not lookup.__module__.startswith("qcodes."):
        return True
    return _is_named_at_start(kind, name)


def _is_named_at_start(kind: type, name: str) -> bool:
    """Whether an `__init__` of the class `kind` names `name`."""
    codes = (getattr(vars(base).get("__init__"), "__code__", None) for base in kind.__mro__)
    return any(name in (*code.co_names, *code.co_consts) for code in codes if code is not None)


def _lack(name: str, asked: Any, member: Any) -> str:
    """Difference between `member` and what is `asked` under `name`; empty if there is none."""
    if not inspect.isfunction(asked):  # a property or an attribute: any value is accepted
        return name if member is NOT_FOUND else ""
    if member is UNKNOWN:
        return ""
    function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
    if not callable(function):
        return f"{name}()" if member is NOT_FOUND else f"{name}() (its attribute is not a method)"
    bound = not inspect.isfunction(member) and not isinstance(member, classmethod)
    return _lacking_arguments(name, asked, function, bound=bound)


def _lacking_arguments(name: str, asked: Callable[..., Any], offered: Callable[..., Any], *, bound: bool) -> str:
    """The call of `asked` that `offered` does not accept; empty if it accepts all."""
    try:
        signature = inspect.signature(offered)
    except (TypeError, ValueError):  # written in C, without a signature
        return ""
    arguments = list(inspect.signature(asked).parameters.values())[1:]
    keywords = [argument.name for argument in arguments if argument.kind is argument.KEYWORD_ONLY]
    positions = [argument.name for argument in arguments if argument.kind is not argument.KEYWORD_ONLY]
    try:
        signature.bind(*([] if bound else [None]), *positions, **dict.fromkeys(keywords))
    except TypeError:
        takes_any = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
        lacking = [] if takes_any else [f"{keyword}=…" for keyword in keywords if keyword not in signature.parameters]
        return f"{name}({', '.join(lacking or [*positions, *(f'{keyword}=…' for keyword in keywords)])})"
    return ""
