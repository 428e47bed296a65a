"""The README's reader has run the demo."""

from tests.e2e.conftest import finished, served

__all__ = ["finished", "served"]
