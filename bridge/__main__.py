"""``python -m bridge`` is ``triton-bridge``."""

from bridge.cli import main

if __name__ == "__main__":
    main()
