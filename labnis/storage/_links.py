"""Refusal of what leads out of a run's file: external links, other programs' soft links, data stored in other files.

HDF5 follows them without a word, so a file from elsewhere could show, or let labnis overwrite, any other file.
"""

from typing import Any

import h5py

from labnis.storage.errors import RunFileError

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
    if not isinstance(link, h5py.HardLink):
        raise _refused(group, name, _described(link))
    found = group[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise _refused(group, name, "a dataset whose values are in another file")
    return found


def check_links(file: Any) -> None:
    """Check that everything in a run's open file is in that file.

    Raises
    ------
    RunFileError
        A link leads elsewhere, or the values of a dataset are in another file.

    """

    def check(name: str, link: Any) -> None:
        # Soft links of labnis itself: xarray finds the columns at the root by them, NeXus the data in the entry.
        group, _, last = name.rpartition("/")
        allowed = f"/data/{name}" if not group else "/data" if name == "entry/data" else None
        if not (isinstance(link, h5py.SoftLink) and link.path == allowed):
            member(file[group] if group else file, last)

    file.visititems_links(check)


def _described(link: Any) -> str:
    if isinstance(link, h5py.ExternalLink):
        return f"a link to the file {link.filename!r}"
    return f"a link to {link.path!r}"


def _refused(group: Any, name: str, what: str) -> RunFileError:
    return RunFileError(
        f"{group.file.filename}: {group.name.rstrip('/')}/{name} is {what}, which a run's file never has; it is "
        "refused. Copy what you trust to a new file with h5py."
    )
