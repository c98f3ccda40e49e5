"""`python -m mmtf`, the same as the `mmtf` command."""

from mmtf.cli.main import main

if __name__ == "__main__":
    main()
