"""Reading single files of an artifact that is a folder, without downloading the whole folder."""

import pytest

from gitmodel import NotFound, UsageError


@pytest.fixture
def net(client, tmp_path):
    folder = tmp_path / "net"
    (folder / "weights").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "weights" / "1.bin").write_bytes(b"abc")
    version = client.register_model("wine").create_version(model_objects={"net": folder}, data={"n": 3})
    return version.get_artifact("net")


def test_a_file_of_a_folder_can_be_listed_and_opened_without_downloading_the_other_files(client, net):
    config, weights = net.list_files()
    assert [(file.path, file.size) for file in (config, weights)] == [("config.json", 2), ("weights/1.bin", 3)]
    client.store.remove(config.digest)
    with net.open("weights/1.bin") as file:
        assert file.read() == b"abc"


@pytest.mark.parametrize("file", ["", "weights", "weights/2.bin", "../x"])
def test_opening_a_file_that_the_folder_lacks_is_refused(net, file):
    with pytest.raises(NotFound if file else UsageError):
        net.open(file)


def test_an_artifact_that_is_one_file_has_no_files_to_list(net):
    single = net.version.get_artifact("n")
    for use in (single.list_files, lambda: single.open("x")):
        with pytest.raises(UsageError, match="n is one file, not a folder of files"):
            use()


def test_version_artifacts_with_files_lists_the_files_of_a_folder(net, transcript):
    transcript("""
        $ git model version artifacts wine@1 --files net
        FILE           SIZE  DIGEST
        config.json    2 B   sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
        weights/1.bin  3 B   sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
        $ git model version artifacts wine --files net --filter 'size > 2' -q
        weights/1.bin
        $ git model version artifacts wine@1 --files n
        ! error: n is one file, not a folder of files
        ! hint: ...
        [2]
    """)
