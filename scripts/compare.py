"""The same as `mmtf compare`, for a checkout."""

from mmtf.cli import main

if __name__ == "__main__":
    main.run("compare")
