"""Everything foreseeable that can go wrong, one class per reaction of the caller.

::

    StewardError                      exit code 1
    ├── UsageError                    2   wrong words on the command line, or a missing extra
    │   └── MissingExtraError             install the named extra
    ├── SnapshotError                 3   a source could not be taken in whole
    │   ├── SchemaMismatchError           mapping and data disagree
    │   ├── EncodingUnknownError          say which encoding the file has
    │   ├── IncompleteSnapshotError       resolve the rejected lines first
    │   └── IntegrityError                the workspace is not what was written
    ├── ScoringError                  4
    │   ├── TooManyPairsError             narrow the blocking rule
    │   └── SuiteInvalidError             mend the suite file
    ├── DecisionError                 5
    │   ├── ConflictingDecisionsError     a named person must resolve it
    │   └── StaleDecisionError            look at the new evidence first
    ├── PolicyError                   6
    │   ├── PolicyInvalidError            mend the policy file
    │   ├── ProtectedError                the record must stay
    │   └── LimitExceededError            split, or have more people approve
    ├── ManifestError                 7
    │   ├── MalformedManifestError        not written by a steward tool, or damaged
    │   ├── UnknownFieldError             written by a newer tool
    │   ├── NotYetValidError              wait for ``not_before``
    │   ├── ExpiredError                  propose again
    │   ├── WrongTargetError              meant for another tenant, source or environment
    │   └── AlreadyAppliedError           a manifest runs once
    ├── TrustError                    8
    │   ├── BadSignatureError
    │   ├── ThresholdNotMetError          more distinct people must sign
    │   ├── UntrustedKeyError
    │   ├── WrongPayloadTypeError
    │   ├── WeakKeyError                  make a new key
    │   └── VetoedError
    ├── CrmError                      9
    │   ├── UnavailableError              retry later (reads only)
    │   ├── ThrottledError                retry after ``retry_after`` seconds
    │   ├── DeniedError
    │   ├── NotFoundError                 positive evidence of absence
    │   ├── RecordChangedError
    │   └── OutcomeUnknownError           settle by reading, never by repeating
    └── ExecutionError                10
        ├── PartialExecutionError         11  run again; it resumes
        ├── BreakerTrippedError           12  a person must look
        ├── FrozenError                   13
        ├── JournalCorruptError           14
        ├── BackupUnreadableError         15
        └── RestoreConflictError          16

Mistakes of the caller stay ``TypeError`` and ``ValueError``. An error carries an English ``template``, its ``facts``
and a ``next_step``; screens translate both templates. Facts never hold personal data beyond a record key.
"""

from __future__ import annotations

from typing import ClassVar

from steward.messages import N_


class _Facts(dict[str, object]):
    """Facts for ``str.format_map``: an absent name stays visible instead of raising inside an error."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


class StewardError(Exception):
    """Base of all foreseeable failures.

    Parameters
    ----------
    template : str
        English sentence with ``{name}`` places, marked with :func:`steward.messages.N_`.
    next_step : str
        What the reader can do about it; a template as well. Empty where nothing can be done.
    **facts
        Values for the places; also attributes of ``facts``. Never personal data beyond a record key.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, template: str, /, *, next_step: str = "", **facts: object) -> None:
        self.template = template
        self.next_step = next_step
        self.facts = facts
        super().__init__(self.render())

    def render(self, translate: object = None) -> str:
        """Return the sentence and the next step, translated by ``translate`` (a callable) where given."""
        say = translate if callable(translate) else str
        facts = _Facts({name: printable(value) for name, value in self.facts.items()})
        parts = [str(say(part)).format_map(facts) for part in (self.template, self.next_step) if part]
        return " ".join(parts)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows for this error: the sentence alone. IPython asks for it by this name."""
        return [f"{type(self).__name__}: {self.render()}"]


def printable(value: object, limit: int = 200) -> str:
    """Return ``value`` as one line that is safe on a terminal and in a log.

    Control characters, bidirectional overrides and zero-width characters become ``\\uXXXX``; the text is cut at
    ``limit`` characters. A hostile file name or column header cannot move the cursor or forge a log line.
    """
    text = str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(c if _is_plain(c) else f"\\u{ord(c):04x}" for c in text)


def _is_plain(char: str) -> bool:
    code = ord(char)
    if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code <= 0xDFFF:
        return False
    return not (0x200B <= code <= 0x200F or 0x2028 <= code <= 0x202E or 0x2060 <= code <= 0x2069 or code == 0xFEFF)


class UsageError(StewardError):
    """The command or the call was worded wrongly; nothing was done."""

    exit_code = 2


class MissingExtraError(UsageError):
    """A part of steward needs packages that the base installation leaves out."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            N_("This needs the package {package}, which is not installed."),
            next_step=N_("Install it with: pip install 'steward[{extra}]'."),
            extra=extra,
            package=package,
        )


