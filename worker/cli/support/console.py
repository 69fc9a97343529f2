"""Where rich draws for a command: a console that takes content for content."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from tasks.operations.visible import visible


class ContentConsole(Console):
    """A console on which no text is markup, an emoji's name or a control sequence.

    rich itself takes square brackets for markup, and hands escapes on.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return `text`, made visible before its width is measured."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Draw `renderable`; whatever text it is made of leaves as visible text."""
        if isinstance(renderable, Text) and not renderable.plain.isprintable():
            # A newline in it is content; those that come out of it are the ends of its lines.
            renderable = renderable.copy()
            renderable.plain = visible(renderable.plain)
        for each in super().render(renderable, options):
            lines = "\n".join(map(visible, each.text.split("\n")))
            yield each if each.control else Segment(lines, each.style)


def words(text: str, style: str = "") -> Text:
    """Return `text`, made visible, in a style of rich's."""
    return Text(visible(text), style=style)
