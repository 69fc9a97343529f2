"""The rules between fields that JSON Schema has no keyword for, declared in the schemas as `x-` keywords."""

from typing import Any

MEMBER_OF = "x-memberOf"
UNIQUE_BY = "x-uniqueBy"


class MemberOf:
    """`x-memberOf: {"a": "b"}`: property `a` is one of the items of `b`, unless `b` is empty or no array."""

    def __init__(self, _parent: dict[str, Any], value: dict[str, str], _path: list[str | int]) -> None:
        self._array_of = value

    def validate(self, instance: Any) -> None:
        """Raise ValueError with the name of the property that is no member, which the schema declares."""
        if not isinstance(instance, dict):
            return
        for name, array in self._array_of.items():
            items = instance.get(array)
            if isinstance(items, list) and items and name in instance and instance[name] not in items:
                raise ValueError(name)


class UniqueBy:
    """`x-uniqueBy: "a"`: no two objects of the array have the same string in property `a`."""

    def __init__(self, _parent: dict[str, Any], value: str, _path: list[str | int]) -> None:
        self._property = value

    def validate(self, instance: Any) -> None:
        """Raise ValueError with the name of the property, which the schema declares."""
        if not isinstance(instance, list):
            return
        found = [item.get(self._property) for item in instance if isinstance(item, dict)]
        # What is not a string is refused by its type; only strings are compared.
        strings = [value for value in found if isinstance(value, str)]
        if len(set(strings)) < len(strings):
            raise ValueError(self._property)


KEYWORDS: dict[str, type[MemberOf | UniqueBy]] = {MEMBER_OF: MemberOf, UNIQUE_BY: UniqueBy}
