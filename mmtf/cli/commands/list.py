"""List what mmtf brings: mmtf list, or mmtf list models

Names and what each is, of models, data sets, flag files and metrics.
"""

import difflib

from mmtf.cli import console
from mmtf.config import flag_files
from mmtf.config.names import DATASETS, MODELS
from mmtf.errors import UserError
from mmtf.metrics.entries import METRICS
from mmtf.report import flagfile


def main(argv):
    wanted = argv[1:] or list(LISTS)
    for name in wanted:
        if name not in LISTS:
            near = difflib.get_close_matches(name, LISTS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UserError(f"mmtf list shows {', '.join(LISTS)}, and no {name!r}.{hint}")
    print("\n\n".join(f"{title}\n{_lines(rows())}" for title, rows in (LISTS[name] for name in wanted)))


def _lines(rows: dict[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(f"  {name.ljust(width)}{text}" for name, text in rows.items())


def _flag_files() -> dict[str, str]:
    return {name: flagfile.header(flag_files.folder() / name).partition(". ")[0] for name in flag_files.names()}


LISTS = {
    "models": ("Models (--model):", lambda: {name: MODELS.summary(name) for name in MODELS}),
    "datasets": ("Data sets (--dataset):", lambda: {name: DATASETS.summary(name) for name in DATASETS}),
    "flagfiles": ("Flag files (--flagfile):", _flag_files),
    "metrics": ("Metrics (metrics.json):", lambda: {key: spec.title for key, spec in METRICS.items() if spec.section}),
}

if __name__ == "__main__":
    console.run(main)
