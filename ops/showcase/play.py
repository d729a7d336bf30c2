"""Play every scene of the showcase on a stack of the demo, and tell what was expected and what came."""

import inspect

from rich.console import Console

from ops.showcase import coupon_scenes, giving_scenes, window_scenes
from ops.showcase.cast import Beat, Cast

SCENES = (*coupon_scenes.SCENES, *giving_scenes.SCENES, *window_scenes.SCENES)


def play(base_url: str, console: Console) -> list[str]:
    """Play them all; a sentence for each thing that came otherwise than expected."""
    cast = Cast.signed_in(base_url)
    wrong = []
    try:
        for number, scene in enumerate(SCENES, start=1):
            told = inspect.getdoc(scene)
            _print(console, f"{number}. {told}")
            for beat in scene(cast):
                _print(console, _line(beat))
                if not beat.holds:
                    wrong.append(
                        f"{scene.__name__}: {beat.did}: expected {beat.expected}, got {beat.came}"
                    )
    finally:
        cast.close_books()
    return wrong


def _line(beat: Beat) -> str:
    if beat.holds:
        return f"   ok     {beat.did}: {beat.came}"
    return f"   WRONG  {beat.did}: expected {beat.expected}, got {beat.came}"


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)
