"""JARs and OBRs, made in memory."""

import io
import zipfile


def jar(
    key: str,
    version: str = "1.0",
    *,
    modules: str = '<web-item key="item"/>',
    extra: dict[str, bytes] | None = None,
    plugins_version: str = "2",
) -> bytes:
    """A plugin's JAR with a descriptor, and *extra* entries."""
    descriptor = (
        f'<atlassian-plugin key="{key}" name="A JAR" plugins-version="{plugins_version}">'
        f"<plugin-info><version>{version}</version></plugin-info>{modules}</atlassian-plugin>"
    )
    return archive({"atlassian-plugin.xml": descriptor.encode(), **(extra or {})})


def archive(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return buffer.getvalue()
