"""For all tests."""

from hypothesis import settings

# Machines that run tests are noisy: how long an example takes says nothing about the rule that it tests.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")
