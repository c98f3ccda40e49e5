"""The same as `mmtf sweep`, for a checkout."""

from mmtf.cli import main

if __name__ == "__main__":
    main.run("sweep")
