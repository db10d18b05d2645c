"""Who works on a review and as what, from a small file: ``people.toml`` in the workspace, or the file that ``STEWARD_PEOPLE`` names.

::

    reviewer = "anna"            # who reviews where nobody is named; may be left out

    [people]
    anna = "analyst"             # decides
    lena = "lead"                # decides, draws samples and checks the work of others
    sten = "steward"             # looks, and signs elsewhere; decides nothing

Without a file everybody may do everything, as before there was one. With one, whoever is not in it may not review, and a word
that is not known refuses. It keeps people from taking the wrong seat; what makes a deletion binding are the signatures.

Left to others: keys and who may sign what (``steward.signing.trust``), the panel.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import msgspec

from steward.errors import UsageError
from steward.manifest_files import read_file
from steward.messages import N_

Role = Literal["analyst", "lead", "steward"]
ROLES: tuple[Role, ...] = get_args(Role)
FILE = "people.toml"
VARIABLE = "STEWARD_PEOPLE"


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    people: dict[str, str]
    reviewer: str | None = None


@dataclass(frozen=True, slots=True)
class People:
    """The people of a review.

    Attributes
    ----------
    roles : mapping of str to Role
        Name → role; empty where there is no file, and then everybody may do everything.
    reviewer : str or None
        Who reviews where nobody is named.
    file : Path or None
        None where there is no file.
    """

    roles: Mapping[str, Role] = field(default_factory=dict)
    reviewer: str | None = None
    file: Path | None = None

    def role(self, name: str) -> Role | None:
        """Return the role of a person; None where there is no file.

        Raises
        ------
        UsageError
            The file does not name the person.
        """
        if self.file is None:
            return None
        if name not in self.roles:
            raise UsageError(
                N_("{file} names no role for {person}."),
                next_step=N_("Add the person below [people] as one of: {roles}."),
                file=self.file.name, person=name, roles=", ".join(ROLES),
            )  # fmt: skip
        return self.roles[name]

    def check(self, name: str) -> None:
        """Refuse a person who may not check the work of others.

        Raises
        ------
        UsageError
        """
        role = self.role(name)
        if role not in (None, "lead"):
            raise UsageError(N_("{person} is {role}; only a lead checks the work of others."), person=name, role=role)

    def looks_only(self, name: str) -> bool:
        """Tell whether a person may look and not decide.

        Raises
        ------
        UsageError
            The file does not name the person.
        """
        return self.role(name) == "steward"


def people_of(workspace: Path) -> People:
    """Read who works on the review of a workspace.

    Raises
    ------
    UsageError
        The file is not as described above, or names a role that does not exist.
    MalformedManifestError
        ``STEWARD_PEOPLE`` names no regular file, or one of more than 64 KiB.
    """
    named = os.environ.get(VARIABLE)
    file = Path(named) if named else workspace / FILE
    if not named and not os.path.lexists(file):
        return People()
    try:
        found = msgspec.convert(tomllib.loads(read_file(file, limit=1 << 16, empty=True).decode("utf-8")), _File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UsageError(N_("{file} is not a TOML file."), file=file.name) from None
    except msgspec.ValidationError as error:
        raise UsageError(N_("{file}: {problem}"), file=file.name, problem=str(error)) from None
    roles: dict[str, Role] = {}
    for name, role in found.people.items():
        if role not in ROLES:
            raise UsageError(
                N_("{file}: there is no role {role}; there are: {roles}."), file=file.name, role=role, roles=", ".join(ROLES)
            )
        roles[name] = role
    return People(roles, found.reviewer, file)
