"""Stored personal data: forgetting a person, and rotating the key of the pseudonyms."""

from parc.privacy.forgetting import Forgotten, forget, forget_again
from parc.privacy.rotation import Rotated, rotate

__all__ = ["Forgotten", "Rotated", "forget", "forget_again", "rotate"]
