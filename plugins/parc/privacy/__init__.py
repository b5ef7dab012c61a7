"""What is stored of people: one person is forgotten, and the keys of all pseudonyms are changed."""

from parc.privacy.forgetting import Forgotten, forget, forget_again
from parc.privacy.rotation import Rotated, rotate

__all__ = ["Forgotten", "Rotated", "forget", "forget_again", "rotate"]
