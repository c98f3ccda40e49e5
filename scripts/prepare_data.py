"""The same as `mmtf prepare`, for a checkout."""

from mmtf.cli import main

if __name__ == "__main__":
    main.run("prepare")
