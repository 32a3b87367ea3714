"""Docstrings of the public face follow the numpy convention, and name exactly the parameters there are."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

from numpydoc.validate import validate

import distill_lib

# Summary, parameters and returns; the codes are numpydoc's.
CHECKS = {"GL03", "GL06", "GL07", "GL08", "GL10", "PR01", "PR02", "PR03", "PR10", "RT01", "SS03", "SS06"}
ELSEWHERE = {
    **{
        f"distill_lib.cli.{name}": "its parameters are documented in the help texts of the commands"
        for name in ("fitting", "plans", "tables", "training")
    },
    "distill_lib.scaling.formulas": "kept short for the browser; laws, architecture and planning document it",
}


def public_objects() -> Iterator[tuple[str, str]]:
    """Name every public function, class, method and property that the library defines, with its kind."""
    for module_info in pkgutil.walk_packages(distill_lib.__path__, "distill_lib."):
        name = module_info.name
        if name in ELSEWHERE or any(part.startswith("_") for part in name.split(".")):
            continue
        for key, value in vars(importlib.import_module(name)).items():
            if key.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isfunction(value):
                yield f"{name}.{key}", "function"
            elif inspect.isclass(value):
                yield f"{name}.{key}", "class"
                for member, found in vars(value).items():
                    if not member.startswith("_") and inspect.isfunction(found):
                        yield f"{name}.{key}.{member}", "function"
                    elif not member.startswith("_") and isinstance(found, property):
                        yield f"{name}.{key}.{member}", "property"


# A class may list attributes instead of parameters; a property is described as the value it is.
NOT_FOR = {"function": set(), "class": {"PR01"}, "property": {"RT01"}}


def main() -> int:
    """Check all; one line for each problem."""
    names = list(public_objects())
    found = [
        f"{name}: {code} {text}"
        for name, kind in names
        for code, text in validate(name)["errors"]
        if code in CHECKS - NOT_FOR[kind]
    ]
    print("\n".join(found) or f"{len(names)} public docstrings in order")
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
