"""Stored personal data: forgetting a person, and rotating the key of the pseudonyms."""

from parc.privacy.forgetting import ForgettingResult, forget, forget_again, forget_restored
from parc.privacy.rotation import RotationResult, rotate

__all__ = ["ForgettingResult", "RotationResult", "forget", "forget_again", "forget_restored", "rotate"]
