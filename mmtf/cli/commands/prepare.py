"""Prepares features that a data set is made of: mmtf prepare cub --data_dir=FOLDER"""

from mmtf import config
from mmtf.cli import console
from mmtf.data.preparation import prepare
from mmtf.errors import UserError

config.define_flags([prepare.PrepareConfig])


def main(argv):
    if tuple(argv[1:]) not in [(name,) for name in prepare.DATASETS]:
        raise UserError(
            f"Name one data set to prepare, of {', '.join(prepare.DATASETS)}, as in 'mmtf prepare cub "
            f"--data_dir=FOLDER', not {' '.join(argv[1:]) or 'none'!r}."
        )
    how = config.read_flags(prepare.PrepareConfig)
    console.load_tensorflow()
    path, record = prepare.prepare(how)
    print(prepare.summary(record))
    print(f"Prepared features: {path}")
    where = f" --features_dir={how.features_dir}" if how.features_dir else ""
    folder = f" --data_dir={how.data_dir}" if how.data_dir else ""
    print(f"Next: mmtf train --flagfile=cub/mmjsd_ms.cfg{folder}{where} --run_dir=runs/cub")


if __name__ == "__main__":
    console.run(main)
