"""`python -m pypicache`: the same as the console script."""

from pypicache.cli import main

if __name__ == "__main__":
    main()
