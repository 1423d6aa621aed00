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


REMEDIES: Mapping[str, str] = {
    "B001": "atlas-package (mvn package, or gradle assemble), once; the JAR is then found by "
    "itself in target or build/libs. One that lies elsewhere: [app] jar in upm-dev.toml.",
    "B002": 'name one in upm-dev.toml: [app] jar = "target/hello-1.0.jar"; * and ? may be in it.',
    "B003": "build it again, without a password, and name the plugin's own JAR where an OBR was "
    "found. One that is being written is waited for.",
    "B004": "take the key of the manifest, or build first: the key is in the manifest that the SDK "
    "makes, <Atlassian-Plugin-Key> in pom.xml.",
    "B005": "build first, so that the class is in the JAR; or serve with --classes where an IDE "
    "has compiled it into target/classes. Classes in JARs on Bundle-ClassPath count, and names "
    "with bean: are no classes.",
    "B006": "add the package to <Import-Package> (or <DynamicImport-Package>) in pom.xml, and "
    "build: in a JAR with Atlassian-Plugin-Key the host adds no imports of its own.",
    "B007": "write them in pom.xml, <instructions> of the SDK's plugin, and build; only in a JAR "
    "without a manifest of its own does the host read them in the descriptor.",
    "B008": "write the property in pom.xml; or build once where a parent has it that is not on "
    "disk: what the build put in is then read off the JAR.",
    "B009": "build to have it in the JAR. In development the SDK serves resources from the sources "
    "anyway.",
    "B010": "build, or serve with --classes where an IDE compiles.",
    "B011": "nothing, on a host that the SDK has started. Others that check signatures (UPM 8) "
    "need -Datlassian.upm.signature.check.disabled=true.",
    "B012": "mend pom.xml: mvn validate says what is wrong. A DTD in it is not read.",
}
"""What to do about each."""


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
