"""`python -m cdnlab` is `cdnlab`."""

from cdnlab.cli import main

if __name__ == "__main__":
    main()