class SnapshotError(StewardError):
    """A source could not be taken in whole."""

    exit_code = 3


class SchemaMismatchError(SnapshotError):
    """Mapping and data disagree about objects, columns or types."""


class EncodingUnknownError(SnapshotError):
    """The characters of a file could be read in several ways, or in none."""


class IncompleteSnapshotError(SnapshotError):
    """The snapshot has rejects or a partial read, so nothing may be deleted from it."""


class IntegrityError(SnapshotError):
    """What is stored is not what was written: a digest differs."""


class ScoringError(StewardError):
    """Evidence could not be computed."""

    exit_code = 4


class TooManyPairsError(ScoringError):
    """A blocking rule would compare more pairs than the limit."""


class SuiteInvalidError(ScoringError):
    """A suite of expectations cannot be read whole."""


class DecisionError(StewardError):
    """A decision cannot be recorded or used."""

    exit_code = 5


class ConflictingDecisionsError(DecisionError):
    """Two reviewers decided differently and nobody resolved it."""


class StaleDecisionError(DecisionError):
    """The evidence changed after the decision was made."""


class PolicyError(StewardError):
    """Policy forbids what was asked."""

    exit_code = 6


class PolicyInvalidError(PolicyError):
    """The policy file is absent, empty or wrong; nothing is allowed without one."""


class ProtectedError(PolicyError):
    """A protection keeps the record."""


class LimitExceededError(PolicyError):
    """More would be deleted than a limit allows; a missing limit counts as zero."""


class ManifestError(StewardError):
    """The manifest cannot be used."""

    exit_code = 7


class MalformedManifestError(ManifestError):
    """Bytes that a steward tool would not have written."""


class UnknownFieldError(ManifestError):
    """A field this version does not know; it might restrict, so it refuses."""


class NotYetValidError(ManifestError):
    """The grace period has not passed."""


class ExpiredError(ManifestError):
    """The manifest, key, trust store or snapshot is too old."""


class WrongTargetError(ManifestError):
    """Written for another tenant, source or environment."""


class AlreadyAppliedError(ManifestError):
    """The replay ledger knows this manifest as finished."""


class TrustError(StewardError):
    """The envelope is not approved by the people it needs."""

    exit_code = 8


class BadSignatureError(TrustError):
    """A signature does not match the bytes."""


class ThresholdNotMetError(TrustError):
    """Fewer distinct people with the right role have signed than the policy asks."""


class UntrustedKeyError(TrustError):
    """A key is unknown, revoked, out of its time, or under two names."""


class WrongPayloadTypeError(TrustError):
    """The envelope holds another kind of document."""


class WeakKeyError(TrustError):
    """The key file's protection is too weak to load."""


class VetoedError(TrustError):
    """Someone entitled has vetoed the manifest."""


class CrmError(StewardError):
    """The CRM did not do what was asked."""

    exit_code = 9


class UnavailableError(CrmError):
    """No answer, or a server error; a read may be tried again."""


class ThrottledError(CrmError):
    """The CRM asks to wait; ``facts['retry_after']`` seconds where it says so."""


class DeniedError(CrmError):
    """The credential may not do this."""


class NotFoundError(CrmError):
    """The CRM says positively that the record is not there."""


class RecordChangedError(CrmError):
    """A conditional write was refused because the record is not as it was."""


class OutcomeUnknownError(CrmError):
    """A write was sent and its result is not known; read to settle it."""


class ExecutionError(StewardError):
    """The executor stopped."""

    exit_code = 10


class PartialExecutionError(ExecutionError):
    """Some items are done and some are not; the journal knows which."""

    exit_code = 11


class BreakerTrippedError(ExecutionError):
    """Too many errors, drifts or absences: a person must look before it goes on."""

    exit_code = 12


class FrozenError(ExecutionError):
    """A freeze switch is set."""

    exit_code = 13


class JournalCorruptError(ExecutionError):
    """Journal and backup disagree; continuing could lose records."""

    exit_code = 14


class BackupUnreadableError(ExecutionError):
    """A backup could not be read back, so nothing was deleted."""

    exit_code = 15


class RestoreConflictError(ExecutionError):
    """People have made or changed records since; nothing of theirs is overwritten."""

    exit_code = 16
