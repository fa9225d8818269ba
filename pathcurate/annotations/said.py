"""What a file of shapes says beside them: of which slide it is, and who drew it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pathcurate.annotations.shapes import DamagedError

IMAGES: Final = ("image", "imageName", "image_name")
ANNOTATORS: Final = ("annotator", "author", "creator", "user")
"""Members that name who drew a shape."""
_IMAGE_MEMBERS: Final = frozenset(name.casefold() for name in (*IMAGES, "imagePath", "image_path", "imageUri"))
_PEOPLE_MEMBERS: Final = frozenset(
    (*ANNOTATORS, "owner", "reviewer", "createdby", "created_by", "username", "user_name", "modifiedby", "pathologist")
)
_OWN: Final = frozenset({"childobjects"})
_DEEPEST: Final = 12
_MOST_IMAGES: Final = 64
_MOST_PEOPLE: Final = 1000
_LONGEST: Final = 4096


@dataclass(slots=True)
class Said:
    """What was heard.

    Attributes:
        images: what each place that names the slide says: one text, or those of an address and its title.
        people: names of whoever drew or looked.
    """

    images: set[tuple[str, ...]] = field(default_factory=set)
    people: set[str] = field(default_factory=set)

    def hear(self, thing: object) -> None:
        """Look for slides and people in a value, whatever holds them.

        Raises:
            DamagedError: there are more of them than one file can have.
        """
        waiting = [(thing, 0)]
        while waiting:
            item, depth = waiting.pop()
            if depth > _DEEPEST:
                raise DamagedError("nests too deeply")
            if isinstance(item, list):
                # Of long lists there are only those of numbers.
                waiting += ((part, depth + 1) for part in item if isinstance(part, dict | list))
            elif isinstance(item, dict):
                self._members(item)
                waiting += (
                    (part, depth + 1)
                    for name, part in item.items()
                    if isinstance(part, dict | list) and name.casefold() not in _OWN
                )

    def _members(self, item: Mapping[str, Any]) -> None:
        for name, value in item.items():
            known = name.casefold()
            if known in _IMAGE_MEMBERS:
                texts = tuple(sorted(set(_texts(value))))
                if texts:
                    self.images.add(texts)
            elif known in _PEOPLE_MEMBERS:
                self.people.update(_texts(value))
        if len(self.images) > _MOST_IMAGES:
            raise DamagedError("names more slides than one")
        if len(self.people) > _MOST_PEOPLE:
            raise DamagedError(f"names more than {_MOST_PEOPLE:,} people")


def _texts(value: object) -> Iterator[str]:
    """The texts in a value, two levels deep."""
    if isinstance(value, dict):
        value = list(value.values())
    for part in value if isinstance(value, list) else [value]:
        inner = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else [part]
        for text in inner:
            if isinstance(text, str) and text.strip():
                yield text.strip()[:_LONGEST]
