"""What is wrong, or worth a word, where a descriptor and a JAR are put together."""

from collections.abc import Mapping

from devserver.model import Diagnostic, Position, Severity

CODES: Mapping[str, str] = {
    "B001": "There is no JAR yet: upm-dev exchanges the descriptor in the one that a build made.",
    "B002": "Two JARs are equally new, so it is not clear which one is the plugin.",
    "B003": "The JAR cannot be used: broken, being written, encrypted, an OBR, too large.",
    "B004": "The root key is not the Atlassian-Plugin-Key of the JAR's manifest: hosts want both.",
    "B005": "A class of the plugin's own packages is not in the JAR: build first.",
    "B006": "A class of the host's is named that the JAR's manifest does not import: build first.",
    "B007": "bundle-instructions have changed, and the JAR has a manifest: they are ignored.",
    "B008": "A ${property} is known neither from pom.xml nor from the JAR: it is sent so.",
    "B009": "A resource was minified or generated: its source is not put in its place.",
    "B010": "Java sources are newer than the JAR: their changes are not in what is installed.",
    "B011": "The JAR is signed; with another descriptor the signature would be wrong, so it goes.",
    "B012": "pom.xml is no good XML: its properties are taken from the JAR as far as possible.",
}
"""What is found when a descriptor and a JAR are put together; `upm-dev explain CODE` prints it."""


def error(code: str, message: str, file: str, fix: str) -> Diagnostic:
    return _diagnostic(code, Severity.ERROR, message, file, fix)


def warning(code: str, message: str, file: str, fix: str) -> Diagnostic:
    return _diagnostic(code, Severity.WARNING, message, file, fix)


def remark(code: str, message: str, file: str, fix: str) -> Diagnostic:
    return _diagnostic(code, Severity.INFO, message, file, fix)


def _diagnostic(code: str, severity: Severity, message: str, file: str, fix: str) -> Diagnostic:
    """About *file* as a whole."""
    return Diagnostic(
        code=code, severity=severity, message=message, position=Position(file), fix=fix
    )
