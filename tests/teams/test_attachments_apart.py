"""Two clones attach files to one version, then both push: the push of the second clone merges the attachments.

If both used one name for different files, gitmodel keeps the attachment of the remote and names the lost attachment.
"""

import pytest

from gitmodel import Conflict


def test_a_push_merges_attachments_of_two_clones_to_one_version(ada, bob):
    ada.get_version("iris@production").attach("matrix", {"rows": 2})
    ada.push()
    bob.get_version("iris@production").attach("report", {"f1": 0.9})
    bob.push()
    ada.pull()
    for client in (ada, bob):
        version = client.get_version("iris@production")
        assert [found.name for found in version.attachments] == ["matrix", "report"]
        assert client.check() == []
    # Ada can load this attachment because Bob's push uploaded it
    assert ada.get_version("iris@2").get_attachment("report").load() == {"f1": 0.9}


def test_of_two_attachments_with_one_name_the_attachment_of_the_remote_is_kept(ada, bob):
    ada.get_version("iris@2").attach("matrix", {"rows": 2})
    ada.push()
    bob.get_version("iris@2").attach("matrix", {"rows": 3})
    with pytest.raises(Conflict, match="matrix"):
        bob.push()
    assert bob.get_version("iris@2").get_attachment("matrix").load() == {"rows": 2}
    assert bob.check() == []


@pytest.mark.parametrize("attached_first", [True, False])
def test_a_push_leaves_out_an_attachment_or_artifact_whose_name_the_remote_uses_for_the_other_kind(
    ada, bob, attached_first
):
    first, second = (ada, bob)
    attach, link = (first, second) if attached_first else (second, first)

    def change(client):
        version = client.get_version("iris@3")
        if client is attach:
            version.attach("report", {"f1": 0.9})
        if client is link:
            version.link_artifact("report", {"f1": 0.8})
        client.push()

    change(first)
    with pytest.raises(Conflict, match="report"):
        change(second)
    assert second.check() == []
    version = second.get_version("iris@3")
    assert [found.name == "report" for found in version.attachments] == [True] * attached_first
    assert ("report" in [found.name for found in version.artifacts]) != attached_first
