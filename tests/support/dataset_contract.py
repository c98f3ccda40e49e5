"""What every data set keeps to, whatever it is of."""

import numpy as np
import pytest

from mmtf.models.checks import check_values


class DatasetContract:
    """A data set's own class of tests takes this one as its base.

    It needs the fixtures `data`, and `again`: the same data set, loaded a second time.
    """

    @pytest.fixture(params=["train", "test"])
    def split(self, request, data):
        return getattr(data, request.param)

    def test_values_fit_their_modalities(self, data, split):
        assert tuple(split.pools) == tuple(split.rows) == data.names
        for modality in data.modalities:
            pool = split.pools[modality.name]
            assert pool.dtype in (np.uint8, np.int32, np.float32)
            assert pool.shape[1:] == modality.event_shape
            has = split.has([modality.name])
            check_values({modality.name: pool[np.unique(split.rows[modality.name][has])]}, [modality])

    def test_rows_are_of_the_pools(self, split):
        for name, rows in split.rows.items():
            assert (rows.dtype, rows.shape) == (np.int64, (len(split),))
            assert rows.min() >= 0
            assert rows.max() < len(split.pools[name])
        if split.mask is not None:
            assert {(mask.dtype, mask.shape) for mask in split.mask.values()} == {(np.dtype(bool), (len(split),))}
            assert np.any(list(split.mask.values()), axis=0).all()

    def test_labels_are_of_the_classes(self, data, split):
        if split.label is None:
            assert data.class_names == ()
            return
        assert split.label.dtype.kind == "i" if data.multi_label else split.label.dtype == np.int64
        assert split.label.min() >= 0
        assert split.label.max() < (2 if data.multi_label else len(data.class_names))
        assert split.label.shape == ((len(split), len(data.class_names)) if data.multi_label else (len(split),))

    def test_a_value_is_of_the_same_class_in_all_its_examples(self, split):
        if split.label is None:
            return
        for name, rows in split.rows.items():
            has = split.has([name])
            of_value = np.full((len(split.pools[name]), *split.label.shape[1:]), -1)
            of_value[rows[has]] = split.label[has]
            np.testing.assert_array_equal(of_value[rows[has]], split.label[has], err_msg=name)

    def test_no_value_of_the_first_modality_is_in_both_parts(self, data):
        name = data.names[0]
        train, test = ({x.tobytes() for x in part.take(slice(None))[name]} for part in (data.train, data.test))
        assert train
        assert test
        assert not train & test

    def test_the_same_arguments_give_the_same(self, data, again):
        assert again.modalities == data.modalities
        for part in ("train", "test"):
            one, other = getattr(data, part), getattr(again, part)
            for field in ("pools", "rows", "mask"):
                for name, x in (getattr(one, field) or {}).items():
                    np.testing.assert_array_equal(getattr(other, field)[name], x, err_msg=f"{part} {field} {name}")
            np.testing.assert_array_equal(other.label, one.label)
