"""SciPy's sparse matrices and arrays. Loading verifies that their indices do not lead out of the matrix."""

import numpy
import pytest
import scipy.sparse

from gitmodel.errors import Invalid, UsageError
from gitmodel.formats import detect_format, load, materializers

DENSE = numpy.array([[0, 1.5, 0], [2, 0, 0]])


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("family", ["matrix", "array"])
def test_a_sparse_array_keeps_its_type_and_equal_arrays_give_equal_files(kind, family, tmp_path):
    value = getattr(scipy.sparse, f"{kind}_{family}")(DENSE)
    for name in ("one", "two"):
        assert materializers.save(value, tmp_path / name, "output x", "") == ("sparse", "data", "sparse")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert detect_format(tmp_path / "one") == "sparse"
    found = load(tmp_path / "one", "sparse")
    assert type(found) is type(value)
    numpy.testing.assert_array_equal(found.toarray(), DENSE)


@pytest.mark.parametrize("kind", ["lil", "dok"])
def test_a_kind_of_sparse_matrix_that_files_cannot_store_is_refused(kind, tmp_path):
    with pytest.raises(UsageError, match="sparse holds") as caught:
        materializers.save(getattr(scipy.sparse, f"{kind}_array")(DENSE), tmp_path / "x", "output x", "")
    assert ".tocsr()" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "part"), [("csr", "indices"), ("csc", "indices"), ("csr", "indptr"), ("coo", "row"), ("dia", "offsets")]
)
def test_sparse_indices_that_lead_out_of_the_shape_are_refused(kind, part, tmp_path):
    value = getattr(scipy.sparse, f"{kind}_matrix")(DENSE)
    scipy.sparse.save_npz(tmp_path / "whole.npz", value, compressed=False)
    parts = dict(numpy.load(tmp_path / "whole.npz"))
    wrong = numpy.append(parts[part], 1) if part == "offsets" else numpy.full_like(parts[part], 10**6)
    numpy.savez(tmp_path / "x.npz", **{**parts, part: wrong})
    with pytest.raises(Invalid, match="cannot be loaded as sparse"):
        load(tmp_path / "x.npz", "sparse")


def test_a_sparse_array_of_objects_is_neither_saved_nor_unpickled(tmp_path):
    value = scipy.sparse.csr_array(DENSE)
    parts = {"format": numpy.array("csr"), "shape": numpy.array([2, 3]), "indptr": value.indptr}
    numpy.savez(tmp_path / "x.npz", data=numpy.array([print, print]), indices=value.indices, **parts)
    with pytest.raises(Invalid):
        load(tmp_path / "x.npz", "sparse")
