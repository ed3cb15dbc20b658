"""Refusal of what leads out of a run's file: external links, other programs' soft links, data stored in other files.

HDF5 follows them without a word, so a file from elsewhere could show, or let labnis overwrite, any other file.
"""

from typing import Any

import h5py

from labnis.storage.errors import DAMAGE, RunFileError

__all__ = ["check_links", "member"]


def member(group: Any, name: str) -> Any:
    """Look up `name` in an open group, only if it is in the same file.

    Raises
    ------
    KeyError
        There is none.
    RunFileError
        It is a link, or its values are in another file.

    """
    link = group.get(name, getlink=True)
    if link is None:
        raise KeyError(f"it has no {group.name.rstrip('/')}/{name}")
    if foreign := _foreign(group, name, link):
        raise _refused(group.file, f"{group.name.rstrip('/')}/{name}", foreign)
    return group[name]


def check_links(file: Any) -> None:
    """Check that everything in a run's open file is in that file.

    Raises
    ------
    RunFileError
        A link leads elsewhere, or the values of a dataset are in another file.
    Any of DAMAGE
        Something in the file cannot be read.

    """

    def first_fault(name: str, link: Any) -> Exception | None:
        # Soft links of labnis itself: xarray finds the columns at the root by them, NeXus the data in the entry.
        allowed = "/data" if name == "entry/data" else None if "/" in name else f"/data/{name}"
        if isinstance(link, h5py.SoftLink) and link.path == allowed:
            return None
        try:
            foreign = _foreign(file, name, link)
        except DAMAGE as error:
            return error
        return _refused(file, f"/{name}", foreign) if foreign else None

    # h5py passes on what the function returns, but not what it raises.
    if fault := file.visititems_links(first_fault):
        raise fault


def _foreign(group: Any, name: str, link: Any) -> str:
    """Description of what leads out of the file; empty if nothing does."""
    if isinstance(link, h5py.ExternalLink):
        return f"a link to the file {link.filename!r}"
    if isinstance(link, h5py.SoftLink):
        return f"a link to {link.path!r}"
    found = group[name]
    outside = isinstance(found, h5py.Dataset) and (found.external or found.is_virtual)
    return "a dataset whose values are in another file" if outside else ""


def _refused(file: Any, name: str, what: str) -> RunFileError:
    return RunFileError(
        f"{file.filename}: {name} is {what}, which a run's file never has; it is refused. Copy what you trust to a new "
        "file with h5py."
    )
