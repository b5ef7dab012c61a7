"""Writes the software bill of materials (CycloneDX 1.6, JSON) of a hashed lock: `make sbom`.

It has one component per line of the lock, with the hashes of its files, and its marker as the property
`parc:marker`. The same lock gives the same bytes: there is no timestamp, serial number or registry
address in it.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from pip_requirements_parser import InstallRequirement, RequirementsFile

VERSION = SchemaVersion.V1_6
_HASHES = HashTypeFactory()


def main(lock: Path, written: Path) -> None:
    """Write the bill of `lock` to `written`. Raises SystemExit if a line is not pinned and hashed."""
    found = RequirementsFile.from_file(str(lock))
    if found.invalid_lines:
        line = found.invalid_lines[0].line
        raise SystemExit(f"{lock}: cannot read {line!r}; write the lock again with `make lock`")
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    bom = Bom(components=[_component(lock, each) for each in found.requirements])
    bom.serial_number = bom.metadata.timestamp = None  # type: ignore[assignment]
    bom.metadata.component = Component(
        type=ComponentType.APPLICATION,
        name=project["name"],
        version=project["version"],
        bom_ref=project["name"],
    )
    text = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2)
    if error := JsonStrictValidator(VERSION).validate_str(text):
        raise SystemExit(f"{lock}: its bill is not valid CycloneDX: {error}")
    written.write_text(text + "\n")
    print(f"{written}: {len(bom.components)} components")


def _component(lock: Path, line: InstallRequirement) -> Component:
    version = line.get_pinned_version
    if not (version and line.hash_options):
        raise SystemExit(
            f"{lock}: {line.name} is not pinned with a hash; write the lock again with `make lock`"
        )
    purl = PackageURL("pypi", None, canonicalize_name(line.name), version)
    return Component(
        type=ComponentType.LIBRARY,
        name=line.name,
        version=version,
        purl=purl,
        bom_ref=purl.to_string(),
        hashes=[_HASHES.from_composite_str(each) for each in line.hash_options],
        properties=[Property(name="parc:marker", value=str(line.marker))] if line.marker else [],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
