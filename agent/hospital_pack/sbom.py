"""The software inside, as CycloneDX 1.6 (ECMA-424): this product, all it needs here, its model."""

from collections.abc import Iterator
from importlib import metadata

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from agent.model_toml import ModelDescription

PRODUCT = "neurosieve"
_EXTRAS = ("", "train", "otel", "s3")  # what an installation may have beside the node
_LONGEST_LICENCE = 100  # longer ones are the text itself


def make(model: ModelDescription) -> str:
    """The bill of materials as JSON."""
    bom = Bom()
    product = _component(metadata.distribution(PRODUCT), ComponentType.APPLICATION)
    needed = [_component(metadata.distribution(name)) for name in installed()]
    network = Component(
        name=model.name,
        version=model.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"{model.name}@{model.version}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=model.digest)],
    )
    bom.metadata.component = product
    bom.components.update([*needed, network])
    bom.register_dependency(product, [*needed, network])
    return str(JsonV1Dot6(bom).output_as_string(indent=1))


def installed() -> list[str]:
    """Every installed package that the product needs, directly or through others, by name."""
    found: set[str] = set()
    waiting = [(PRODUCT, extra) for extra in _EXTRAS]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        for wanted in _needs(name, extra):
            further = {(wanted[0], one) for one in ("", *wanted[1])} - seen
            seen |= further
            waiting += further
            found.add(wanted[0])
    return sorted(found - {PRODUCT})


def _needs(name: str, extra: str) -> Iterator[tuple[str, set[str]]]:
    """What a package asks for in this environment and is here: names and their extras."""
    for line in metadata.distribution(name).requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            try:
                metadata.distribution(wanted.name)
            except metadata.PackageNotFoundError:
                continue  # of an extra that is not installed
            yield canonicalize_name(wanted.name), wanted.extras


def _component(
    package: metadata.Distribution, kind: ComponentType = ComponentType.LIBRARY
) -> Component:
    name = canonicalize_name(package.name)
    licence = _licence(package)
    return Component(
        name=name,
        version=package.version,
        type=kind,
        purl=PackageURL("pypi", None, name, package.version),
        bom_ref=f"{name}=={package.version}",
        licenses=[LicenseFactory().make_from_string(licence)] if licence else (),
    )


def _licence(package: metadata.Distribution) -> str:
    """An SPDX expression where the package has one, else what its headers say."""
    head = package.metadata
    said = head.get_all("License-Expression") or head.get_all("License") or [""]
    plain = str(said[0]).strip()
    if plain and len(plain) <= _LONGEST_LICENCE and "\n" not in plain:
        return plain
    classes = [
        one.rpartition(" :: ")[2]
        for one in head.get_all("Classifier") or ()
        if one.startswith("License :: ") and one.count(" :: ") > 1
    ]
    return ", ".join(classes)
